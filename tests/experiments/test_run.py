"""A whole experiment: what it leaves, how it goes on, and that it stops for the first reason."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from clients.config import SiteFolder
from clients.site import Site
from clients.statement import as_text, statement
from common.deltas import AdapterDelta, Floats
from common.errors import AggregationAborted, DataError
from scenarios.experiments.cells import cells, slug
from scenarios.experiments.folder import ExperimentFolder
from scenarios.experiments.report.record import METRICS_SCHEMA, Cell
from scenarios.experiments.runner import _counted, run_experiment
from scenarios.experiments.spec import ExperimentSpec
from scenarios.experiments.training import trained
from server.checkpoint import RunFolder

PLATFORMS = ("amber", "herring", "salt", "timber")


def test_the_report_is_there_in_every_form(voyage: Any) -> None:
    names = {path.name for path in voyage.out.iterdir() if path.is_file()}
    assert {"report.html", "report.json", "report.md", "metrics.parquet", "experiment.json"} <= names
    assert voyage.outcome.page == voyage.out / "report.html"
    told = json.loads((voyage.out / "report.json").read_text())
    assert set(told) >= {"answer", "rows", "privacy", "rounds", "versions"}
    assert {row["platform"] for row in told["rows"]} >= set(PLATFORMS)
    assert len(told["rounds"]) == 2 * 2
    assert {entry["platform"] for entry in told["privacy"]} == set(PLATFORMS)


def test_every_cell_is_measured_at_every_platform(voyage: Any) -> None:
    metrics = pl.read_parquet(voyage.out / "metrics.parquet")
    assert metrics.schema == METRICS_SCHEMA
    seen = set(metrics.select("platform", "system", "epsilon").unique().iter_rows())
    for platform in PLATFORMS:
        for system, epsilon in (
            ("zero-exchange", None),
            ("local-only", None),
            ("alone", None),
            ("federated", None),
            ("federated", 8.0),
            ("federated-ungated", 8.0),
        ):
            assert (platform, system, epsilon) in seen
    assert metrics["value"].is_between(0, 1).all()
    assert not metrics["value"].is_nan().any()


def test_metrics_stay_in_the_site_folders(voyage: Any) -> None:
    """What the coordinator has is its own folder: charter, checkpoint, a count, and the version it ends with."""
    for cell in ("federated-1", "federated-eps8-1"):
        server = voyage.out / "cells" / cell / "server"
        assert {path.name for path in server.iterdir()} <= {
            "charter.json",
            "checkpoint.safetensors",
            "attempt",
            "certificate.json",
            "model.safetensors",
        }
        for platform in PLATFORMS:
            assert (voyage.out / "cells" / cell / "sites" / platform / "metrics.parquet").exists()


def test_each_ledger_holds_what_its_rounds_released(voyage: Any) -> None:
    for platform in PLATFORMS:
        ledger = SiteFolder(voyage.out / "cells" / "federated-eps8-1" / "sites" / platform).ledger()
        assert [entry.charge.round for entry in ledger.entries()] == [1, 2]
        assert 7.9 < ledger.spent().prv <= 8.0
        unprotected = SiteFolder(voyage.out / "cells" / "federated-1" / "sites" / platform)
        assert not unprotected.has_ledger()


def test_each_site_states_what_the_run_spent(voyage: Any) -> None:
    site = SiteFolder(voyage.out / "cells" / "federated-eps8-1" / "sites" / "amber")
    *_, kind, following, rollback = as_text(statement(site)).splitlines()
    assert kind.startswith("kind     training: 2 releases, ε = ")
    assert re.fullmatch(r"next     federated-eps8-1-[0-9a-f]{8}: all 2 rounds are charged", following)
    assert rollback.startswith("rollback 3 peers were shown this ledger")


def test_all_platforms_evaluate_the_shared_model_and_each_its_own(voyage: Any) -> None:
    folder = ExperimentFolder(voyage.out)
    shared = folder.cell(Cell("federated", 1, None))
    average = RunFolder(shared / "server").latest().state.average
    assert all(np.array_equal(trained(shared, platform), average) for platform in PLATFORMS)
    own = [trained(folder.cell(Cell("local-only", 1, None)), platform).tobytes() for platform in PLATFORMS]
    assert len(set(own)) == 4


@pytest.fixture
def copied(voyage: Any, tmp_path: Path) -> Path:
    shutil.copytree(voyage.out, tmp_path / "out")
    return tmp_path / "out"


def test_what_is_finished_is_not_trained_again(
    voyage: Any, copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(site: Site, model: Floats, number: int) -> AdapterDelta:
        raise AssertionError

    monkeypatch.setattr(Site, "_train", train)
    monkeypatch.setattr("scenarios.experiments.training.fit", train)
    monkeypatch.setenv("HANSE_QUIET", "")
    for name in ("report.html", "report.json", "metrics.parquet"):
        (copied / name).unlink()
    outcome = run_experiment(voyage.spec, copied, workers=1)
    assert outcome.report.answer.headline == voyage.outcome.report.answer.headline
    count = len(cells(voyage.spec)) - 1
    assert f"{count} systems of {count} are trained already and kept, in {copied}" in capsys.readouterr().err
    before, after = (pl.read_parquet(folder / "metrics.parquet") for folder in (voyage.out, copied))
    assert after.equals(before)


def test_a_cell_that_is_missing_is_trained_and_gives_the_same(voyage: Any, copied: Path) -> None:
    (missing,) = [cell for cell in cells(voyage.spec) if cell == Cell("federated", 1, None)]
    whole = trained(voyage.out / "cells" / slug(missing), "salt")
    shutil.rmtree(copied / "cells" / slug(missing))
    run_experiment(voyage.spec, copied, workers=1)
    assert trained(copied / "cells" / slug(missing), "salt").tobytes() == whole.tobytes()


def failing(error: Exception) -> Callable[..., AdapterDelta]:
    def train(site: Site, model: Floats, number: int) -> AdapterDelta:
        raise error

    return train


@pytest.fixture
def quick(
    voyage: Any, shops: Callable[..., ExperimentSpec], monkeypatch: pytest.MonkeyPatch
) -> Iterator[ExperimentSpec]:
    """One federated cell on the same shops, whose features are in the cache by now."""
    folder = Path(voyage.spec.platforms[0]).parent
    yield shops(folder, systems=("federated",), privacy={"epsilons": (), "spare": 0})


def test_a_round_without_a_sum_stops_the_run_and_it_goes_on_later(
    quick: ExperimentSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(AggregationAborted):
        patch.setattr(Site, "_train", failing(DataError("no rows")))
        run_experiment(quick, tmp_path / "out", workers=1)
    assert not (tmp_path / "out" / "report.html").exists()
    run_experiment(quick, tmp_path / "out", workers=1)
    assert (tmp_path / "out" / "report.html").exists()


@pytest.mark.slow
def test_several_processes_give_the_same_as_one(voyage: Any, quick: ExperimentSpec, tmp_path: Path) -> None:
    run_experiment(quick, tmp_path / "out", workers=2)
    mine, its = (
        RunFolder(folder / "cells" / "federated-1" / "server").latest().state
        for folder in (tmp_path / "out", voyage.out)
    )
    assert mine.parameters.tobytes() == its.parameters.tobytes()


def test_progress_is_counted_over_all_jobs() -> None:
    seen: list[tuple[int, int]] = []
    told = _counted(lambda done, total: seen.append((done, total)), [3, 2])
    for job, parts in ((0, 1), (1, 2), (0, 3), (0, 3)):
        told(job, parts)
    assert seen == [(1, 5), (3, 5), (5, 5), (5, 5)]
