"""How sure we are of a mean or of a difference: percentile bootstrap over users, and Holm's correction."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError

Doubles = NDArray[np.float64]

RESAMPLES: Final = 2000
LEVEL: Final = 0.95
_CELLS: Final = 1 << 22  # resamples × users held at once: 16 MB


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over users, its two-sided percentile interval, and the p-value of "the true mean is 0"."""

    mean: float
    low: float
    high: float
    p: float


def bootstrap_interval(
    values: Doubles, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Interval of the mean of ``values`` (users,) by resampling users (Efron, 1979).

    The same ``seed`` and number of users give the same resamples, so that intervals repeat.

    Raises:
        DataError: where there is no user, or a value is NaN.
    """
    if len(values) == 0 or not np.isfinite(values).all():
        raise DataError("no mean over users", why="there is no user, or a value is NaN")
    means = bootstrap_means(values, resamples=resamples, seed=seed)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    tail = 1 + min(np.count_nonzero(means <= 0), np.count_nonzero(means >= 0))
    return Interval(float(values.mean()), float(low), float(high), min(1.0, 2 * tail / (resamples + 1)))


def paired_interval(
    ours: Doubles, theirs: Doubles, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Interval of mean(``ours`` − ``theirs``), both (users,) and of the same users in the same order."""
    return bootstrap_interval(ours - theirs, level=level, resamples=resamples, seed=seed)


def bootstrap_means(values: Doubles, *, resamples: int = RESAMPLES, seed: int = 0) -> Doubles:
    """Means of ``resamples`` resamples of ``values`` (users,) with replacement: float64 (resamples,)."""
    users, mean = len(values), float(values.mean())
    spread = (values - mean).astype(np.float32)  # centred first: float32 then rounds the spread, not the mean
    rows = max(1, min(resamples, _CELLS // users))
    parts = [
        _times_drawn(users, min(rows, resamples - start), seed, start) @ spread
        for start in range(0, resamples, rows)
    ]
    return mean + np.concatenate(parts).astype(np.float64) / users


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that keep the chance of any false finding at the level (Holm, 1979)."""
    adjusted, worst = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = worst
    return adjusted


@lru_cache(maxsize=8)
def _times_drawn(users: int, resamples: int, seed: int, start: int) -> NDArray[np.float32]:
    """How often each resample holds each user: float32 (resamples, users)."""
    drawn = np.random.default_rng([seed, users, start]).integers(0, users, (resamples, users))
    cells = (drawn + users * np.arange(resamples)[:, None]).ravel()
    counts = np.bincount(cells, minlength=resamples * users).reshape(resamples, users)
    return counts.astype(np.float32)
