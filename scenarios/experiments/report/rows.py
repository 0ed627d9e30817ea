"""Rows of ``report.json``: a mean or a paired difference, each with its interval, users, ε and seed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from scenarios.experiments.report.compare import Column, Comparison, Estimate
from scenarios.experiments.report.names import REFERENCES


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, absolute, with its 95 % interval over ``users`` drawn again and again.

    ``seed`` is the repeat, or ``None`` for the mean over repeats, user by user. ``difference_to`` names a
    system without differential privacy; it is ``None`` in the row that compares with nothing.
    """

    platform: str
    system: str
    seed: int | None
    epsilon: float | None
    slice: str
    metric: str
    users: int
    mean: float
    low: float
    high: float
    difference_to: str | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None


def build_rows(compared: Iterable[Comparison]) -> tuple[Row, ...]:
    """Every column of every comparison: once alone, and once against each reference that was run."""
    return tuple(row for comparison in compared for row in _rows(comparison))


def _rows(comparison: Comparison) -> Iterator[Row]:
    for place, column in enumerate(comparison.columns):
        yield (alone := _alone(comparison, place, column))
        for reference in REFERENCES:
            other = comparison.reference(column, reference)
            if other is not None and (reference, None) != (column.system, column.epsilon):
                yield _against(alone, reference, comparison.difference(place, other))


def _alone(comparison: Comparison, place: int, column: Column) -> Row:
    return Row(
        platform=comparison.platform,
        system=column.system,
        seed=column.seed,
        epsilon=column.epsilon,
        slice=comparison.slice,
        metric=column.metric,
        users=comparison.users,
        **comparison.mean(place)._asdict(),
    )


def _against(alone: Row, reference: str, estimate: Estimate) -> Row:
    return replace(
        alone,
        difference_to=reference,
        difference=estimate.mean,
        difference_low=estimate.low,
        difference_high=estimate.high,
    )
