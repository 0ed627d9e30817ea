"""Geometry of stacked bars, in pixels; ``charts.html.j2`` draws them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Final

from scenarios.experiments.report.axis import Axis, Tick

_ROW: Final = 26
_FOOT: Final = 26


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a bar; ``tone`` numbers its colour."""

    name: str
    text: str
    start: float
    width: float
    tone: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One stacked bar, its total written at its ``end``."""

    label: str
    top: float
    text: str
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
    rows: Sequence[tuple[str, Mapping[str, float]]],
    text: Callable[[float], str],
    *,
    labels: float = 90,
    width: float = 470,
) -> Bars:
    """Lay out ``(label, parts)`` rows; parts keep the order and colour of their first appearance."""
    names = tuple(dict.fromkeys(name for _, parts in rows for name in parts))
    longest = max((sum(parts.values()) for _, parts in rows), default=0.0)
    axis = Axis(0.0, longest or 1.0, labels, width - 70)
    bars = (_bar(label, parts, names, axis, text) for label, parts in rows)
    placed = tuple(replace(bar, top=float(_ROW * row)) for row, bar in enumerate(bars))
    ticks = axis.ticks(lambda value, _: text(value))
    return Bars(width, _ROW * len(rows) + _FOOT, labels, ticks, placed, names)


def _bar(
    label: str, parts: Mapping[str, float], names: Sequence[str], axis: Axis, text: Callable[[float], str]
) -> Bar:
    present = [name for name in names if name in parts]
    edges = [axis.at(edge) for edge in accumulate((parts[name] for name in present), initial=0.0)]
    drawn = tuple(
        Part(name, text(parts[name]), start, round(end - start, 1), names.index(name))
        for name, (start, end) in zip(present, pairwise(edges), strict=True)
    )
    return Bar(label, 0.0, text(sum(parts.values())), edges[-1], drawn)
