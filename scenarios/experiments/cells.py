"""The cells of an experiment: each is one system, trained once, with a folder of its own."""

from collections.abc import Sequence

from scenarios.experiments.report.names import ALONE, BUILT_ON_ALONE, FEDERATED, WARM
from scenarios.experiments.report.record import Cell, repeat_alone
from scenarios.experiments.spec import ExperimentSpec

REFERENCES = Cell("references", 1, None)
"""What trains no neural model: popularity, item-item and zero-exchange."""


def cells(spec: ExperimentSpec) -> tuple[Cell, ...]:
    """Every cell. Those without differential privacy repeat by seed, the others by number."""
    repeats = range(1, spec.privacy.repeats + 1)
    private = [
        Cell(system, repeat, epsilon)
        for epsilon in spec.privacy.epsilons
        for system in federations(spec)
        for repeat in repeats
    ]
    seeded = [Cell(system, seed, None) for system in _seeded(spec) for seed in spec.seeds]
    return REFERENCES, *seeded, *private


def federations(spec: ExperimentSpec) -> tuple[str, ...]:
    """The systems that are trained by rounds: one from scratch and, with statistics, one that starts from them."""
    if FEDERATED not in spec.systems:
        return ()
    return (FEDERATED, WARM) if spec.statistics else (FEDERATED,)


def alone(spec: ExperimentSpec, cell: Cell) -> Cell | None:
    """What ``cell`` is built on: the platform's standalone choice in the same repeat. It trains nothing."""
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
    trained = {FEDERATED: federations(spec) if spec.privacy.unprotected else ()}
    return [system for asked in spec.systems for system in trained.get(asked, (asked,))]
