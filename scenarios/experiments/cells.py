"""The cells of an experiment: each is one system, trained once, with a folder of its own."""

from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec

REFERENCES = Cell("references", 1, None)
"""What trains no neural model: popularity, item-item and zero-exchange."""


def cells(spec: ExperimentSpec) -> tuple[tuple[Cell, ...], ...]:
    """Every cell, in waves: one wave may build on the results of those before it."""
    first = [REFERENCES]
    if "local-only" in spec.systems:
        first += [Cell("local-only", seed, None) for seed in spec.seeds]
    second = [Cell(system, seed, None) for system in _open_systems(spec) for seed in spec.seeds]
    if "federated" in spec.systems:
        repeats = range(1, spec.privacy.repeats + 1)
        second += [Cell("federated", n, epsilon) for epsilon in spec.privacy.epsilons for n in repeats]
    return tuple(first), tuple(second)


def slug(cell: Cell) -> str:
    """The cell's folder name: ``federated-eps8-1``."""
    epsilon = "" if cell.epsilon is None else f"-eps{cell.epsilon:g}"
    return f"{cell.system}{epsilon}-{cell.seed}"


def _open_systems(spec: ExperimentSpec) -> list[str]:
    wanted = ["federated"] if "federated" in spec.systems and spec.privacy.unprotected else []
    return wanted + [system for system in ("pooled", "pooled-clipped") if system in spec.systems]
