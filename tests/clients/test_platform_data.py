"""A platform's data as its process sees them: read once, hashed at the door, features of unit norm."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clients.config import SiteConfig
from clients.platform_data import read_platform
from common.errors import DataError
from common.model.statistics import Basis
from scenarios.experiments.ground import site_config
from scenarios.experiments.spec import ExperimentSpec


@pytest.fixture
def config(
    shops: Callable[..., ExperimentSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SiteConfig:
    monkeypatch.setenv("HANSE_CACHE", str(tmp_path / "cache"))
    return site_config(shops(tmp_path), "salt")


def test_they_are_read_once_per_process(config: SiteConfig, tmp_path: Path) -> None:
    first = read_platform(config)
    (tmp_path / "salt.csv").unlink()
    assert read_platform(config) is first
    assert read_platform(config.model_copy()) is first


def test_other_limits_are_other_data(config: SiteConfig) -> None:
    whole, part = read_platform(config), read_platform(config.model_copy(update={"users": 10}))
    assert whole.platform.interactions.sequences().users == 24
    assert 0 < part.platform.interactions.sequences().users < 24
    assert part.raw.shape == whole.raw.shape


def test_users_are_hashed_with_the_sites_own_key(config: SiteConfig) -> None:
    one, other = (read_platform(config, key) for key in (b"1" * 32, b"2" * 32))
    mine, its = set(one.platform.interactions.user_keys), set(other.platform.interactions.user_keys)
    assert len(mine) == len(its) == 24
    assert not mine & its
    assert not any("user-" in key for key in mine | its)


def test_features_are_rows_of_unit_norm_in_the_shared_basis(config: SiteConfig) -> None:
    data = read_platform(config)
    basis = Basis.fit([data.moments], 8)
    features = data.features(basis)
    assert features.shape == (64, 8)
    assert features.dtype == np.float32
    assert np.allclose(np.linalg.norm(features, axis=1), 1, atol=1e-3)
    assert data.moments.count == 64


def test_data_that_cannot_be_used_are_told(config: SiteConfig, tmp_path: Path) -> None:
    (tmp_path / "salt.csv").write_text("who,what,when\n")
    with pytest.raises(DataError):
        read_platform(config)
