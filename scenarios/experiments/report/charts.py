"""Which figures each chart of the page shows; :mod:`svg` and :mod:`bars` lay them out."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final

from scenarios.experiments.report import names, svg, told, wording
from scenarios.experiments.report.bars import Bars, stacked
from scenarios.experiments.report.figures import Figures
from scenarios.experiments.report.record import RoundEntry
from scenarios.experiments.report.tables import PlatformTraffic, ceiling
from scenarios.experiments.report.verdict import RELEVANT, Finding

_SHOWN_ROUNDS: Final = 24


def uplift(findings: Iterable[Finding]) -> svg.Forest:
    """Relative difference to the standalone choice, one line per platform and ε."""
    lines = [_line(finding) for finding in findings]
    return svg.forest(lines, band=RELEVANT, sides=(190, 190), width=860, text=wording.percent_tick)


def _line(finding: Finding) -> svg.Interval:
    return svg.Interval(
        epsilon_title(finding.epsilon),
        *finding.relative,
        tone=finding.verdict,
        text=told.figure(finding),
        group=finding.platform,
    )


def epsilon_title(epsilon: float | None) -> str:
    """``ε = 8`` or ``no DP``."""
    return "no DP" if epsilon is None else f"ε = {epsilon:g}"


def alone(figures: Figures, platform: str) -> svg.Forest:
    """What every system without federation reaches on one platform, and pooled as the ceiling."""
    federated = (names.FEDERATED, names.UNGATED, names.WARM, names.WARM_UNGATED)
    lines = [
        svg.Interval(
            names.system_title(system),
            row.mean,
            row.low,
            row.high,
            tone="strong" if system == names.ZERO_EXCHANGE else "plain",
            text=wording.quality(row.mean),
        )
        for system, epsilon in figures.systems(platform)
        if system not in federated and epsilon is None and (row := figures.row(platform, system))
    ]
    return svg.forest(lines)


def utility(findings: Iterable[Finding], figures: Figures, platform: str) -> svg.Utility:
    """What the federated system adds on one platform, by ε, and what pooled data would add to the same."""
    here = [finding for finding in findings if finding.platform == platform]
    levels = [svg.Interval("standalone", 0.0, 0.0, 0.0, tone="alone")]
    if here and (most := ceiling(figures, platform)):
        levels.append(svg.Interval("pooled", most.mean, most.low, most.high, tone="pooled"))
    points = [_line(finding) for finding in here]
    return svg.utility(points, levels, band=RELEVANT, text=wording.percent_tick)


def seconds(rounds: Sequence[RoundEntry]) -> Bars:
    """Seconds by phase: a bar per round, or only the median round where there are many."""
    if len(rounds) > _SHOWN_ROUNDS:
        phases = {phase: median(phase_seconds(rounds, phase)) for phase in phases_of(rounds)}
        return stacked([("median round", phases)], wording.duration)
    return stacked([(f"round {entry.number}", entry.seconds_by_phase) for entry in rounds], wording.duration)


def bytes_a_round(traffic: Iterable[PlatformTraffic]) -> Bars:
    """Bytes up and down in the median round, a bar per platform."""
    return stacked([(one.platform, {"up": one.up, "down": one.down}) for one in traffic], wording.size)


def levels(findings: Iterable[Finding]) -> list[float]:
    """Every ε that was tried, falling."""
    return sorted({f.epsilon for f in findings if f.epsilon is not None}, reverse=True)


def phases_of(rounds: Iterable[RoundEntry]) -> list[str]:
    """Every phase once, in the order they ran."""
    return list(dict.fromkeys(phase for entry in rounds for phase in entry.seconds_by_phase))


def phase_seconds(rounds: Iterable[RoundEntry], phase: str) -> list[float]:
    """What ``phase`` took in each round that reached it."""
    return [entry.seconds_by_phase[phase] for entry in rounds if phase in entry.seconds_by_phase]
