"""Axes of the report's charts: from values to pixels, with ticks at round values."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

TickText = Callable[[float, int], str]
"""Writes a value of an axis, given the decimals its ticks need."""

_TICKS: Final = 5


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis: where, and what stands there."""

    at: float
    text: str


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

    def ticks(self, text: TickText) -> tuple[Tick, ...]:
        """About five round values within the axis."""
        step = nice_step((self.high - self.low) / _TICKS)
        digits = next(d for d in range(16) if math.isclose(round(step, d), step))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        values = (index * step for index in range(first, last + 1))
        return tuple(Tick(self.at(value), text(value, digits)) for value in values)


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
