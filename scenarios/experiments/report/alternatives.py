"""What else a platform could run alone, where the test users say it is better than what validation chose.

The choice is made before the test users are seen, as in deployment, so it need not be the best on them. Whoever is
picked here was picked by the test users: its interval is not corrected for that, and flatters it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from scenarios.experiments.report.compare import Comparison, Estimate
from scenarios.experiments.report.names import (
    ALONE,
    FEDERATED,
    HEADLINE_METRIC,
    HEADLINE_SLICE,
    RUN_ALONE,
)


@dataclass(frozen=True, slots=True)
class Alternative:
    """A system that needs no other platform, and whose mean on the test users is above the standalone choice's.

    NDCG@10, new items. ``difference``, ``low``, ``high``: to the standalone choice, absolute, paired, 95 %.
    ``federated``: of the federated system at ``epsilon`` to this one (mean, low, high), where that was measured.
    """

    platform: str
    system: str
    epsilon: float | None
    users: int
    mean: float
    reference_mean: float
    difference: float
    low: float
    high: float
    federated: tuple[float, float, float] | None

    @property
    def relative(self) -> tuple[float, float, float]:
        """Difference and interval as shares of the standalone choice's mean; zeros where that is zero."""
        scale = self.reference_mean or float("inf")
        return self.difference / scale, self.low / scale, self.high / scale

    @property
    def federated_relative(self) -> tuple[float, float, float] | None:
        """Federated against this system, as shares of this one's mean, which is above another and so above 0."""
        if self.federated is None:
            return None
        mean, low, high = self.federated
        return mean / self.mean, low / self.mean, high / self.mean

    @property
    def better(self) -> bool:
        """Whether the interval lies above 0."""
        return self.low > 0

    @property
    def above_federated(self) -> bool:
        """Whether its mean is above that of the federated system too."""
        return self.federated is not None and self.federated[0] < 0


def alternatives(compared: Iterable[Comparison], epsilon: float | None) -> tuple[Alternative, ...]:
    """By platform, and there by falling mean; ``epsilon``: of the federated system to compare with."""
    found = (one for c in compared if c.slice == HEADLINE_SLICE for one in _alternatives(c, epsilon))
    return tuple(found)


def strongest(found: Iterable[Alternative]) -> tuple[Alternative, ...]:
    """Of each platform the one with the highest mean."""
    best: dict[str, Alternative] = {}
    for one in found:
        if one.platform not in best or one.mean > best[one.platform].mean:
            best[one.platform] = one
    return tuple(best.values())


def _alternatives(comparison: Comparison, epsilon: float | None) -> Iterator[Alternative]:
    federated = comparison.averaged(FEDERATED, epsilon, HEADLINE_METRIC)
    choice = _choice(comparison, federated)
    if choice is None:
        return
    places = (comparison.averaged(system, None, HEADLINE_METRIC) for system in RUN_ALONE)
    above = [p for p in places if p is not None and comparison.means[p] > comparison.means[choice]]
    for place in sorted(above, key=lambda place: -comparison.means[place]):
        against = None if federated is None else comparison.difference(federated, place)
        yield _alternative(comparison, epsilon, place, choice, against)


def _choice(comparison: Comparison, federated: int | None) -> int | None:
    """What the finding is held against, so that both name one figure: where repeats and seeds differ, the mean
    over the repeats that federated was built on."""
    if federated is None:
        return comparison.averaged(ALONE, None, HEADLINE_METRIC)
    return comparison.reference(comparison.columns[federated], ALONE)


def _alternative(
    comparison: Comparison, epsilon: float | None, place: int, choice: int, federated: Estimate | None
) -> Alternative:
    difference = comparison.difference(place, choice)
    return Alternative(
        platform=comparison.platform,
        system=comparison.columns[place].system,
        epsilon=epsilon,
        users=comparison.users,
        mean=float(comparison.means[place]),
        reference_mean=float(comparison.means[choice]),
        difference=difference.mean,
        low=difference.low,
        high=difference.high,
        federated=None if federated is None else (federated.mean, federated.low, federated.high),
    )
