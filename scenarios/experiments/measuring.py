"""Measuring every cell at one platform; its heads are fitted once, its metrics stay in its site folders."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import polars as pl

from clients.evaluation import Evaluation, Evaluator, System
from common.data.sequences import Sequences
from common.deltas import Floats
from common.files import write_atomically
from common.model.scorer import Scorer
from scenarios.experiments.cells import REFERENCES, slug
from scenarios.experiments.ground import Ground
from scenarios.experiments.report.record import METRICS_SCHEMA, Cell, GateDecision
from scenarios.experiments.training import trained

Measured = Callable[[int], None]

UNGATED = "federated-ungated"


def measure_platform(
    ground: Ground, platform: str, cells: Iterable[Cell], folder: Path, told: Measured
) -> None:
    """Write ``metrics.parquet`` and ``gates.json`` of each cell into the platform's site folder there."""
    bench = _Bench(ground, platform, folder)
    for number, cell in enumerate(sorted(cells, key=lambda cell: cell.seed), start=1):
        for evaluation in bench.evaluations(cell):
            _keep(site_folder(folder, cell, platform), platform, cell, evaluation)
        told(number)


def site_folder(folder: Path, cell: Cell, platform: str) -> Path:
    """Where a platform keeps what it measured in a cell."""
    return folder / slug(cell) / "sites" / platform


class _Bench:
    """One platform with its evaluator; neural systems are built on the local-only one of the same repeat."""

    def __init__(self, ground: Ground, platform: str, folder: Path) -> None:
        data = ground.data(platform)
        self._features = data.features(ground.basis)
        self._ground, self._platform, self._folder = ground, platform, folder
        self._evaluator = Evaluator(platform, self._features, data.platform.split)
        self._alone: dict[int, System] = {}

    def evaluations(self, cell: Cell) -> Iterator[Evaluation]:
        """What ``cell`` gives here; the references are several systems at once."""
        evaluator = self._evaluator
        match cell.system:
            case REFERENCES.system:
                yield from evaluator.baselines()
                yield evaluator.measure(evaluator.zero_exchange)
            case "local-only":
                yield evaluator.measure(self._extended(cell, evaluator.zero_exchange, gated=False))
            case "federated":
                base = self._best_alone(cell.seed)
                yield evaluator.measure(self._extended(cell, base, gated=True))
                # What the shared model itself gives, so that a closed gate hides nothing in the report.
                yield evaluator.measure(replace(self._extended(cell, base, gated=False), name=UNGATED))
            case _:
                yield evaluator.measure(self._extended(cell, self._best_alone(cell.seed), gated=False))

    def _best_alone(self, repeat: int) -> System:
        """What the platform would run without the federation: its own model, where its own gate lets it."""
        if "local-only" not in self._ground.spec.systems:
            return self._evaluator.zero_exchange
        seeds = self._ground.spec.seeds
        seed = seeds[(repeat - 1) % len(seeds)]
        if seed not in self._alone:
            self._alone = {}  # one at a time: each holds the scores of all users
            self._alone[seed] = self._extended(
                Cell("local-only", seed, None), self._evaluator.zero_exchange, gated=True
            )
        return self._alone[seed]

    def _extended(self, cell: Cell, base: System, *, gated: bool) -> System:
        vector = trained(self._folder / slug(cell), self._platform)
        return self._evaluator.extend(cell.system, base, self._scores(vector), gated=gated)

    def _scores(self, vector: Floats) -> Callable[[Sequences], Floats]:
        return partial(Scorer(vector, self._ground.spec.model.size).scores, features=self._features)


def _keep(site: Path, platform: str, cell: Cell, evaluation: Evaluation) -> None:
    site.mkdir(parents=True, exist_ok=True)
    labels = {"platform": platform, "seed": cell.seed, "epsilon": cell.epsilon}
    frame = evaluation.frame.with_columns(
        pl.lit(value, METRICS_SCHEMA[name]).alias(name) for name, value in labels.items()
    ).select(METRICS_SCHEMA.names())
    frame.write_parquet(site / f"metrics-{evaluation.system}.parquet")
    gates = {task: asdict(gate) for task, gate in evaluation.gates.items()}
    kept = {"gates": gates, "lists": evaluation.lists}
    write_atomically(site / f"measured-{evaluation.system}.json", json.dumps(kept).encode())


def kept_gates(folder: Path, cell: Cell, platform: str) -> Iterator[GateDecision]:
    """The gate's decision for each task, where the cell has a neural part."""
    path = site_folder(folder, cell, platform) / f"measured-{cell.system}.json"
    gates = json.loads(path.read_text())["gates"] if path.exists() else {}
    for task, gate in gates.items():
        figures = {name: gate[name] for name in ("weight", "gain", "low", "high", "reason")}
        yield GateDecision(platform=platform, cell=cell, task=task, **figures)


def kept_metrics(folder: Path) -> pl.DataFrame:
    """Every platform's per-user metrics, read from the site folders the experiment owns."""
    paths = sorted(folder.glob("*/sites/*/metrics-*.parquet"))
    return pl.concat([pl.read_parquet(path) for path in paths])
