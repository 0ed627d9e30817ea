"""Geometry of charts with intervals: frozen values in pixels, which ``charts.html.j2`` draws.

Nothing here makes markup, so nothing here can forget to escape a label.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from scenarios.experiments.report.axis import Axis, Tick, TickText, fitted
from scenarios.experiments.report.wording import plain_tick

_ROW: Final = 26
_GROUP_GAP: Final = 12
_FOOT: Final = 26


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure to draw: ``mean`` between ``low`` and ``high``; ``tone`` is a CSS class."""

    label: str
    mean: float
    low: float
    high: float
    tone: str = "plain"
    text: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Whisker:
    """One interval of a chart, in pixels along the value axis, at ``across`` on the other one."""

    shown: Interval
    across: float
    mean: float
    low: float
    high: float
    opens_group: bool = False

    @classmethod
    def of(cls, shown: Interval, axis: Axis, across: float, *, opens_group: bool = False) -> "Whisker":
        """``shown`` on ``axis``."""
        ends = (axis.at(shown.mean), axis.at(shown.low), axis.at(shown.high))
        return cls(shown, round(across, 1), *ends, opens_group)


@dataclass(frozen=True, slots=True)
class Forest:
    """Intervals below each other; ``zero`` and the ``band`` of no difference are missing on an absolute axis."""

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
    band: float | None = None,
    sides: tuple[float, float] = (150, 70),
    width: float = 470,
    text: TickText = plain_tick,
) -> Forest:
    """Lay out ``intervals`` by row. ``band``: half-width of no difference; ``sides``: room left and right."""
    left, right = sides[0], width - sides[1]
    around = () if band is None else (-band, band)
    axis = fitted([*around, *(end for one in intervals for end in (one.low, one.high))], left, right)
    groups = [one.group for one in intervals]
    opens = [place == 0 or groups[place] != groups[place - 1] for place in range(len(groups))]
    gaps = accumulate(_GROUP_GAP if new and place else 0 for place, new in enumerate(opens))
    tops = [_ROW * (place + 0.5) + gap for place, gap in enumerate(gaps)]
    whiskers = (
        Whisker.of(one, axis, top, opens_group=new and bool(one.group))
        for one, top, new in zip(intervals, tops, opens, strict=True)
    )
    return Forest(
        width=width,
        height=(tops[-1] if tops else 0.0) + _ROW / 2 + _FOOT,
        left=left,
        right=right,
        zero=None if band is None else axis.at(0.0),
        band=None if band is None else (axis.at(-band), axis.at(band)),
        ticks=axis.ticks(text),
        whiskers=tuple(whiskers),
    )


@dataclass(frozen=True, slots=True)
class Level:
    """A line across the chart with its interval as a band; ``text_at`` keeps labels apart."""

    shown: Interval
    at: float
    top: float
    bottom: float
    text_at: float


@dataclass(frozen=True, slots=True)
class Utility:
    """Quality against ε: a whisker for each ε, and levels for what has none."""

    width: float
    height: float
    left: float
    right: float
    ticks: tuple[Tick, ...]
    whiskers: tuple[Whisker, ...]
    levels: tuple[Level, ...]


def utility(
    points: Sequence[Interval],
    levels: Sequence[Interval],
    *,
    width: float = 470,
    height: float = 240,
    band: float = 0.0,
    text: TickText = plain_tick,
) -> Utility:
    """Lay out ``points`` from left to right, ``levels`` across the chart; its axis shows at least ±``band``."""
    left, right = 62.0, width - 84.0
    foot = height - 30
    ends = (end for one in (*points, *levels) for end in (one.low, one.high))
    axis = fitted([-band, band, *ends], foot, 10)
    room = (right - left) / max(len(points), 1)
    whiskers = tuple(Whisker.of(one, axis, left + room * (place + 0.5)) for place, one in enumerate(points))
    falling = sorted(levels, key=lambda level: -level.mean)
    heights = apart([axis.at(level.mean) for level in falling], 15, foot)
    drawn = tuple(
        Level(level, axis.at(level.mean), axis.at(level.high), axis.at(level.low), at)
        for level, at in zip(falling, heights, strict=True)
    )
    return Utility(width, height, left, right, axis.ticks(text), whiskers, drawn)


def apart(places: Sequence[float], gap: float, limit: float) -> tuple[float, ...]:
    """Move ascending ``places`` by as little as keeps labels ``gap`` apart and above ``limit``."""
    pushed = list(accumulate(places, lambda before, place: max(place, before + gap)))
    over = max(0.0, pushed[-1] - limit) if pushed else 0.0
    return tuple(round(place - over, 1) for place in pushed)
