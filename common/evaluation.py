"""How well the shared model ranks for all platforms' users together: one noisy sum of metrics, charged.

Without it, metrics stay at the platforms. With it, each user adds a count and, for each system compared, the
metrics of one ranking of the full catalogue; what is published are quotients of noisy sums over everybody.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from common.whole_sum import WholeSumTerms

Doubles = NDArray[np.float64]

METRICS: Final = ("ndcg@10", "recall@10", "mrr@10")
SYSTEMS: Final = ("shared", "text")
"""The model of the round, and the text recommender that nothing was fitted to."""

SIZE: Final = 1 + len(SYSTEMS) * len(METRICS)
"""How many numbers a sum has: the users, then each system's metrics."""

_CLEAR: Final = 10.0  # standard deviations of noise that a count of users must have


class MetricsTerms(WholeSumTerms):
    """What the charter says of the metrics."""


def packed(values: Doubles) -> Doubles:
    """The sum over users of (1, metrics) / √``SIZE``; ``values``: (users, ``SIZE`` − 1), a row for each user.

    Guarantee: adding or removing one user changes it by a vector of L2 norm 1 at most, since every metric lies
    in [0, 1]; what lies outside is clipped, what is not a number counts as 0.
    Refuses: nothing.
    """
    bounded = np.clip(np.nan_to_num(values, nan=0.0), 0.0, 1.0)
    return np.concatenate([[len(bounded)], bounded.sum(axis=0)]) / math.sqrt(SIZE)


class ReleasedMetrics(BaseModel):
    """What was released: ``users`` is noisy; ``means`` and their ``errors`` by system and metric.

    An error is the standard deviation that the noise alone gives the mean, to first order. ``means`` is empty
    where the noisy count is too small to divide by.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    users: float
    means: dict[str, dict[str, float]]
    errors: dict[str, dict[str, float]]

    @classmethod
    def of(cls, total: Doubles, noise: float) -> "ReleasedMetrics":
        """From the noisy sum over all platforms, (``SIZE``,), and the standard deviation of its noise."""
        counts, spread = total * math.sqrt(SIZE), noise * math.sqrt(SIZE)
        users = float(counts[0])
        if users <= max(_CLEAR * spread, 0.0):
            return cls(users=users, means={}, errors={})
        means = np.clip(counts[1:] / users, 0.0, 1.0)
        errors = spread / users * np.sqrt(1 + means**2)
        return cls(users=users, means=_by_name(means), errors=_by_name(errors))


def _by_name(values: Doubles) -> dict[str, dict[str, float]]:
    rows = values.reshape(len(SYSTEMS), len(METRICS))
    return {
        system: dict(zip(METRICS, map(float, row), strict=True))
        for system, row in zip(SYSTEMS, rows, strict=True)
    }
