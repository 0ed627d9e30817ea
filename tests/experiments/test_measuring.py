"""What was measured is read back, of the cells that were asked for and no others; what was sampled is said."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from clients.evaluation import LARGEST_SCORES
from scenarios.experiments.cells import cells
from scenarios.experiments.limits import limits
from scenarios.experiments.measuring import kept_metrics, kept_weights, site_folder
from scenarios.experiments.report.record import METRICS_SCHEMA, BlendWeight, Cell
from scenarios.experiments.spec import ExperimentSpec, Limits, Privacy

SPEC = ExperimentSpec(
    title="t", platforms=("a", "b", "c"), systems=("federated",), privacy=Privacy(epsilons=(8.0,))
)
ASKED = cells(SPEC)
EVERY = (*ASKED, Cell("alone", 1, None))


def keep(folder: Path, cell: Cell, platform: str) -> None:
    row = [platform, cell.system, cell.seed, cell.epsilon, 0, "new", "ndcg@10", 0.5]
    site = site_folder(folder, cell, platform)
    site.mkdir(parents=True)
    pl.DataFrame([row], schema=METRICS_SCHEMA, orient="row").write_parquet(site / "metrics.parquet")


def test_metrics_of_other_cells_and_platforms_are_left_where_they_are(tmp_path: Path) -> None:
    for cell in (*EVERY, Cell("federated", 1, 3.0)):
        for platform in ("a", "b", "left"):
            keep(tmp_path, cell, platform)
    found = kept_metrics(SPEC, tmp_path, ASKED, ["a", "b"])
    assert set(found.select("platform", "system", "seed", "epsilon").rows()) == {
        (platform, cell.system, cell.seed, cell.epsilon) for platform in ("a", "b") for cell in EVERY
    }


def test_a_cell_that_was_not_measured_is_missed(tmp_path: Path) -> None:
    for cell in ASKED:
        keep(tmp_path, cell, "a")
    with pytest.raises(FileNotFoundError, match="alone-1"):
        kept_metrics(SPEC, tmp_path, ASKED, ["a"])


def ground_of(spec: ExperimentSpec, items: int) -> Any:
    """One platform of three users and as many ``items``."""
    each = SimpleNamespace(lengths=np.ones(3, np.int64))
    test: Any = SimpleNamespace(new=each, repeat=each)
    platform = SimpleNamespace(split=SimpleNamespace(test=test), catalog=SimpleNamespace(texts=range(items)))
    scenario = SimpleNamespace(
        source=SimpleNamespace(departments=()), relations=SimpleNamespace(shares_people_with=())
    )
    data = SimpleNamespace(platform=platform)
    return SimpleNamespace(spec=spec, scenarios={"a": scenario}, data=lambda _: data)


@pytest.mark.parametrize(("items", "said"), [(LARGEST_SCORES // 2, True), (LARGEST_SCORES // 3, False)])
def test_a_platform_with_too_many_scores_is_said_to_be_sampled(items: int, *, said: bool) -> None:
    sampled = "The figures of a are of 2 users drawn at random from the 3 it could ask"
    assert any(limit.startswith(sampled) for limit in limits(ground_of(SPEC, items))) is said


def test_all_that_was_sampled_stands_in_the_first_limit() -> None:
    sampled = SPEC.model_copy(update={"limits": Limits(users=400, items=800)})
    first, *others = limits(ground_of(sampled, 9))
    assert "A sample of users took part, 400 " in first
    assert "At most 800 items of each catalogue were kept" in first
    assert tuple(others) == limits(ground_of(SPEC, 9))


def test_the_weights_of_every_system_are_read_back(tmp_path: Path) -> None:
    """Of what is built on the standalone choice, of that itself, and of both tasks; of others there are none."""
    cell = Cell("federated", 1, 8.0)
    kept: dict[Cell, dict[str, dict[str, float]]] = {
        ASKED[0]: {"zero-exchange": {}},
        Cell("alone", 1, None): {"alone": {"new": 0.2}},
        Cell("federated", 1, None): {"federated": {"new": 0.6}},
        cell: {"federated": {"new": 0.0, "repurchase": 0.1}, "federated-ungated": {"new": 0.35}},
    }
    for one, systems in kept.items():
        site = site_folder(tmp_path, one, "a")
        site.mkdir(parents=True)
        gates = {
            system: {"gates": {task: {"weight": weight} for task, weight in weights.items()}}
            for system, weights in systems.items()
        }
        (site / "measured.json").write_text(json.dumps(gates))
    assert set(kept_weights(SPEC, tmp_path, ASKED, "a")) == {
        BlendWeight("a", Cell("alone", 1, None), "new", 0.2),
        BlendWeight("a", Cell("federated", 1, None), "new", 0.6),
        BlendWeight("a", cell, "new", 0.0),
        BlendWeight("a", cell, "repurchase", 0.1),
        BlendWeight("a", Cell("federated-ungated", 1, 8.0), "new", 0.35),
    }
