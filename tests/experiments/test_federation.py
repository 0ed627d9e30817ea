"""Founding a federation: real keys, one charter, pinned everywhere; reopened as it was."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from common.model.statistics import Basis
from scenarios.experiments.federation import Federation, found
from scenarios.experiments.ground import Ground, site_config, stand, survey
from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec

PRIVATE, OPEN = Cell("federated", 1, 8.0), Cell("federated", 1, None)
Shops = Callable[..., ExperimentSpec]


@pytest.fixture
def ground(shops: Shops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    monkeypatch.setenv("HANSE_CACHE", str(tmp_path / "cache"))
    spec = shops(tmp_path, rounds=1)
    return stand(spec, survey(spec))


def keys(federation: Federation) -> dict[str, bytes]:
    return {name: site.identity().private_bytes_raw() for name, site in federation.sites.items()}


def test_every_site_pins_what_all_of_them_signed(ground: Ground, tmp_path: Path) -> None:
    made = found(ground, PRIVATE, tmp_path / "cell")
    charter = made.run.charter()
    assert [member.platform for member in charter.members] == list(made.sites) == list(ground.scenarios)
    assert len(set(keys(made).values())) == 4
    for site in made.sites.values():
        assert site.latest().charter() == charter
        assert Basis.load(site.latest().basis_path).digest == charter.model.basis
        assert site.ceiling().epsilon == 8.0
    start = made.run.latest()
    assert start.round == 0
    assert np.array_equal(start.state.parameters, ground.initial)


def test_a_cell_that_exists_is_reopened_as_it_was(ground: Ground, tmp_path: Path) -> None:
    made = found(ground, PRIVATE, tmp_path / "cell")
    again = found(ground, PRIVATE, tmp_path / "cell")
    assert keys(again) == keys(made)
    assert again.run.charter() == made.run.charter()
    assert all(len(list(site.path.glob("charters/*"))) == 1 for site in again.sites.values())


def test_killed_before_the_charter_was_written_it_is_founded_anew(ground: Ground, tmp_path: Path) -> None:
    made = found(ground, PRIVATE, tmp_path / "cell")
    before = keys(made)
    (made.run.path / "charter.json").unlink()
    again = found(ground, PRIVATE, tmp_path / "cell")
    assert keys(again) == before
    assert again.conduct(lambda outcome: None).round == 1


def test_without_privacy_the_sites_have_no_ceiling(ground: Ground, tmp_path: Path) -> None:
    made = found(ground, OPEN, tmp_path / "cell")
    assert all(site.config().ceiling is None for site in made.sites.values())
    assert made.run.charter().seed == 1


def test_what_ifs_share_nothing_and_named_sites_their_keys_and_ledgers(
    ground: Ground, shops: Shops, tmp_path: Path
) -> None:
    one, other = (found(ground, PRIVATE, tmp_path / name) for name in ("one", "other"))
    assert not set(keys(one).values()) & set(keys(other).values())

    privacy = {"epsilons": (8.0,), "unprotected": False, "spare": 0, "ceiling": 20.0}
    named = stand(shops(tmp_path, rounds=1, sites=str(tmp_path / "named"), privacy=privacy), ground.basis)
    first, second = (found(named, PRIVATE, tmp_path / name) for name in ("first", "second"))
    assert keys(first) == keys(second)
    assert first.run.charter().digest() != second.run.charter().digest()
    first.conduct(lambda outcome: None)
    second.conduct(lambda outcome: None)
    assert {len(site.ledger().entries()) for site in second.sites.values()} == {2}


def test_the_same_seed_gives_the_same_vector_and_another_another(ground: Ground, tmp_path: Path) -> None:
    """Keys, nonces and masks differ from founding to founding; the sum does not."""
    vectors = [
        found(ground, Cell("federated", seed, None), tmp_path / str(number))
        .conduct(lambda outcome: None)
        .state
        for number, seed in enumerate((1, 1, 2))
    ]
    assert vectors[0].average.tobytes() == vectors[1].average.tobytes()
    assert vectors[0].average.tobytes() != vectors[2].average.tobytes()


def test_sites_are_set_up_as_the_experiment_says(shops: Shops, tmp_path: Path) -> None:
    spec = shops(tmp_path, limits={"users": 10, "items": 30})
    config = site_config(spec, "salt")
    assert config.scenario == str(tmp_path / "salt.toml")
    assert (config.users, config.items, config.ceiling) == (10, 30, None)
    assert config.encoder == spec.model.encoder
