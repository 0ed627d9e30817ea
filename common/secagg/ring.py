"""The ring of integers modulo 2³² on which updates are summed: how a vector gets there and back."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from common.deltas import (
    COUNT_LANE,
    EXTRA_LANES,
    WEIGHT_LANE,
    AggregateDelta,
    ClippedDelta,
    Floats,
    Lanes,
    QuantizedDelta,
)
from common.randomness import Randomness
from common.secagg.errors import BadTerms, NoHeadroom, NotFinite, OutOfBound, WrongShape, WrongSum

LANE_BITS: Final = 32
MOST_BITS: Final = 22
BLOCK: Final = 1 << 15  # values rounded at a time: their float64 and random words stay in the L2 cache
DITHER_UNIT: Final = 2.0**-32  # 32 random bits per value: the expectation is off by less than 2⁻³² of a unit


@dataclass(frozen=True, slots=True)
class Ring:
    """Values in ±``clip`` become ``bits``-bit signed integers; a lane holds 32 bits, the rest is headroom.

    ``clip``: the largest coordinate, in the update's own units. ``bits``: 2 to 22, sign included.
    """

    clip: float
    bits: int = MOST_BITS

    def __post_init__(self) -> None:
        if not (math.isfinite(self.clip) and self.clip > 0):
            raise BadTerms("terms", why=f"clip is {self.clip}, not a positive number")
        if not 2 <= self.bits <= MOST_BITS:
            raise BadTerms("terms", why=f"{self.bits} bits, not 2 to {MOST_BITS}")

    @property
    def top(self) -> int:
        """The integer of a coordinate at +clip with weight 1."""
        return (1 << (self.bits - 1)) - 1

    @property
    def most_weight(self) -> float:
        """The largest total weight: bits + ⌈log₂ Σw⌉ + 1 must not pass 32."""
        return 2.0 ** (LANE_BITS - 1 - self.bits)

    @property
    def weight_units(self) -> int:
        """Weights are multiples of 1 / ``weight_units``."""
        return 1 << (self.bits - 1)

    def quantise(self, delta: ClippedDelta, weight: float, randomness: Randomness) -> QuantizedDelta:
        """``weight`` · ``delta``, then the weight, then a 1 that counts this platform. (d,) → (d + 2,).

        Stochastic rounding, so the expectation is exact to 2⁻³²: E[lane] = w · x · top / clip. The weight is
        first rounded to a multiple of 1 / ``weight_units``, and the values are scaled by that same weight.

        Guarantee: each value's integer is at most w · top + 1 in size, and off by less than one unit.
        Refuses: NaN and infinity (NotFinite), a value above the declared bound or a bound above the clip
            (OutOfBound), a weight that is not positive or alone above ``most_weight`` (NoHeadroom).
        """
        self._check_values(delta)
        units = self._whole_units(weight)
        scale = units / self.weight_units * self.top / self.clip
        lanes = np.empty(delta.values.size + EXTRA_LANES, np.uint32)
        lanes[:-EXTRA_LANES] = self._round(delta.values, scale, randomness)
        lanes[WEIGHT_LANE], lanes[COUNT_LANE] = units, 1
        return QuantizedDelta(lanes)

    def check_share(self, delta: QuantizedDelta, dimension: int, platforms: int) -> None:
        """One platform's lanes, before they are masked for a cohort of ``platforms``.

        Guarantee: if every platform of the cohort passes, no lane of the sum wraps around.
        Refuses: any other shape or type than uint32 (dimension + 2,) (WrongShape), a weight above
            ``most_weight`` / platforms (NoHeadroom), a value its weight cannot give, a count that is not 1
            (OutOfBound).
        """
        lanes = delta.lanes
        if lanes.dtype != np.uint32 or lanes.shape != (dimension + EXTRA_LANES,):
            raise WrongShape(
                "mask", why=f"{lanes.dtype} {lanes.shape}, not uint32 ({dimension + EXTRA_LANES},)"
            )
        weight = int(lanes[WEIGHT_LANE]) / self.weight_units
        if not 0 < weight * platforms <= self.most_weight:
            most = self.most_weight / platforms
            raise NoHeadroom("mask", why=f"weight {weight:g}, at most {most:g} fits {platforms} platforms")
        if lanes[COUNT_LANE] != 1 or _largest(lanes) > weight * self.top + 1:
            raise OutOfBound("mask", why="a lane holds more than its weight allows")

    def dequantise(self, lanes: Lanes) -> AggregateDelta:
        """The weighted mean Σ w·x / Σ w of a sum of quantised updates. (d + 2,) → (d,), in float32.

        Guarantee: off the exact mean by less than clip · platforms / (top · Σw) per coordinate.
        Refuses: lanes that no sum of ``quantise`` outputs can give (WrongSum), a total weight above
            ``most_weight`` (NoHeadroom).
        """
        platforms, weight = int(lanes[COUNT_LANE]), int(lanes[WEIGHT_LANE]) / self.weight_units
        if weight > self.most_weight:
            raise NoHeadroom("unmask", why=f"total weight {weight:g}, at most {self.most_weight:g}")
        if not (platforms and weight) or _largest(lanes) > weight * self.top + platforms:
            raise WrongSum("unmask", why="a lane is larger than the weights allow")
        values = lanes[:-EXTRA_LANES].view(np.int32)
        mean = (values * (self.clip / (self.top * weight))).astype(np.float32)
        return AggregateDelta(mean, weight, platforms)

    def _check_values(self, delta: ClippedDelta) -> None:
        largest = np.abs(delta.values).max(initial=0.0)  # NaN wins, so one pass sees everything
        if not np.isfinite(largest):
            raise NotFinite("quantise")
        if not (largest <= np.float32(delta.bound) and delta.bound <= self.clip):
            raise OutOfBound("quantise", why=f"declared bound {delta.bound:g}, clip {self.clip:g}")

    def _whole_units(self, weight: float) -> int:
        if not (math.isfinite(weight) and weight <= self.most_weight):
            raise NoHeadroom("quantise", why=f"weight {weight:g}, at most {self.most_weight:g}")
        units = round(weight * self.weight_units)
        if units < 1:
            raise NoHeadroom("quantise", why=f"weight {weight:g} is below 1/{self.weight_units}")
        return units

    def _round(self, values: Floats, scale: float, randomness: Randomness) -> Lanes:
        whole = np.empty(values.size, np.int32)
        for start in range(0, values.size, BLOCK):
            # float64: a float32 has no bits left for the fraction of a 22-bit integer.
            block = values[start : start + BLOCK].astype(np.float64)
            np.clip(block, -self.clip, self.clip, out=block)  # the float32 next to a bound may lie above it
            block *= scale
            block += np.frombuffer(randomness.octets(4 * block.size), "<u4") * DITHER_UNIT
            whole[start : start + BLOCK] = np.floor(block, out=block)
        return whole.view(np.uint32)


def _largest(lanes: Lanes) -> int:
    """The largest size among the value lanes, read as signed integers."""
    signed = lanes[:-EXTRA_LANES].view(np.int32)
    return max(int(signed.max(initial=0)), -int(signed.min(initial=0)))
