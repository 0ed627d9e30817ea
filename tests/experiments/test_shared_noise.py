"""An experiment whose platforms share the noise: what is drafted, what is spent, what its report says."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clients.config import SiteFolder
from common.charter import ModelTerms
from common.errors import ConfigError
from common.privacy.accountant import epsilon_of
from common.privacy.shared import SharedNoisePlan, if_aggregation_fails
from common.privacy.skellam import SkellamMechanism
from scenarios.experiments.admission import admit
from scenarios.experiments.drafting import draft
from scenarios.experiments.folder import ExperimentFolder
from scenarios.experiments.forecast import as_document, as_text, forecast
from scenarios.experiments.ground import declared
from scenarios.experiments.plans import bills, cell_plans, cell_ring_clip
from scenarios.experiments.report.record import Cell
from scenarios.experiments.runner import run_experiment
from scenarios.experiments.spec import ExperimentSpec

CELL = Cell("federated", 1, 8.0)
PRIVACY = {"mode": "shared-noise", "epsilons": (8.0,), "spare": 0, "unprotected": False}
MODEL = ModelTerms(
    size="tiny", features=16, parameters=2000, encoder="0" * 64, basis="1" * 64, layout="2" * 64
)


@pytest.fixture
def spec(shops: Callable[..., ExperimentSpec], tmp_path: Path) -> ExperimentSpec:
    return shops(tmp_path, systems=("federated",), rounds=1, privacy=PRIVACY)


def test_a_cells_charter_takes_one_plain_step_under_one_share_for_all(
    spec: ExperimentSpec, identity: Callable[[str], Ed25519PrivateKey]
) -> None:
    """The charter's own rules hold sensitivity, shares, variances and headroom against each other."""
    scenarios = declared(spec)
    keys = {name: identity(name).public_key().public_bytes_raw() for name in scenarios}
    charter = draft(spec, CELL, scenarios, keys, MODEL)
    assert charter.privacy == "shared-noise"
    assert charter.ring_clip == cell_ring_clip(spec, scenarios, 8.0, 2000)
    for member in charter.members:
        assert member.training.steps == 1
        assert isinstance(member.privacy, SharedNoisePlan)
        assert 7.9 < member.privacy.forecast().prv <= 8
        rounding = 2000**0.5
        assert 20 * rounding < member.privacy.sensitivity < 50 * rounding
    assert draft(spec, Cell("federated", 1, None), scenarios, keys, MODEL).privacy == "off"


def test_the_bills_are_what_the_sites_will_charge(spec: ExperimentSpec, tmp_path: Path) -> None:
    scenarios = declared(spec)
    plans = cell_plans(spec, scenarios, 8.0)
    assert bills(spec, scenarios, CELL) == {name: (plan.whole,) for name, plan in plans.items()}
    admit(spec, tmp_path / "out")


def test_statistics_come_out_of_the_same_epsilon(
    shops: Callable[..., ExperimentSpec], tmp_path: Path
) -> None:
    spec = shops(tmp_path, systems=("federated",), rounds=1, privacy=PRIVACY, statistics={"rank": 4})
    scenarios, warm = declared(spec), Cell("federated-warm", 1, 8.0)
    plain, beside = (
        cell_plans(spec, scenarios, 8.0)["salt"],
        cell_plans(spec, scenarios, 8.0, warm.system)["salt"],
    )
    assert isinstance(plain, SharedNoisePlan)
    assert isinstance(beside, SharedNoisePlan)
    assert beside.share_variance > plain.share_variance
    assert 7.9 < epsilon_of(bills(spec, scenarios, warm)["salt"], 1e-5).prv <= 8


def test_an_optimiser_that_would_undo_the_clip_is_refused_before_anything_is_read(
    spec: ExperimentSpec,
) -> None:
    scenarios = declared(spec)
    adam = scenarios["salt"].training.model_copy(update={"optimizer": "adam"})
    with pytest.raises(ConfigError, match="adam with shared noise"):
        cell_plans(spec, {**scenarios, "salt": scenarios["salt"].model_copy(update={"training": adam})}, 8.0)


def test_the_forecast_states_both_figures(spec: ExperimentSpec) -> None:
    found = forecast(spec)
    told = as_document(spec, found)
    text = as_text(spec, found)
    for entry in told["privacy"]:  # type: ignore[attr-defined]
        assert entry["accountant"] == "RDP"
        assert entry["epsilon_prv"] <= 8 < entry["epsilon_alone"]
        assert f"{entry['epsilon_alone']:.2f} if aggregation fails" in text


def test_it_runs_and_its_report_states_both_figures(
    spec: ExperimentSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HANSE_QUIET", "1")
    out = tmp_path / "out"
    run_experiment(spec, out, workers=1)
    cell = ExperimentFolder(out).cell(CELL)
    for name in declared(spec):
        (entry,) = SiteFolder(cell / "sites" / name).ledger().entries()
        assert isinstance(entry.charge.mechanism, SkellamMechanism)
    report = json.loads((out / "report.json").read_text())
    assert report["setting"]["local_steps"] == 1
    told = {entry["platform"]: entry for entry in report["privacy"]}
    history = SiteFolder(cell / "sites" / "salt").ledger().history()
    assert told["salt"]["epsilon_alone"] == pytest.approx(if_aggregation_fails(history, 1e-5), abs=1e-6)
    assert told["salt"]["epsilon_prv"] <= 8 < told["salt"]["epsilon_alone"]
    assert "if it fails, ε = " in (out / "report.md").read_text()
    assert "if aggregation fails" in (out / "report.html").read_text()
