"""Measuring every cell at one platform; its heads are fitted once, its metrics stay in its site folders."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
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


def measure_platform(
    ground: Ground, platform: str, cells: Iterable[Cell], folder: Path, told: Measured
) -> None:
    """Write ``metrics.parquet`` and ``gates.json`` of each cell into the platform's site folder there."""
    bench = _Bench(ground, platform, folder)
    for number, cell in enumerate(cells, start=1):
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
        self._local: dict[int, System] = {}

    def evaluations(self, cell: Cell) -> Iterator[Evaluation]:
        """What ``cell`` gives here; the references are several systems at once."""
        evaluator = self._evaluator
        match cell.system:
            case REFERENCES.system:
                yield from evaluator.baselines()
                yield evaluator.measure(evaluator.zero_exchange)
            case "local-only":
                yield evaluator.measure(self._local_only(cell.seed))
            case "federated":
                yield evaluator.measure(self._extended(cell, self._best_alone(cell.seed), gated=True))
            case _:
                yield evaluator.measure(self._extended(cell, self._best_alone(cell.seed), gated=False))

    def _best_alone(self, seed: int) -> System:
        """What the platform would run without the federation."""
        if "local-only" not in self._ground.spec.systems:
            return self._evaluator.zero_exchange
        seeds = self._ground.spec.seeds
        return self._evaluator.better(
            self._evaluator.zero_exchange, self._local_only(seeds[(seed - 1) % len(seeds)])
        )

    def _local_only(self, seed: int) -> System:
        if seed not in self._local:
            cell = Cell("local-only", seed, None)
            self._local = {seed: self._extended(cell, self._evaluator.zero_exchange, gated=False)}
        return self._local[seed]

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


def kept_gates(folder: Path, cell: Cell, platform: str) -> Mapping[str, GateDecision]:
    """The gate's decisions by task, where the cell has a neural part."""
    path = site_folder(folder, cell, platform) / f"measured-{cell.system}.json"
    gates = json.loads(path.read_text())["gates"] if path.exists() else {}
    return {task: GateDecision(platform=platform, cell=cell, **gate) for task, gate in gates.items()}


def kept_metrics(folder: Path) -> pl.DataFrame:
    """Every platform's per-user metrics, read from the site folders the experiment owns."""
    paths = sorted(folder.glob("*/sites/*/metrics-*.parquet"))
    return pl.concat([pl.read_parquet(path) for path in paths])
