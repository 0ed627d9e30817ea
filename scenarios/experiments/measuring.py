"""Measuring every cell at one platform; its heads are fitted once, its metrics stay in its site folders."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl

from clients.evaluation import Evaluation, Evaluator, System
from common.data.sequences import Sequences
from common.deltas import Floats
from common.files import write_atomically
from common.model.scorer import Scorer
from scenarios.experiments.cells import REFERENCES, alone, measured, slug
from scenarios.experiments.ground import Ground
from scenarios.experiments.report.names import ALONE, LOCAL_ONLY
from scenarios.experiments.report.record import METRICS_SCHEMA, BlendWeight, Cell, GateDecision
from scenarios.experiments.spec import ExperimentSpec
from scenarios.experiments.training import trained

Measured = Callable[[int], None]

_METRICS = "metrics.parquet"
_MEASURED = "measured.json"


def measure_platform(
    ground: Ground, platform: str, asked: Sequence[Cell], folder: Path, told: Measured
) -> None:
    """Write ``metrics.parquet`` and ``measured.json`` of each cell, and of what it is built on, into the
    platform's site folder there; ``told`` counts those asked for.
    """
    bench, done = _Bench(ground, platform, folder), 0
    for cell in measured(ground.spec, asked):
        _keep(site_folder(folder, cell, platform), platform, cell, list(bench.evaluations(cell)))
        done += cell in asked
        told(done)


def site_folder(folder: Path, cell: Cell, platform: str) -> Path:
    """Where a platform keeps what it measured in a cell."""
    return folder / slug(cell) / "sites" / platform


class _Bench:
    """One platform with its evaluator; federated and pooled systems are built on the standalone choice."""

    def __init__(self, ground: Ground, platform: str, folder: Path) -> None:
        data = ground.data(platform)
        self._features = data.features(ground.basis)
        self._ground, self._platform, self._folder = ground, platform, folder
        self._evaluator = Evaluator(platform, self._features, data.platform.split)
        self._built: dict[Cell, System] = {}

    def evaluations(self, cell: Cell) -> Iterator[Evaluation]:
        """What ``cell`` gives here; the references are several systems at once."""
        evaluator = self._evaluator
        match cell.system:
            case REFERENCES.system:
                yield from evaluator.baselines()
                yield evaluator.measure(evaluator.zero_exchange)
            case "local-only":
                yield evaluator.measure(self._extended(cell, evaluator.zero_exchange, gated=False))
            case "alone":
                yield evaluator.measure(self._alone(cell))
            case "federated" | "federated-warm":
                base = self._base(cell)
                yield evaluator.measure(self._extended(cell, base, gated=True))
                # With the shared model whatever its gate says, so that a closed gate hides nothing in the report.
                open_system = self._extended(cell, base, gated=False)
                yield evaluator.measure(replace(open_system, name=f"{cell.system}-ungated"))
            case _:
                yield evaluator.measure(self._extended(cell, self._base(cell), gated=False))

    def _base(self, cell: Cell) -> System:
        base = alone(self._ground.spec, cell)
        return self._evaluator.zero_exchange if base is None else self._alone(base)

    def _alone(self, cell: Cell) -> System:
        """The standalone choice: zero-exchange, with the platform's own model where its own gate lets it."""
        if cell not in self._built:
            self._built = {cell: self._run_alone(cell)}  # one at a time: it holds the scores of all users
        return self._built[cell]

    def _run_alone(self, cell: Cell) -> System:
        zero_exchange = self._evaluator.zero_exchange
        if LOCAL_ONLY not in self._ground.spec.systems:
            return replace(zero_exchange, name=ALONE)
        own = replace(cell, system=LOCAL_ONLY)
        return replace(self._extended(own, zero_exchange, gated=True), name=ALONE)

    def _extended(self, cell: Cell, base: System, *, gated: bool) -> System:
        vector = trained(self._folder / slug(cell), self._platform)
        return self._evaluator.extend(cell.system, base, self._scores(vector), gated=gated)

    def _scores(self, vector: Floats) -> Callable[[Sequences], Floats]:
        return partial(Scorer(vector, self._ground.spec.model.size).scores, features=self._features)


def _kept(folder: Path, cell: Cell, platform: str) -> dict[str, Any]:
    """By system, what else was kept of ``cell``."""
    kept: dict[str, Any] = json.loads((site_folder(folder, cell, platform) / _MEASURED).read_bytes())
    return kept


def _keep(site: Path, platform: str, cell: Cell, evaluations: Sequence[Evaluation]) -> None:
    site.mkdir(parents=True, exist_ok=True)
    labels = {"platform": platform, "seed": cell.seed, "epsilon": cell.epsilon}
    frame = pl.concat([evaluation.frame for evaluation in evaluations]).with_columns(
        pl.lit(value, METRICS_SCHEMA[name]).alias(name) for name, value in labels.items()
    )
    content = BytesIO()
    frame.select(METRICS_SCHEMA.names()).write_parquet(content)
    write_atomically(site / _METRICS, content.getvalue())
    kept = {
        evaluation.system: {
            "gates": {task: asdict(gate) for task, gate in evaluation.gates.items()},
            "lists": evaluation.lists,
        }
        for evaluation in evaluations
    }
    write_atomically(site / _MEASURED, json.dumps(kept).encode())


def kept_weights(
    spec: ExperimentSpec, folder: Path, asked: Sequence[Cell], platform: str
) -> Iterator[BlendWeight]:
    """λ for each task at a platform, of every system measured in these cells that adds a model to another."""
    for cell in measured(spec, asked):
        for system, kept in _kept(folder, cell, platform).items():
            for task, gate in kept["gates"].items():
                yield BlendWeight(platform, replace(cell, system=system), task, gate["weight"])


def kept_gates(folder: Path, cell: Cell, platform: str) -> Iterator[GateDecision]:
    """The gate's decision for each task at a platform, of the system that ``cell`` trained."""
    for task, gate in _kept(folder, cell, platform)[cell.system]["gates"].items():
        figures = {name: gate[name] for name in ("weight", "gain", "low", "high", "reason", "users")}
        yield GateDecision(platform=platform, cell=cell, task=task, **figures)


def kept_metrics(
    spec: ExperimentSpec, folder: Path, asked: Sequence[Cell], platforms: Iterable[str]
) -> pl.DataFrame:
    """The per-user metrics of exactly these cells, and of what they are built on, at these platforms."""
    sites = [site_folder(folder, cell, platform) for platform in platforms for cell in measured(spec, asked)]
    return pl.concat([pl.read_parquet(site / _METRICS) for site in sites])
