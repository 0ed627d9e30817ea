"""From the groups' sums to one update: which are within the bound, and what lies in their middle. Pure."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from common.deltas import AggregateDelta, Floats
from common.errors import AggregationAborted
from common.robust import RobustTerms, Statistic
from server.outcome import GroupOutcome

Sums = Mapping[tuple[str, ...], AggregateDelta | AggregationAborted]
"""By group (of the whole round: one): its mean update, or why it has none."""


def judge(sums: Sums, terms: RobustTerms) -> tuple[Floats | None, tuple[GroupOutcome, ...]]:
    """The update that the groups within the norm bound give, float32 (d,), and what became of each group.

    The update is None when no group is left.
    """
    groups = tuple(_group(platforms, found, terms.norm_bound) for platforms, found in sums.items())
    left = [
        found
        for found, group in zip(sums.values(), groups, strict=True)
        if isinstance(found, AggregateDelta) and not group.excluded
    ]
    return (combine(left, terms.statistic or "mean") if left else None), groups


def norm(mean: Floats) -> float:
    """The L2 norm, in float64: no coordinate is so large that its square overflows."""
    return float(np.linalg.norm(mean.astype(np.float64)))


def combine(deltas: Sequence[AggregateDelta], statistic: Statistic) -> Floats:
    """One update from the groups' means, each (d,).

    ``mean`` weighs groups by their platforms' weights: the mean over all platforms, as without groups. ``median``
    and ``trimmed-mean`` go by coordinate and count every group once, whatever it weighs: a heavy platform would
    otherwise need no accomplice. Trimmed are the lowest and the highest quarter, one of each at least where three
    are left (Yin et al., "Byzantine-robust distributed learning", ICML 2018).
    """
    means = np.stack([delta.mean for delta in deltas]).astype(np.float64)
    if statistic == "mean":
        return np.average(means, axis=0, weights=[delta.weight for delta in deltas]).astype(np.float32)
    middle = np.median(means, axis=0) if statistic == "median" else _trimmed(means)
    return np.asarray(middle, np.float32)


def _trimmed(means: NDArray[np.float64]) -> NDArray[np.float64]:
    count = len(means)
    cut = min(max(1, count // 4), (count - 1) // 2)
    return np.asarray(np.sort(means, axis=0)[cut : count - cut].mean(axis=0))


def _group(
    platforms: tuple[str, ...], found: AggregateDelta | AggregationAborted, bound: float
) -> GroupOutcome:
    if isinstance(found, AggregationAborted):
        return GroupOutcome(platforms=platforms, norm=None, excluded=type(found).__name__)
    length = norm(found.mean)
    over = "" if length <= bound else f"norm {length:.3g} over {bound:g}"
    return GroupOutcome(platforms=platforms, norm=length, excluded=over)
