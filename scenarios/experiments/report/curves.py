"""Geometry of quality against ε for several series; what has no ε stands in columns beside the axis."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scenarios.experiments.report.axis import Axis, Tick, TickText, fitted
from scenarios.experiments.report.svg import Interval, Level, Whisker, apart
from scenarios.experiments.report.wording import plain_tick

_COLUMN: Final = 96
_AIR: Final = 1.35  # the axis goes beyond its smallest and its largest ε by this factor
_DODGE: Final = 7.0  # between series, so that no interval hides another
_FOOT: Final = 40


@dataclass(frozen=True, slots=True)
class Series:
    """One line: figures by ε, and figures without ε, whose labels name their columns."""

    name: str
    by_epsilon: tuple[tuple[float, Interval], ...]
    columns: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """A drawn series: ``points`` of its line as SVG writes them; ``tone`` numbers its colour."""

    name: str
    tone: int
    points: str
    whiskers: tuple[Whisker, ...]


@dataclass(frozen=True, slots=True)
class Curves:
    """The chart; ``divider`` separates the ε axis from the columns."""

    width: float
    height: float
    left: float
    right: float
    foot: float
    divider: float
    ticks: tuple[Tick, ...]
    marks: tuple[Tick, ...]
    levels: tuple[Level, ...]
    curves: tuple[Curve, ...]


def curves(
    series: Sequence[Series],
    levels: Sequence[Interval],
    *,
    width: float = 860,
    height: float = 400,
    text: TickText = plain_tick,
) -> Curves:
    """Lay out ``series``, at least one and each with the same ε and columns, and ``levels`` across the chart."""
    left, right, foot = 52.0, width - 96.0, height - _FOOT
    epsilons = [epsilon for epsilon, _ in series[0].by_epsilon]
    names = [one.label for one in series[0].columns]
    divider = right - _COLUMN * len(names)
    across = Axis(math.log(min(epsilons) / _AIR), math.log(max(epsilons) * _AIR), left, divider)
    places = [divider + _COLUMN * (place + 0.5) for place in range(len(names))]
    figures = [*levels, *(one for line in series for _, one in line.by_epsilon)]
    figures += [one for line in series for one in line.columns]
    axis = fitted([0.0, *(end for one in figures for end in (one.low, one.high))], foot, 10)

    def curve(number: int, line: Series) -> Curve:
        shift = _DODGE * (number - (len(series) - 1) / 2)
        private = [
            Whisker.of(one, axis, across.at(math.log(epsilon)) + shift) for epsilon, one in line.by_epsilon
        ]
        others = [
            Whisker.of(one, axis, place + shift) for one, place in zip(line.columns, places, strict=True)
        ]
        points = " ".join(f"{one.across:g},{one.mean:g}" for one in private)
        return Curve(line.name, number, points, (*private, *others))

    falling = sorted(levels, key=lambda level: -level.mean)
    heights = apart([axis.at(level.mean) for level in falling], 15, foot)
    return Curves(
        width=width,
        height=height,
        left=left,
        right=right,
        foot=foot,
        divider=divider,
        ticks=axis.ticks(text),
        marks=(
            *(Tick(across.at(math.log(epsilon)), f"ε = {epsilon:g}") for epsilon in epsilons),
            *(Tick(place, name) for place, name in zip(places, names, strict=True)),
        ),
        levels=tuple(
            Level(level, axis.at(level.mean), axis.at(level.high), axis.at(level.low), at)
            for level, at in zip(falling, heights, strict=True)
        ),
        curves=tuple(curve(number, line) for number, line in enumerate(series)),
    )
