"""The cells of an experiment: each is one system, trained once, with a folder of its own."""

from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec

REFERENCES = Cell("references", 1, None)
"""What trains no neural model: popularity, item-item and zero-exchange."""


def cells(spec: ExperimentSpec) -> tuple[Cell, ...]:
    """Every cell. Those without differential privacy repeat by seed, the others by number."""
    repeats = range(1, spec.privacy.repeats + 1)
    private = [Cell("federated", repeat, epsilon) for epsilon in spec.privacy.epsilons for repeat in repeats]
    seeded = [Cell(system, seed, None) for system in _seeded(spec) for seed in spec.seeds]
    return REFERENCES, *seeded, *(private if "federated" in spec.systems else [])


def slug(cell: Cell) -> str:
    """The cell's folder name: ``federated-eps8-1``."""
    epsilon = "" if cell.epsilon is None else f"-eps{cell.epsilon:g}"
    return f"{cell.system}{epsilon}-{cell.seed}"


def _seeded(spec: ExperimentSpec) -> list[str]:
    return [system for system in spec.systems if system != "federated" or spec.privacy.unprotected]
