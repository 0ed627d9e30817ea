"""Charters as experiments draft them: from public facts alone, one for each cell, none like another."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clients.config import SiteFolder
from common.charter import Charter, CharterInvalid, ModelTerms
from scenarios.experiments.drafting import draft, sign
from scenarios.experiments.ground import declared, site_config
from scenarios.experiments.plans import member_plan
from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec

MODEL = ModelTerms(size="tiny", features=16, parameters=24, encoder="0" * 64, basis="1" * 64, layout="2" * 64)


@pytest.fixture
def spec(shops: Callable[..., ExperimentSpec], tmp_path: Path) -> ExperimentSpec:
    made = shops(tmp_path, rounds=4, replay_days=7, privacy={"epsilons": (2.0,), "spare": 1, "clip": 0.5})
    for path in tmp_path.glob("*.csv"):
        path.unlink()
    return made


@pytest.fixture
def drafted(spec: ExperimentSpec, identity: Callable[[str], Ed25519PrivateKey]) -> Callable[[Cell], Charter]:
    scenarios = declared(spec)
    keys = {name: identity(name).public_key().public_bytes_raw() for name in scenarios}
    return lambda cell: draft(spec, cell, scenarios, keys, MODEL)


def test_a_private_cell_has_a_plan_for_everyone_and_no_seed(
    drafted: Callable[[Cell], Charter], spec: ExperimentSpec
) -> None:
    charter = drafted(Cell("federated", 1, 2.0))
    assert (charter.privacy, charter.seed, charter.rounds, charter.replay_days) == ("local", None, 4, 7)
    assert charter.model == MODEL
    for member, (name, scenario) in zip(charter.members, declared(spec).items(), strict=True):
        assert member.platform == name
        assert member.training == scenario.training
        assert member.privacy is not None
        assert member.privacy.rounds == 5
        assert member.privacy.clip == 0.5
        assert 1.9 < member.privacy.forecast().prv <= 2.0


def test_without_privacy_there_is_a_seed_and_no_plan(drafted: Callable[[Cell], Charter]) -> None:
    charter = drafted(Cell("federated", 7, None))
    assert (charter.privacy, charter.seed) == ("off", 7)
    assert all(member.privacy is None for member in charter.members)


def test_no_two_drafts_are_alike(drafted: Callable[[Cell], Charter]) -> None:
    """Else a site that signs twice would take the second run's rounds for the first's."""
    cell = Cell("federated", 1, 0.5)
    one, other = drafted(cell), drafted(cell)
    assert one.digest() != other.digest()
    assert one.model_copy(update={"name": other.name}) == other
    assert one.name.startswith("federated-eps0-5-1-")


def test_noise_follows_from_public_constants(spec: ExperimentSpec) -> None:
    salt, amber = declared(spec)["salt"], declared(spec)["amber"]
    assert member_plan(spec, salt, 2.0) == member_plan(spec, amber, 2.0)
    plan = member_plan(spec, salt, 2.0)
    assert plan.sample_rate == salt.training.expected_batch / salt.training.bucket
    assert plan.denominator == salt.training.expected_batch
    assert member_plan(spec, salt, 1.0).noise_multiplier > plan.noise_multiplier


def test_every_site_signs(spec: ExperimentSpec, tmp_path: Path) -> None:
    sites = {
        name: SiteFolder.create(tmp_path / "sites" / name, site_config(spec, name)) for name in declared(spec)
    }
    keys = {name: site.identity().public_key().public_bytes_raw() for name, site in sites.items()}
    charter = draft(spec, Cell("federated", 1, None), declared(spec), keys, MODEL)
    assert sign(charter, sites).verified() == charter
    del sites["salt"]
    with pytest.raises(CharterInvalid, match="salt has not signed"):
        sign(charter, sites).verified()
