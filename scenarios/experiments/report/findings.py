"""Findings: federated systems against the standalone choice, corrected for having tried several."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from common.metrics.intervals import holm
from scenarios.experiments.report.compare import Comparison
from scenarios.experiments.report.names import (
    ALONE,
    FEDERATED,
    HEADLINE_METRIC,
    HEADLINE_SLICE,
    POOLED,
    ZERO_EXCHANGE,
)
from scenarios.experiments.report.verdict import Finding


def find(
    compared: Iterable[Comparison],
    untested: Collection[tuple[str, float | None]] = (),
    name: str = HEADLINE_SLICE,
) -> tuple[Finding, ...]:
    """One finding per platform and ε on one slice; Holm's correction covers all of them together.

    ``untested``: platform and ε where no gate could open for want of validation users.
    """
    found = tuple(finding for one in compared if one.slice == name for finding in _findings(one))
    corrected = holm([finding.p_holm for finding in found])
    return tuple(
        replace(finding, p_holm=float(p), untested=(finding.platform, finding.epsilon) in untested)
        for finding, p in zip(found, corrected, strict=True)
    )


def _findings(comparison: Comparison) -> Iterator[Finding]:
    for system, epsilon in comparison.repeats:
        place = comparison.averaged(system, epsilon, HEADLINE_METRIC)
        if system == FEDERATED and place is not None:
            reference = comparison.reference(comparison.columns[place], ALONE)
            if reference is not None:
                yield _finding(comparison, place, reference)


def _finding(comparison: Comparison, place: int, reference: int) -> Finding:
    column, difference = comparison.columns[place], comparison.difference(place, reference)
    return Finding(
        platform=comparison.platform,
        epsilon=column.epsilon,
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
