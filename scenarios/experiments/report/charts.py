"""Which figures each chart of the page shows; :mod:`svg` lays them out."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final

from scenarios.experiments.report import names, svg, wording
from scenarios.experiments.report.figures import Figures
from scenarios.experiments.report.record import RoundEntry
from scenarios.experiments.report.verdict import RELEVANT, Finding

_SHOWN_ROUNDS: Final = 24


def uplift(findings: Iterable[Finding]) -> svg.Forest:
    """Relative difference to the best a platform has alone, one line per platform and ε."""
    lines = [
        svg.Interval(
            f"{finding.platform} · {epsilon_title(finding.epsilon)}",
            *finding.relative,
            tone=finding.verdict,
            text=wording.percent_interval(*finding.relative),
        )
        for finding in findings
    ]
    return svg.forest(lines, band=RELEVANT)


def epsilon_title(epsilon: float | None) -> str:
    """``ε = 8`` or ``no DP``."""
    return "no DP" if epsilon is None else f"ε = {epsilon:g}"


def alone(figures: Figures, platform: str) -> svg.Forest:
    """What every system without federation reaches on one platform, and pooled data as the ceiling."""
    systems = [system for system, epsilon in figures.systems(platform) if epsilon is None]
    lines = [
        svg.Interval(
            names.system_title(system),
            row.mean,
            row.low,
            row.high,
            tone="strong" if system == names.ZERO_EXCHANGE else "plain",
            text=wording.quality(row.mean),
        )
        for system in systems
        if not system.startswith(names.FEDERATED) and (row := figures.row(platform, system))
    ]
    return svg.forest(lines, band=None, labels=150, values=70, width=470)


def utility(figures: Figures, platform: str) -> svg.Utility:
    """Quality of the federated system against ε on one platform, between what others reach."""
    points = [
        svg.Interval(epsilon_title(epsilon), row.mean, row.low, row.high, text=wording.quality(row.mean))
        for system, epsilon in figures.systems(platform)
        if system == names.FEDERATED and (row := figures.row(platform, system, epsilon))
    ]
    levels = [
        svg.Interval(names.system_title(system), row.mean, row.low, row.high, tone=system)
        for system in (names.ZERO_EXCHANGE, names.LOCAL_ONLY, names.POOLED)
        if (row := figures.row(platform, system))
    ]
    return svg.utility(points, levels)


def seconds(rounds: Sequence[RoundEntry]) -> svg.Bars:
    """Seconds by phase: a bar per round, or only the median round where there are many."""
    if len(rounds) > _SHOWN_ROUNDS:
        phases = {phase: median(phase_seconds(rounds, phase)) for phase in phases_of(rounds)}
        return svg.stacked([("median round", phases)])
    return svg.stacked([(f"round {entry.number}", entry.seconds_by_phase) for entry in rounds])


def levels(findings: Iterable[Finding]) -> list[float]:
    """Every ε that was tried, falling."""
    return sorted({f.epsilon for f in findings if f.epsilon is not None}, reverse=True)


def phases_of(rounds: Iterable[RoundEntry]) -> list[str]:
    """Every phase once, in the order they ran."""
    return list(dict.fromkeys(phase for entry in rounds for phase in entry.seconds_by_phase))


def phase_seconds(rounds: Iterable[RoundEntry], phase: str) -> list[float]:
    """What ``phase`` took in each round that reached it."""
    return [entry.seconds_by_phase[phase] for entry in rounds if phase in entry.seconds_by_phase]
