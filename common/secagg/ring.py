"""The ring of integers modulo 2³² or 2¹⁶ on which updates are summed: how a vector gets there and back."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

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
from common.secagg.errors import BadTerms, NoHeadroom, OutOfBound, WrongShape, WrongSum
from common.secagg.parts import BLOCK, THREADS, in_parts
from common.secagg.rounding import Limits, Rounding
from common.secagg.transcript import encode, number

Width = Literal[16, 32]
MOST_BITS: Final = {32: 22, 16: 16}
SLACK: Final = 1024  # a lane's sum may pass Σw · top by one unit of rounding for each platform


@dataclass(frozen=True, slots=True)
class Tensor:
    """A run of ``size`` values of the vector with their own largest coordinate, ``clip``."""

    size: int
    clip: float


@dataclass(frozen=True, slots=True)
class Ring:
    """Values in ±``clip`` become ``bits``-bit signed integers in lanes of ``width`` bits; the rest is headroom.

    ``clip``: the largest coordinate, in the update's own units. ``bits``: sign included; 2 to 22 in lanes of
    32 bits, 2 to 16 in lanes of 16. With lanes of 16 bits every bit counts, so each of ``tensors`` has its own
    clip, ``clip`` at most; 6 σ is a good one, as with 6 · C / √size for a tensor whose norm is C.

    Lanes of 16 bits take weights that are public and sum to 1 at most over the roster, as a charter says them.

    ``noise``: how much each platform may add to a value on top of what its weight allows, in integers.
    """

    clip: float
    bits: int = MOST_BITS[32]
    width: Width = 32
    tensors: tuple[Tensor, ...] = ()
    noise: int = 0

    def __post_init__(self) -> None:
        clips = (self.clip, *(tensor.clip for tensor in self.tensors))
        if wrong := [clip for clip in clips if not (math.isfinite(clip) and clip > 0)]:
            raise BadTerms("terms", why=f"clip is {wrong[0]}, not a positive number")
        if self.width not in MOST_BITS:
            raise BadTerms("terms", why=f"lanes of {self.width} bits, not 16 or 32")
        if not 2 <= self.bits <= MOST_BITS[self.width]:
            most = MOST_BITS[self.width]
            raise BadTerms("terms", why=f"{self.bits} bits, not 2 to {most} in lanes of {self.width}")
        if bool(self.tensors) != (self.width == 16):
            raise BadTerms("terms", why="lanes of 16 bits, and they alone, need a clip for each tensor")
        if max(clips) > self.clip or any(tensor.size < 1 for tensor in self.tensors):
            raise BadTerms("terms", why="a tensor is empty, or its clip is above the clip of all")
        if self.noise < 0:
            raise BadTerms("terms", why="the largest noise is negative")

    @property
    def dtype(self) -> np.dtype[np.uint32] | np.dtype[np.uint16]:
        """The type of a lane."""
        return np.dtype(np.uint32) if self.width == 32 else np.dtype(np.uint16)

    @property
    def top(self) -> int:
        """The integer of a coordinate at +clip with weight 1."""
        return min((1 << (self.bits - 1)), (1 << (self.width - 1)) - SLACK) - 1

    @property
    def most_weight(self) -> float:
        """The largest total weight: bits + ⌈log₂ Σw⌉ + 1 must not pass 32; 1 if 16 bits fill lanes of 16.

        Then Σw · top and one unit of rounding for each of up to 1024 platforms stay below 2¹⁵.
        """
        return 2.0 ** max(0, self.width - 1 - self.bits)

    @property
    def weight_units(self) -> int:
        """Weights are multiples of 1 / ``weight_units``."""
        return 1 << (self.bits - 1)

    def most_share(self, platforms: int) -> float:
        """The largest weight of one platform in a cohort of ``platforms``.

        Guarantee: in lanes of 32 bits no cohort of such weights can pass ``most_weight``; in lanes of 16 the
            charter's weights cannot, and a site sends no other.
        Refuses: nothing.
        """
        return self.most_weight if self.width == 16 else self.most_weight / platforms

    def holds(self, platforms: int) -> bool:
        """Whether sums of ``platforms`` keep within the lanes, all noise at its largest.

        Guarantee: if True, no lane wraps around whose platforms keep to their weights and to ``noise``.
        Refuses: nothing.
        """
        return self.most_weight * self.top + platforms * (1 + self.noise) < 1 << (self.width - 1)

    def encode(self) -> bytes:
        """What the terms' hash covers of the ring.

        Guarantee: injective.
        Refuses: nothing.
        """
        wide = (self.clip.hex().encode(), number(self.bits))
        narrow = (field for t in self.tensors for field in (number(t.size), t.clip.hex().encode()))
        noise = (number(self.noise),) if self.noise else ()  # rings without any hash as they always did
        width = () if self.width == 32 else (number(self.width), *narrow)
        return encode(*wide, *width, *noise)

    def fits(self, dimension: int) -> bool:
        """Whether the tensors, if there are any, are those of a vector of ``dimension`` values.

        Guarantee: True only if each value has one clip.
        Refuses: nothing.
        """
        return not self.tensors or sum(tensor.size for tensor in self.tensors) == dimension

    def quantise(
        self, delta: ClippedDelta, weight: float, randomness: Randomness, threads: int = THREADS
    ) -> QuantizedDelta:
        """``weight`` · ``delta``, then the weight, then a 1 that counts this platform. (d,) → (d + 2,).

        One pass, block by block: check, clip to the tensor, scale, round. Stochastic rounding, so the
        expectation is exact: E[lane] = w · x · top / clip. The weight is first rounded down to a multiple of
        1 / ``weight_units``, and the values are scaled by that same weight. The rounding's bits are a keystream
        whose key is drawn from ``randomness``.

        Guarantee: each value's integer is at most w · top + 1 in size, and off by less than one unit. The same
            for any number of ``threads``.
        Refuses: NaN and infinity (NotFinite), a value above the declared bound or a bound above the clip
            (OutOfBound), a weight that is not positive or alone above ``most_weight`` (NoHeadroom), a vector
            that is not of the tensors' size (WrongShape).
        """
        if not delta.bound <= self.clip:
            raise OutOfBound("quantise", why=f"declared bound {delta.bound:g}, clip {self.clip:g}")
        if not self.fits(delta.values.size):
            raise WrongShape("quantise", why=f"{delta.values.size} values, not those of the tensors")
        units = self._whole_units(weight)
        lanes = np.empty(delta.values.size + EXTRA_LANES, self.dtype)
        lanes[WEIGHT_LANE], lanes[COUNT_LANE] = units, 1
        whole, key = self._signed(lanes), randomness.octets(32)

        def _round_part(start: int, stop: int, rounding: Rounding) -> None:
            rounding.begin(start)
            for begin, end, clip in self._pieces(start, stop):
                limits = Limits(delta.bound, clip, units / self.weight_units * self.top / clip)
                rounding.apply(delta.values[begin:end], limits, whole[begin:end])

        in_parts(_round_part, lambda: Rounding(key), delta.values.size, threads)
        return QuantizedDelta(lanes)

    def noised(self, delta: QuantizedDelta, noise: NDArray[np.int32]) -> QuantizedDelta:
        """``noise`` (d,) added to the values of ``delta``, in place: the lanes are taken over.

        Guarantee: weight and count stay; each value's integer grows by ``self.noise`` at most.
        Refuses: another number of values (WrongShape), noise above ``self.noise`` (OutOfBound).
        """
        values = self._signed(delta.lanes)
        if noise.shape != values.shape:
            raise WrongShape("quantise", why=f"noise for {noise.size} values, not {values.size}")
        if _size(noise) > self.noise:
            raise OutOfBound("quantise", why=f"noise above the {self.noise} that the ring has room for")
        values += noise.astype(values.dtype)
        return delta

    def check_share(self, delta: QuantizedDelta, dimension: int, platforms: int) -> None:
        """One platform's lanes, before they are masked for a cohort of ``platforms``.

        Guarantee: if every platform of the cohort passes, no lane of the sum wraps around (in lanes of 16 bits:
            if their weights are the charter's as well).
        Refuses: any other shape or type than the ring's (dimension + 2,) (WrongShape), a weight above
            ``most_share`` (NoHeadroom), a value its weight cannot give, a count that is not 1 (OutOfBound).
        """
        lanes = delta.lanes
        if lanes.dtype != self.dtype or lanes.shape != (dimension + EXTRA_LANES,):
            why = f"{lanes.dtype} {lanes.shape}, not {self.dtype} ({dimension + EXTRA_LANES},)"
            raise WrongShape("mask", why=why)
        weight, most = int(lanes[WEIGHT_LANE]) / self.weight_units, self.most_share(platforms)
        if not 0 < weight <= most:
            raise NoHeadroom("mask", why=f"weight {weight:g}, at most {most:g} fits {platforms} platforms")
        if lanes[COUNT_LANE] != 1 or self._largest(lanes) > weight * self.top + 1 + self.noise:
            raise OutOfBound("mask", why="a lane holds more than its weight allows")

    def dequantise(self, lanes: Lanes, *, reuse: bool = False) -> AggregateDelta:
        """The weighted mean Σ w·x / Σ w of a sum of quantised updates. (d + 2,) → (d,), in float32.

        ``reuse``: lanes of 32 bits may be written over with the mean, which then takes no memory of its own.

        Guarantee: off the exact mean, noise included, by less than clip · platforms / (top · Σw) per coordinate.
        Refuses: lanes that no sum of ``quantise`` outputs can give (WrongSum), a total weight above
            ``most_weight`` (NoHeadroom), another type than the ring's (WrongShape).
        """
        if lanes.dtype != self.dtype or not self.fits(lanes.size - EXTRA_LANES):
            raise WrongShape("unmask", why=f"{lanes.dtype} {lanes.shape}")
        platforms, weight = int(lanes[COUNT_LANE]), int(lanes[WEIGHT_LANE]) / self.weight_units
        if weight > self.most_weight:
            raise NoHeadroom("unmask", why=f"total weight {weight:g}, at most {self.most_weight:g}")
        most = weight * self.top + platforms * (1 + self.noise)
        if not (platforms and weight) or self._largest(lanes) > most:
            raise WrongSum("unmask", why="a lane is larger than the weights allow")
        whole = self._signed(lanes)
        mean: Floats = np.empty(whole.size, np.float32)
        if reuse and self.width == 32:
            mean = whole.view(np.float32)  # each block is read whole before it is written
        for begin, end, clip in self._pieces(0, whole.size):
            mean[begin:end] = whole[begin:end] * np.float64(clip / (self.top * weight))
        return AggregateDelta(mean, weight, platforms)

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[int, int, float]]:
        """Begin, end and clip of the runs from ``start`` to ``stop`` within one block and one tensor."""
        tensors = self.tensors or (Tensor(stop, self.clip),)
        begin = start
        for tensor, end_of_tensor in zip(tensors, accumulate(t.size for t in tensors), strict=True):
            while begin < min(end_of_tensor, stop):
                end = min(begin + BLOCK, end_of_tensor, stop)
                yield begin, end, tensor.clip
                begin = end

    def _whole_units(self, weight: float) -> int:
        if not (math.isfinite(weight) and weight <= self.most_weight):
            raise NoHeadroom("quantise", why=f"weight {weight:g}, at most {self.most_weight:g}")
        units = math.floor(weight * self.weight_units)  # down, so that a full sum of weights stays full
        if units < 1:
            raise NoHeadroom("quantise", why=f"weight {weight:g} is below 1/{self.weight_units}")
        return units

    def _signed(self, lanes: Lanes) -> NDArray[np.signedinteger[Any]]:
        """The value lanes as signed integers, in place."""
        kind: DTypeLike = np.int32 if self.width == 32 else np.int16
        return lanes[:-EXTRA_LANES].view(kind)

    def _largest(self, lanes: Lanes) -> int:
        """The largest size among the value lanes, read as signed integers."""
        return _size(self._signed(lanes))


def _size(whole: NDArray[np.signedinteger[Any]]) -> int:
    return max(int(whole.max(initial=0)), -int(whole.min(initial=0)))
