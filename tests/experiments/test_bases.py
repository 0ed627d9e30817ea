"""What each cell is built on: the best a platform has alone, in the same repeat."""

from itertools import pairwise

from scenarios.experiments.cells import REFERENCES, alone, cells, measured
from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec, Privacy


def asked(seeds: tuple[int, ...], repeats: int) -> ExperimentSpec:
    privacy = Privacy(epsilons=(8.0,), repeats=repeats)
    return ExperimentSpec(title="t", platforms=("a", "b", "c"), seeds=seeds, privacy=privacy)


def test_a_seed_is_built_on_the_same_seed_and_a_repeat_on_the_seeds_in_turn() -> None:
    spec = asked((9, 5), 3)
    assert alone(spec, Cell("federated", 9, None)) == Cell("alone", 9, None)
    assert alone(spec, Cell("pooled", 5, None)) == Cell("alone", 5, None)
    bases = [alone(spec, Cell("federated", repeat, 8.0)) for repeat in (1, 2, 3)]
    assert bases == [Cell("alone", seed, None) for seed in (5, 9, 5)]
    assert alone(spec, REFERENCES) is alone(spec, Cell("local-only", 5, None)) is None


def test_each_base_is_measured_once_and_before_what_is_built_on_it() -> None:
    spec = asked((1, 2), 3)
    order = measured(spec, cells(spec))
    assert len(set(order)) == len(order) == len(cells(spec)) + 2
    for cell in cells(spec):
        if (base := alone(spec, cell)) is not None:
            assert order.index(base) < order.index(cell)
    bases = [base for cell in order if (base := alone(spec, cell)) is not None]
    assert sum(one != other for one, other in pairwise(bases)) == 1
