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
    ZERO_EXCHANGE,
)
from scenarios.experiments.report.verdict import Finding


def find(compared: Iterable[Comparison], name: str = HEADLINE_SLICE) -> tuple[Finding, ...]:
    """One finding per platform and ε on one slice; Holm's correction covers all of them together."""
    found = tuple(
        finding for comparison in compared if comparison.slice == name for finding in _findings(comparison)
    )
    corrected = holm([finding.p_holm for finding in found])
    return tuple(replace(finding, p_holm=float(p)) for finding, p in zip(found, corrected, strict=True))


def _findings(comparison: Comparison) -> Iterator[Finding]:
    reference = best_alone(comparison)
    for (system, epsilon), seeds in comparison.repeats.items():
        place = comparison.averaged(system, epsilon, HEADLINE_METRIC)
        if system == FEDERATED and place is not None and reference is not None:
            difference = comparison.difference(place, reference)
            yield Finding(
                platform=comparison.platform,
                epsilon=epsilon,
                reference=comparison.columns[reference].system,
                users=comparison.users,
                repeats=len(seeds),
                mean=float(comparison.means[place]),
                reference_mean=float(comparison.means[reference]),
                difference=difference.mean,
                low=difference.low,
                high=difference.high,
                p_holm=comparison.p_value(place, reference),
                gap=_gap(comparison, place),
            )


def best_alone(comparison: Comparison) -> int | None:
    """The column of the stronger of zero-exchange and local-only: what federation has to beat."""
    alone = [comparison.averaged(system, None, HEADLINE_METRIC) for system in (ZERO_EXCHANGE, LOCAL_ONLY)]
    return max(
        (place for place in alone if place is not None), key=lambda p: comparison.means[p], default=None
    )


def _gap(comparison: Comparison, place: int) -> tuple[float, float, float] | None:
    start = comparison.averaged(ZERO_EXCHANGE, None, HEADLINE_METRIC)
    end = comparison.averaged(POOLED, None, HEADLINE_METRIC)
    return None if start is None or end is None else comparison.recovered(place, start, end)
