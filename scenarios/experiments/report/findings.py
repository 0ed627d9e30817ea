"""Findings: federated systems against the best a platform has alone, corrected for having tried several."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from common.metrics.intervals import holm
from scenarios.experiments.report.compare import Comparison
from scenarios.experiments.report.names import (
    FEDERATED,
    HEADLINE_METRIC,
    HEADLINE_SLICE,
    LOCAL_ONLY,
    POOLED,
    REPURCHASE,
    ZERO_EXCHANGE,
)
from scenarios.experiments.report.verdict import Finding


def find(compared: Iterable[Comparison], name: str = HEADLINE_SLICE) -> tuple[Finding, ...]:
    """One finding per platform and ε on one slice; Holm's correction covers all of them together.

    The reference is chosen over all users of the slice's task, not within the slice: of two systems the one that
    happens to be ahead among thirty users would make every other look worse than it is.
    """
    every = tuple(compared)
    task = REPURCHASE if name == REPURCHASE else HEADLINE_SLICE
    best = {one.platform: best_alone(one) for one in every if one.slice == task}
    found = tuple(
        finding for one in every if one.slice == name for finding in _findings(one, best.get(one.platform))
    )
    corrected = holm([finding.p_holm for finding in found])
    return tuple(replace(finding, p_holm=float(p)) for finding, p in zip(found, corrected, strict=True))


def best_alone(comparison: Comparison) -> str | None:
    """The stronger of zero-exchange and local-only: what federation has to beat."""
    places = {
        system: place
        for system in (ZERO_EXCHANGE, LOCAL_ONLY)
        if (place := comparison.averaged(system, None, HEADLINE_METRIC)) is not None
    }
    return max(places, key=lambda system: comparison.means[places[system]], default=None)


def _findings(comparison: Comparison, best: str | None) -> Iterator[Finding]:
    for system, epsilon in comparison.repeats:
        place = comparison.averaged(system, epsilon, HEADLINE_METRIC)
        if system == FEDERATED and place is not None and best is not None:
            reference = comparison.averaged(_kept(comparison, place) or best, None, HEADLINE_METRIC)
            if reference is not None:
                yield _finding(comparison, place, reference)


def _kept(comparison: Comparison, place: int) -> str | None:
    """The platform's own system that a closed gate left in use; federation did nothing to it, good or bad."""
    for system in (ZERO_EXCHANGE, LOCAL_ONLY):
        own = comparison.averaged(system, None, HEADLINE_METRIC)
        if own is not None and comparison.equal(place, own):
            return system
    return None


def _finding(comparison: Comparison, place: int, reference: int) -> Finding:
    column, difference = comparison.columns[place], comparison.difference(place, reference)
    return Finding(
        platform=comparison.platform,
        epsilon=column.epsilon,
        reference=comparison.columns[reference].system,
        users=comparison.users,
        repeats=len(comparison.repeats[column.system, column.epsilon]),
        mean=float(comparison.means[place]),
        reference_mean=float(comparison.means[reference]),
        difference=difference.mean,
        low=difference.low,
        high=difference.high,
        p_holm=comparison.p_value(place, reference),
        gap=_gap(comparison, place),
    )


def _gap(comparison: Comparison, place: int) -> tuple[float, float, float] | None:
    start = comparison.averaged(ZERO_EXCHANGE, None, HEADLINE_METRIC)
    end = comparison.averaged(POOLED, None, HEADLINE_METRIC)
    return None if start is None or end is None else comparison.recovered(place, start, end)
