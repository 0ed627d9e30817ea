"""Users drawn again and again: one resampling per platform and slice, from which every interval comes.

All systems of a platform and slice see the same draws of users, so every difference is a paired one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from common.metrics.intervals import bootstrap_means
from scenarios.experiments.report.names import ALONE, BUILT_ON_ALONE
from scenarios.experiments.report.record import repeat_alone

_LOW, _HIGH = 2.5, 97.5
_DECIMALS = 12  # a mean of equal repeats must equal them, or a closed gate would differ from nothing by 1e-17

Floats = NDArray[np.float64]
Repeats = dict[tuple[str, float | None], tuple[int, ...]]


class Column(NamedTuple):
    """One system's values of one metric. ``seed`` is ``None`` for the mean over all repeats, user by user."""

    system: str
    epsilon: float | None
    seed: int | None
    metric: str


class Estimate(NamedTuple):
    """A mean with the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """All systems on the same users of one platform and slice.

    ``means``: shape (k,), one per column. ``draws``: shape (b, k), the same means over resampled users.
    Behind the columns' own places come those of ``paired``: its platform's standalone choice, same repeats.
    """

    platform: str
    slice: str
    users: int
    columns: tuple[Column, ...]
    repeats: Repeats
    paired: dict[Column, int] = field(repr=False)
    means: Floats = field(repr=False)
    draws: Floats = field(repr=False)

    def averaged(self, system: str, epsilon: float | None, metric: str) -> int | None:
        """The place of the column to quote: the mean over repeats, or the only repeat."""
        seeds = self.repeats.get((system, epsilon), ())
        wanted = Column(system, epsilon, seeds[0] if len(seeds) == 1 else None, metric)
        return self.columns.index(wanted) if wanted in self.columns else None

    def reference(self, column: Column, system: str) -> int | None:
        """The place of what ``column`` is compared with: ``system`` without differential privacy.

        Of a system it is built on, the same repeats; of any other the mean over all.
        """
        if system == ALONE and column in self.paired:
            return self.paired[column]
        return self.averaged(system, None, column.metric)

    def mean(self, place: int) -> Estimate:
        """The mean of a column with its interval."""
        return _estimate(float(self.means[place]), self.draws[:, place])

    def difference(self, place: int, reference: int) -> Estimate:
        """The paired difference of two columns with its interval."""
        point = float(self.means[place] - self.means[reference])
        return _estimate(point, self.draws[:, place] - self.draws[:, reference])

    def p_value(self, place: int, reference: int) -> float:
        """Two-sided bootstrap p-value of no difference (Efron and Tibshirani, 1993, 15.4)."""
        drawn = self.draws[:, place] - self.draws[:, reference]
        below, above = np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0)
        return float(min(1.0, 2 * (1 + min(below, above)) / (1 + len(drawn))))

    def recovered(self, place: int, start: int, end: int) -> Estimate | None:
        """The share of the way from ``start`` to ``end`` a column has gone, where there surely is a way."""
        way = self.difference(end, start)
        if way.low <= 0:
            return None
        ratio = (self.draws[:, place] - self.draws[:, start]) / (self.draws[:, end] - self.draws[:, start])
        gone = float(self.means[place] - self.means[start])
        return _estimate(gone / way.mean, ratio)


def _estimate(mean: float, draws: Floats) -> Estimate:
    low, high = np.percentile(draws, (_LOW, _HIGH))
    return Estimate(mean, float(low), float(high))


def comparisons(metrics: pl.DataFrame) -> Iterator[Comparison]:
    """One comparison for each platform and slice, over the users every system was measured on."""
    for (platform, name), frame in metrics.group_by("platform", "slice", maintain_order=True):
        table = _by_user(frame)
        columns, repeats = tuple(table), _repeats(table)
        alone = _alone(table, repeats)
        values: Floats = np.column_stack([*table.values(), *alone.values()]).round(_DECIMALS)
        if not len(values):
            continue
        paired = {column: len(columns) + place for place, column in enumerate(alone)}
        means, draws = values.mean(axis=0), _draws(values)
        yield Comparison(str(platform), str(name), len(values), columns, repeats, paired, means, draws)


def _alone(table: Mapping[Column, Floats], repeats: Repeats) -> dict[Column, Floats]:
    """For each column built on the standalone choice: that, in the same repeats, user by user."""
    seeds = repeats.get((ALONE, None), ())
    found: dict[Column, Floats] = {}
    for column in table:
        if seeds and column.system in BUILT_ON_ALONE:
            ran = repeats[column.system, column.epsilon] if column.seed is None else (column.seed,)
            bases = [Column(ALONE, None, repeat_alone(n, column.epsilon, seeds), column.metric) for n in ran]
            if all(base in table for base in bases):
                found[column] = np.mean([table[base] for base in bases], axis=0)
    return found


def _draws(values: Floats) -> Floats:
    """Resampled means, (b, k), of ``values``, (users, k); equal columns are drawn once and so stay equal."""
    drawn: dict[bytes, Floats] = {}
    keys = [column.tobytes() for column in values.T]
    for key, column in zip(keys, values.T, strict=True):
        if key not in drawn:
            drawn[key] = bootstrap_means(column)
    return np.column_stack([drawn[key] for key in keys])


def _by_user(frame: pl.DataFrame) -> dict[Column, Floats]:
    """Values by column, all on the same users in the same order; more than one repeat adds their mean."""
    measured = {
        Column(system, epsilon, seed, metric): group.sort("user")
        for (system, epsilon, seed, metric), group in frame.filter(pl.col("value").is_finite()).group_by(
            "system", "epsilon", "seed", "metric", maintain_order=True
        )
    }
    shared = reduce(np.intersect1d, (group["user"].to_numpy() for group in measured.values()))
    table = {
        column: group.filter(pl.col("user").is_in(shared))["value"].to_numpy()
        for column, group in measured.items()
    }
    return {**_mean_over_repeats(table), **table}


def _mean_over_repeats(table: dict[Column, Floats]) -> dict[Column, Floats]:
    repeats: dict[Column, list[Floats]] = {}
    for column, values in table.items():
        repeats.setdefault(column._replace(seed=None), []).append(values)
    return {column: np.mean(values, axis=0) for column, values in repeats.items() if len(values) > 1}


def _repeats(columns: Iterable[Column]) -> Repeats:
    seeds: dict[tuple[str, float | None], set[int]] = {}
    for column in columns:
        if column.seed is not None:
            seeds.setdefault((column.system, column.epsilon), set()).add(column.seed)
    return {cell: tuple(sorted(found)) for cell, found in seeds.items()}
