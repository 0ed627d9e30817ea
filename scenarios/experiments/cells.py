"""The cells of an experiment: each is one system, trained once, with a folder of its own."""

from collections.abc import Sequence

from scenarios.experiments.report.names import ALONE, BUILT_ON_ALONE
from scenarios.experiments.report.record import Cell, repeat_alone
from scenarios.experiments.spec import ExperimentSpec

REFERENCES = Cell("references", 1, None)
"""What trains no neural model: popularity, item-item and zero-exchange."""


def cells(spec: ExperimentSpec) -> tuple[Cell, ...]:
    """Every cell. Those without differential privacy repeat by seed, the others by number."""
    repeats = range(1, spec.privacy.repeats + 1)
    private = [Cell("federated", repeat, epsilon) for epsilon in spec.privacy.epsilons for repeat in repeats]
    seeded = [Cell(system, seed, None) for system in _seeded(spec) for seed in spec.seeds]
    return REFERENCES, *seeded, *(private if "federated" in spec.systems else [])


def alone(spec: ExperimentSpec, cell: Cell) -> Cell | None:
    """What ``cell`` is built on: the best a platform has alone in the same repeat. It trains nothing."""
    if cell.system not in BUILT_ON_ALONE:
        return None
    return Cell(ALONE, repeat_alone(cell.seed, cell.epsilon, spec.seeds), None)


def measured(spec: ExperimentSpec, asked: Sequence[Cell]) -> tuple[Cell, ...]:
    """``asked`` with what they are built on, each of these once and before whatever is built on it."""
    turns: dict[Cell | None, list[Cell]] = {}
    for cell in asked:
        turns.setdefault(alone(spec, cell), []).append(cell)
    return tuple(cell for base, built in turns.items() for cell in (base, *built) if cell is not None)


def slug(cell: Cell) -> str:
    """The cell's folder name: ``federated-eps8-1``."""
    epsilon = "" if cell.epsilon is None else f"-eps{cell.epsilon:g}"
    return f"{cell.system}{epsilon}-{cell.seed}"


def _seeded(spec: ExperimentSpec) -> list[str]:
    return [system for system in spec.systems if system != "federated" or spec.privacy.unprotected]
