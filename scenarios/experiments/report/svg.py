"""Geometry of the report's charts: frozen values in pixels, which ``charts.html.j2`` draws.

Nothing here makes markup, so nothing here can forget to escape a label.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

_TICKS: Final = 5
_ROW: Final = 28


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure to draw: ``mean`` between ``low`` and ``high``; ``tone`` is a CSS class."""

    label: str
    mean: float
    low: float
    high: float
    tone: str = "plain"
    text: str = ""


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear map from values in [``low``, ``high``] to pixels from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel of ``value``, to a tenth."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> tuple[float, ...]:
        """About five round values within the axis."""
        step = nice_step((self.high - self.low) / _TICKS)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return tuple(round(index * step, 12) for index in range(first, last + 1))


def nice_step(rough: float) -> float:
    """The smallest of 1, 2, 2.5, 5 × 10ᵏ that is at least ``rough``."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(nice * power for nice in (1, 2, 2.5, 5, 10) if nice * power >= rough * (1 - 1e-9))


def fitted(values: Iterable[float], start: float, end: float) -> Axis:
    """An axis that holds all ``values`` and 5 % of air; a lone value gets room around it."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    air = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
    return Axis(low - air, high + air, start, end)


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: where, and the value that stands there."""

    at: float
    value: float


@dataclass(frozen=True, slots=True)
class Whisker:
    """One interval of a chart, in pixels along the value axis, at ``across`` on the other one."""

    shown: Interval
    across: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Forest:
    """Intervals below each other; with a ``zero`` line and the ``band`` around it that counts as no difference."""

    width: float
    height: float
    left: float
    right: float
    zero: float | None
    band: tuple[float, float] | None
    ticks: tuple[Tick, ...]
    whiskers: tuple[Whisker, ...]


def forest(
    intervals: Sequence[Interval],
    *,
    band: float | None,
    labels: float = 190,
    values: float = 190,
    width: float = 760,
) -> Forest:
    """Lay out ``intervals`` by row. ``band``: half-width of no difference, or ``None`` for an axis without zero."""
    around = () if band is None else (-band, band)
    shown = (value for one in intervals for value in (one.low, one.high))
    axis = fitted([*around, *shown], labels, width - values)
    whiskers = tuple(_whisker(one, axis, _ROW * (row + 0.5)) for row, one in enumerate(intervals))
    return Forest(
        width=width,
        height=_ROW * len(intervals) + 26,
        left=labels,
        right=width - values,
        zero=None if band is None else axis.at(0.0),
        band=None if band is None else (axis.at(-band), axis.at(band)),
        ticks=_ticks(axis),
        whiskers=whiskers,
    )


def _ticks(axis: Axis) -> tuple[Tick, ...]:
    return tuple(Tick(axis.at(value), value) for value in axis.ticks())


def _whisker(shown: Interval, axis: Axis, across: float) -> Whisker:
    return Whisker(shown, round(across, 1), axis.at(shown.mean), axis.at(shown.low), axis.at(shown.high))


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line: a system that has no ε, with its interval as a band."""

    shown: Interval
    at: float
    top: float
    bottom: float
    text_at: float


@dataclass(frozen=True, slots=True)
class Utility:
    """Quality against ε: one whisker per ε, and the systems without ε as levels."""

    width: float
    height: float
    left: float
    right: float
    ticks: tuple[Tick, ...]
    whiskers: tuple[Whisker, ...]
    levels: tuple[Level, ...]


def utility(
    points: Sequence[Interval], levels: Sequence[Interval], *, width: float = 470, height: float = 250
) -> Utility:
    """Lay out ``points`` from left to right in their order, and ``levels`` across the whole chart."""
    left, right = 52.0, width - 108.0
    axis = fitted((value for one in (*points, *levels) for value in (one.low, one.high)), height - 34, 12)
    room = (right - left) / max(len(points), 1)
    whiskers = tuple(_whisker(one, axis, left + room * (place + 0.5)) for place, one in enumerate(points))
    ordered = sorted(levels, key=lambda level: -level.mean)
    heights = apart([axis.at(level.mean) for level in ordered], 13, height - 34)
    lines = tuple(
        Level(level, axis.at(level.mean), axis.at(level.high), axis.at(level.low), at)
        for level, at in zip(ordered, heights, strict=True)
    )
    return Utility(width, height, left, right, _ticks(axis), whiskers, lines)


def apart(places: Sequence[float], gap: float, limit: float) -> tuple[float, ...]:
    """Move ascending ``places`` by as little as keeps labels ``gap`` apart and above ``limit``."""
    pushed = list(accumulate(places, lambda before, place: max(place, before + gap)))
    over = max(0.0, pushed[-1] - limit) if pushed else 0.0
    return tuple(round(place - over, 1) for place in pushed)


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a bar."""

    name: str
    value: float
    start: float
    width: float
    tone: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One stacked bar with its total."""

    label: str
    top: float
    total: float
    end: float
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Bars:
    """Stacked bars below each other, from a common zero."""

    width: float
    height: float
    left: float
    ticks: tuple[Tick, ...]
    bars: tuple[Bar, ...]
    names: tuple[str, ...]


def stacked(
    rows: Sequence[tuple[str, Mapping[str, float]]], *, labels: float = 120, width: float = 760
) -> Bars:
    """Lay out ``(label, parts)`` rows; parts keep the order and colour of their first appearance."""
    names = tuple(dict.fromkeys(name for _, parts in rows for name in parts))
    longest = max((sum(parts.values()) for _, parts in rows), default=0.0)
    axis = Axis(0.0, longest or 1.0, labels, width - 90)
    bars = tuple(_bar(label, parts, names, axis, row * _ROW) for row, (label, parts) in enumerate(rows))
    return Bars(width, _ROW * len(rows) + 26, labels, _ticks(axis), bars, names)


def _bar(label: str, parts: Mapping[str, float], names: Sequence[str], axis: Axis, top: float) -> Bar:
    present = [name for name in names if name in parts]
    edges = [axis.at(edge) for edge in accumulate((parts[name] for name in present), initial=0.0)]
    drawn = tuple(
        Part(name, parts[name], start, round(end - start, 1), names.index(name))
        for name, (start, end) in zip(present, pairwise(edges), strict=True)
    )
    return Bar(label, top, sum(parts.values()), edges[-1], drawn)
