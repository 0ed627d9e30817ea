"""A site's folder: what is made once, what is kept, who may read it, and which charters it accepts."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.config import CeilingConfig, SiteConfig, SiteFolder, as_toml
from common.charter import CharterInvalid
from common.config import load_toml
from common.errors import ConfigError, EnvironmentProblem, PrivacyRefused
from common.privacy.errors import PlanUnsound

CONFIG = SiteConfig(
    platform="salt", scenario="salt.toml", ceiling=CeilingConfig(epsilon=2.5, delta=1e-5), users=100
)


def test_what_was_set_is_read_back(tmp_path: Path) -> None:
    folder = SiteFolder.create(tmp_path / "salt", CONFIG)
    assert folder.config() == CONFIG
    assert folder.ledger().ceiling.epsilon == 2.5
    assert folder.has_ledger()


@given(
    scenario=st.text(max_size=30),
    users=st.none() | st.integers(1, 10**9),
    epsilon=st.none() | st.floats(min_value=1e-6, max_value=1e6),
)
def test_whatever_the_paths_are_called(
    tmp_path_factory: pytest.TempPathFactory, scenario: str, users: int | None, epsilon: float | None
) -> None:
    ceiling = None if epsilon is None else CeilingConfig(epsilon=epsilon, delta=1e-5)
    config = SiteConfig(platform="salt", scenario=scenario, users=users, ceiling=ceiling)
    path = tmp_path_factory.mktemp("site") / "site.toml"
    path.write_text(as_toml(config), "utf-8")
    assert load_toml(path, SiteConfig) == config


def test_a_site_that_is_there_keeps_its_key_and_its_ceiling(tmp_path: Path) -> None:
    first = SiteFolder.create(tmp_path / "salt", CONFIG)
    key = first.identity().private_bytes_raw()
    more = CONFIG.model_copy(update={"ceiling": CeilingConfig(epsilon=99.0, delta=1e-5)})
    again = SiteFolder.create(tmp_path / "salt", more)
    assert again.identity().private_bytes_raw() == key
    assert again.config() == CONFIG


def test_two_who_make_a_site_at_once_get_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: SiteFolder.create(tmp_path / "salt", CONFIG).identity(), range(16)))
    assert len({key.private_bytes_raw() for key in made}) == 1


def test_another_sites_folder_is_not_taken_over(tmp_path: Path) -> None:
    SiteFolder.create(tmp_path / "salt", CONFIG)
    for change in ({"scenario": "other.toml"}, {"platform": "amber"}, {"users": None}):
        with pytest.raises(ConfigError, match="a site with other settings is here"):
            SiteFolder.create(tmp_path / "salt", CONFIG.model_copy(update=change))


def test_only_its_owner_reads_what_is_in_it(tmp_path: Path) -> None:
    folder = SiteFolder.create(tmp_path / "salt", CONFIG)
    folder.hash_users()
    folder.ledger()
    assert folder.path.stat().st_mode & 0o777 == 0o700
    for path in folder.path.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path.name


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_key_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    folder = SiteFolder.create(tmp_path / "salt", CONFIG)
    (folder.path / "site.key").chmod(mode)
    with pytest.raises(EnvironmentProblem, match="others can read the site's key") as caught:
        folder.identity()
    assert caught.value.exit_code == 5
    assert caught.value.hint.startswith("chmod 600")


@pytest.mark.parametrize("content", [None, b"", b"k" * 31, b"k" * 33])
def test_a_key_that_is_none(tmp_path: Path, content: bytes | None) -> None:
    folder = SiteFolder.create(tmp_path / "salt", CONFIG)
    path = folder.path / "site.key"
    path.write_bytes(content) if content is not None else path.unlink()
    with pytest.raises(EnvironmentProblem, match="no usable site key"):
        folder.identity()


def test_keys_come_from_the_system_and_no_two_are_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {SiteFolder.create(tmp_path / str(n), CONFIG).identity().private_bytes_raw() for n in range(3)}
    assert len(keys) == 3
    monkeypatch.setattr(os, "urandom", lambda count: b"u" * count)
    assert SiteFolder.create(tmp_path / "u", CONFIG).identity().private_bytes_raw() == b"u" * 32


def test_the_secret_for_user_ids_is_made_once(tmp_path: Path) -> None:
    folder = SiteFolder.create(tmp_path / "salt", CONFIG)
    assert folder.user_key() is None
    folder.hash_users()
    key = folder.user_key()
    folder.hash_users()
    assert key is not None
    assert len(key) == 32
    assert folder.user_key() == key


def test_all_that_is_wrong_in_the_settings_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(
        'platform = "Salt"\nscenaro = "x"\nusers = 0\n[ceiling]\nepsilon = -1\ndelta = 1.0\n'
    )
    with pytest.raises(ConfigError) as caught:
        SiteFolder(tmp_path).config()
    told = str(caught.value)
    for line, key in (
        (1, "platform"),
        (2, "scenaro"),
        (3, "users"),
        (5, "ceiling.epsilon"),
        (6, "ceiling.d"),
    ):
        assert f"site.toml:{line}: {key}" in told
    assert "scenario: missing key" in told


def test_without_a_ceiling_there_is_no_ledger(tmp_path: Path) -> None:
    folder = SiteFolder.create(tmp_path / "salt", CONFIG.model_copy(update={"ceiling": None}))
    with pytest.raises(PrivacyRefused, match="no ceiling"):
        folder.ledger()
    assert not folder.has_ledger()


Make = Callable[..., Any]


def test_the_charter_pinned_last_is_the_latest(fleet: Make) -> None:
    made = fleet()
    folder = made.folders["salt"]
    other = made.again(rounds=2)
    assert folder.latest().charter() == other.charter
    os.utime(folder.engagement(made.charter).charter_path, ns=(2**62, 2**62))
    assert folder.latest().charter() == made.charter


def test_without_a_charter_there_is_no_latest(tmp_path: Path) -> None:
    with pytest.raises(CharterInvalid, match="no charter is pinned here"):
        SiteFolder.create(tmp_path / "salt", CONFIG).latest()


def test_a_charter_that_somebody_did_not_sign_is_not_pinned(fleet: Make) -> None:
    made = fleet()
    folder = made.folders["salt"]
    signed = made.signed.model_copy(update={"charter": made.charter.model_copy(update={"rounds": 9})})
    before = sorted(folder.path.rglob("*"))
    with pytest.raises(CharterInvalid, match="not over this charter"):
        folder.pin(signed)
    assert sorted(folder.path.rglob("*")) == before


def test_a_plan_that_does_not_keep_its_claim_is_not_pinned(fleet: Make, plan: Any) -> None:
    """Everybody signed, but the noise of the plan spends more than the ε it states."""
    made = fleet(private=True)
    members = tuple(
        member.model_copy(update={"privacy": plan.model_copy(update={"epsilon": 0.01})})
        for member in made.charter.members
    )
    with pytest.raises(PlanUnsound, match=r"claims 0\.01"):
        made.again(members=members)


def test_a_pinned_charter_is_checked_again_at_every_start(fleet: Make) -> None:
    made = fleet()
    path = made.folders["salt"].engagement(made.charter).charter_path
    path.write_text(path.read_text().replace('"rounds": 3', '"rounds": 300'))
    with pytest.raises(CharterInvalid):
        made.site("salt")
