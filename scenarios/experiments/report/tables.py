"""The cells of the page's tables: relative differences with their intervals, and what was counted."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median

import polars as pl

from scenarios.experiments.report import names
from scenarios.experiments.report.figures import Figures
from scenarios.experiments.report.record import BlendWeight, GateDecision, PrivacyEntry, RoundEntry
from scenarios.experiments.report.rows import Row
from scenarios.experiments.report.verdict import Finding, resolvable

_TEXTLESS = ("ease", "item-knn", "popularity", "popularity-7d")
_BYTES_PER_PARAMETER = 4


@dataclass(frozen=True, slots=True)
class Effect:
    """A relative paired difference (shares, not percent) of ``system`` to ``reference``, uncorrected."""

    system: str
    reference: str
    users: int
    mean: float
    low: float
    high: float

    @property
    def tone(self) -> str:
        """Where the interval lies: ``above``, ``below`` or ``around`` zero."""
        return "above" if self.low > 0 else "below" if self.high < 0 else "around"


def effect(figures: Figures, platform: str, system: str, epsilon: float | None, to: str) -> Effect | None:
    """``system`` at ``epsilon`` against ``to`` without differential privacy, relative to the mean of ``to``."""
    row, reference = figures.row(platform, system, epsilon, against=to), figures.row(platform, to)
    return None if row is None or reference is None else _relative(row, reference)


def _relative(row: Row, reference: Row) -> Effect:
    scale = reference.mean or float("inf")
    difference = (row.difference or 0.0, row.difference_low or 0.0, row.difference_high or 0.0)
    mean, low, high = (value / scale for value in difference)
    return Effect(row.system, reference.system, row.users, mean, low, high)


def ceiling(figures: Figures, platform: str) -> Effect | None:
    """Pooled against the standalone choice: the most that sharing rows could give this model."""
    return effect(figures, platform, names.POOLED, None, names.ALONE)


def text_gain(figures: Figures, platform: str) -> Effect | None:
    """Zero-exchange against the strongest local system without text: what public text alone gives."""
    measured = [system for system in _TEXTLESS if figures.row(platform, system)]
    best = max(measured, key=lambda system: _mean(figures, platform, system), default=None)
    if best is None or (turned := effect(figures, platform, best, None, names.ZERO_EXCHANGE)) is None:
        return None
    ours, theirs = _mean(figures, platform, names.ZERO_EXCHANGE), _mean(figures, platform, best)
    scale = ours / theirs if theirs else 0.0
    return Effect(
        names.ZERO_EXCHANGE,
        best,
        turned.users,
        -turned.mean * scale,
        -turned.high * scale,
        -turned.low * scale,
    )


def _mean(figures: Figures, platform: str, system: str) -> float:
    row = figures.row(platform, system)
    return 0.0 if row is None else row.mean


def gates(decisions: tuple[GateDecision, ...], platform: str, epsilon: float | None) -> list[GateDecision]:
    """What the gate of ``platform`` decided for new items in each repeat of the federated system."""
    return [
        gate
        for gate in decisions
        if (gate.platform, gate.cell.system, gate.cell.epsilon) == (platform, names.FEDERATED, epsilon)
        and gate.task == names.HEADLINE_SLICE
    ]


def blend(
    weights: Iterable[BlendWeight], platform: str, system: str, epsilon: float | None
) -> tuple[float, ...]:
    """λ of ``system`` at ``platform`` for new items, by seed or repeat; empty where it adds no model."""
    here = [
        one
        for one in weights
        if (one.platform, one.cell.system, one.cell.epsilon, one.task)
        == (platform, system, epsilon, names.HEADLINE_SLICE)
    ]
    return tuple(one.weight for one in sorted(here, key=lambda one: one.cell.seed))


def blending(weights: Iterable[BlendWeight]) -> list[tuple[str, float | None]]:
    """Systems that add a model, with their ε, in the report's order: without ε first, then by falling ε."""
    cells = {(one.cell.system, one.cell.epsilon) for one in weights}
    place = {name: n for n, name in enumerate(names.ordered((name for name, _ in cells), names.SYSTEMS))}
    return sorted(cells, key=lambda cell: (place[cell[0]], -(cell[1] or float("inf"))))


def unasked(decisions: Iterable[GateDecision]) -> list[tuple[str, str]]:
    """Platform and task, once each, where a gate had no validation user at all."""
    return list(dict.fromkeys((gate.platform, gate.task) for gate in decisions if not gate.users))


def at(findings: tuple[Finding, ...], platform: str, epsilon: float | None) -> Finding | None:
    """The finding of one platform at one ε."""
    return next((f for f in findings if (f.platform, f.epsilon) == (platform, epsilon)), None)


def smallest(figures: Figures, finding: Finding) -> tuple[float, str] | None:
    """The smallest relative difference that would show, and from which system's interval that is known."""
    if finding.resolvable is not None:
        return finding.resolvable, names.FEDERATED
    local = effect(figures, finding.platform, names.LOCAL_ONLY, None, names.ZERO_EXCHANGE)
    for other in (ceiling(figures, finding.platform), local):
        if other is not None and other.low < other.high:
            return resolvable(other.low, other.high), other.system
    return None


def known_to(figures: Figures, finding: Finding) -> float:
    """Half the width of the standalone choice's own interval, as a share of its mean: how much users differ."""
    row = figures.row(finding.platform, names.ALONE)
    return 0.0 if row is None or not row.mean else (row.high - row.low) / 2 / row.mean


def repeats(rows: tuple[Row, ...], finding: Finding) -> tuple[float, ...]:
    """The relative difference in each repeat behind ``finding``."""
    scale = finding.reference_mean or float("inf")
    return tuple(
        (row.difference or 0.0) / scale
        for row in rows
        if row.seed is not None
        and (row.platform, row.system, row.epsilon) == (finding.platform, names.FEDERATED, finding.epsilon)
        and (row.slice, row.metric) == (names.HEADLINE_SLICE, names.HEADLINE_METRIC)
        and row.difference_to == names.ALONE
    )


def seeds(metrics: pl.DataFrame, *, private: bool) -> list[tuple[str, list[int]]]:
    """Seeds by system; with ``private`` the numbers of the repeats under differential privacy instead."""
    of = metrics.filter(pl.col("epsilon").is_not_null() == private)
    found = dict(of.group_by("system").agg(pl.col("seed").unique().sort()).iter_rows())
    return [(system, found[system]) for system in names.ordered(found, names.SYSTEMS)]


@dataclass(frozen=True, slots=True)
class PlatformTraffic:
    """Bytes of one platform: the median round and the whole run; ``overhead``: upload against plain float32."""

    platform: str
    up: float
    down: float
    total_up: int
    total_down: int
    overhead: float


def traffic(rounds: Iterable[RoundEntry], parameters: int) -> Iterator[PlatformTraffic]:
    """One line per platform that took part."""
    rounds = tuple(rounds)
    for platform in dict.fromkeys(platform for entry in rounds for platform in entry.traffic):
        seen = [entry.traffic[platform] for entry in rounds if platform in entry.traffic]
        up, down = median(one.up for one in seen), median(one.down for one in seen)
        total_up, total_down = sum(one.up for one in seen), sum(one.down for one in seen)
        overhead = up / (_BYTES_PER_PARAMETER * parameters)
        yield PlatformTraffic(platform, up, down, total_up, total_down, overhead)


def ledger(entries: tuple[PrivacyEntry, ...]) -> list[PrivacyEntry]:
    """Entries by falling ε of the plan, the joint figure after the platforms it composes."""
    return sorted(entries, key=lambda entry: (-entry.target, entry.platform == "joint"))
