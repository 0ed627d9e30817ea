"""The federation that starts from statistics: beside the plain one, within the same ε, on the same data."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from clients.config import SiteFolder
from common.certificate.certificate import Certificate
from common.certificate.check import faults
from common.privacy.accountant import Mechanism, epsilon_of
from scenarios.experiments.cells import REFERENCES, cells
from scenarios.experiments.folder import ExperimentFolder
from scenarios.experiments.forecast import as_document, as_text, forecast
from scenarios.experiments.ground import declared
from scenarios.experiments.plans import bills, member_plan, statistics_terms
from scenarios.experiments.report.record import Cell
from scenarios.experiments.runner import run_experiment
from scenarios.experiments.spec import ExperimentSpec
from scenarios.experiments.training import trained
from server.certify import CERTIFICATE
from server.checkpoint import RunFolder

Shops = Callable[..., ExperimentSpec]
WARM = Cell("federated-warm", 1, 8.0)


@pytest.fixture
def spec(shops: Shops, tmp_path: Path) -> ExperimentSpec:
    return shops(tmp_path, systems=("federated",), rounds=1, statistics={"rank": 4})


def test_statistics_add_a_federation_beside_the_plain_one(
    spec: ExperimentSpec, shops: Shops, tmp_path: Path
) -> None:
    assert cells(spec) == (
        REFERENCES,
        Cell("federated", 1, None),
        Cell("federated-warm", 1, None),
        Cell("federated", 1, 8.0),
        WARM,
    )
    assert "federated-warm" not in {cell.system for cell in cells(shops(tmp_path, systems=("local-only",)))}


def test_the_budget_is_split_by_a_public_rule_and_composed(spec: ExperimentSpec) -> None:
    """A share of ε by themselves; what training adds to them is calibrated on both, and no ε is added up."""
    salt, delta = declared(spec)["salt"], spec.privacy.delta
    terms = statistics_terms(spec, "federated-warm", 8.0)
    assert terms is not None
    assert terms.noise_multiplier is not None
    alone = epsilon_of([Mechanism(terms.noise_multiplier, 1.0, 1)], delta).prv
    assert 0.99 * 0.33 * 8 < alone <= 0.33 * 8
    plain, warm = member_plan(spec, salt, 8.0), member_plan(spec, salt, 8.0, "federated-warm")
    assert warm.noise_multiplier > plain.noise_multiplier
    assert 7.9 < epsilon_of(bills(spec, declared(spec), WARM)["salt"], delta).prv <= 8
    assert epsilon_of([warm.whole], delta).prv > 8 - alone  # composed they are less than their sum
    assert bills(spec, declared(spec), Cell("federated", 1, 8.0))["salt"] == (plain.whole,)
    assert bills(spec, declared(spec), Cell("federated-warm", 1, None))["salt"] == ()
    open_terms = statistics_terms(spec, "federated-warm", None)
    assert open_terms is not None
    assert open_terms.noise_multiplier is None
    assert statistics_terms(spec, "federated", 8.0) is None


def test_a_whole_experiment_with_a_warm_start(
    spec: ExperimentSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HANSE_QUIET", "1")
    run_experiment(spec, tmp_path / "out", workers=1)
    folder = ExperimentFolder(tmp_path / "out")
    metrics = pl.read_parquet(tmp_path / "out" / "metrics.parquet")
    systems = set(metrics.select("system", "epsilon").unique().iter_rows())
    for epsilon in (None, 8.0):
        assert {("federated-warm", epsilon), ("federated-warm-ungated", epsilon)} <= systems
    for cell in (WARM, Cell("federated-warm", 1, None)):
        last = RunFolder(folder.cell(cell) / "server").latest()
        assert last.base is not None
        assert np.array_equal(trained(folder.cell(cell), "salt"), last.released)
    assert np.abs(RunFolder(folder.cell(Cell("federated-warm", 1, None)) / "server").latest().base).max() > 0
    ledger = SiteFolder(folder.cell(WARM) / "sites" / "salt").ledger()
    assert [entry.charge.release for entry in ledger.entries()] == ["statistics", "training"]
    assert 7.9 < ledger.spent().prv <= 8
    certificate = Certificate.load(folder.cell(WARM) / "server" / CERTIFICATE)
    assert faults(certificate) == ()
    assert [record.name for record in certificate.statement.rounds] == ["statistics/1", "train/1"]
    told = json.loads((tmp_path / "out" / "report.json").read_text())
    assert {"federated", "federated-warm"} <= {row["system"] for row in told["rows"]}


def test_statistics_and_robust_terms_exclude_each_other(shops: Shops, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="bound training alone"):
        shops(tmp_path, statistics={"rank": 4}, robust={"norm_bound": 1.0})
    with pytest.raises(ValidationError, match="rank is above model"):
        shops(tmp_path, statistics={"rank": 17})


def test_the_forecast_tells_both_noises(spec: ExperimentSpec) -> None:
    found = forecast(spec)
    terms = statistics_terms(spec, "federated-warm", 8.0)
    assert terms is not None
    assert found.warm[8.0].statistics == terms.noise_multiplier
    for name, scenario in declared(spec).items():
        assert (
            found.warm[8.0].training[name] == member_plan(spec, scenario, 8.0, WARM.system).noise_multiplier
        )
    assert f"statistics with noise {terms.noise_multiplier:.2f}, then training with" in as_text(spec, found)
    assert as_document(spec, found)["warm_start"].keys() == {"8"}  # type: ignore[attr-defined]
