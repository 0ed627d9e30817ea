"""Skellam noise from the operating system's randomness: exact tables, a few nanoseconds a draw.

A draw inverts the distribution of |X| with 63 uniform bits, and one more bit is its sign. The table holds the
distribution to 127 bits, computed in integers; where the 63 bits do not decide, which happens about once in 10¹³
draws, 64 more do. Tails below 2⁻¹⁰⁷ are cut, so noise has a largest size that a ring can leave room for.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.privacy.errors import PlanUnsound
from common.randomness import OsRandomness

LARGEST_TABLE: Final = 1 << 30  # variance: its table takes 6 MB and 0.4 s, once in a process
LARGEST_VARIANCE: Final = 1 << 36  # 64 draws of the largest table for each value
_TAIL: Final = -107 * math.log(2)  # the logarithm of what both tails hold at most
_CELLS: Final = 18  # leading bits that say where in the table to look
_BLOCK: Final = 1 << 16  # draws at a time: their buffers stay in the cache
_SCALE: Final = 200  # bits of the smallest entry: rounding is lost far below the tails


def largest_noise(variance: int) -> int:
    """The size that :func:`skellam_noise` never passes.

    Guarantee: true Skellam noise passes it with probability below 2⁻¹⁰¹ (Chernoff's bound for each summand).
    Refuses: a variance outside 1 … 2³⁶ (:class:`PlanUnsound`).
    """
    draws, each = _parts(variance)
    return draws * _reach(each)


def skellam_noise(variance: int, count: int, randomness: OsRandomness) -> NDArray[np.int32]:
    """``count`` independent draws, int32. A variance above 2³⁰ is met by sums, and then passed by 10⁻⁷ at most.

    Guarantee: each draw is within 2⁻¹⁰⁰ of Skellam noise in total variation, cut tails included, at most
    :func:`largest_noise` in size, and nobody can repeat it.
    Refuses: a variance outside 1 … 2³⁶ (:class:`PlanUnsound`).
    """
    draws, each = _parts(variance)
    table, total = _table(each), np.zeros(count, np.int32)
    for begin in range(0, count, _BLOCK):
        block = total[begin : begin + _BLOCK]
        for _ in range(draws):
            block += table.draw(block.size, randomness)
    return total


def _parts(variance: int) -> tuple[int, int]:
    """How many draws are summed, and the variance of each."""
    if not 1 <= variance <= LARGEST_VARIANCE:
        raise PlanUnsound("noise of a variance outside 1 … 2³⁶ of the ring's units", where="noise")
    draws = -(-variance // LARGEST_TABLE)
    return draws, -(-variance // draws)


@lru_cache(maxsize=64)
def _reach(variance: int) -> int:
    """The least t with 2 · P(X ≥ t) < 2⁻¹⁰⁷: E e^{sX} is e^{μ(cosh s − 1)}, best at s = asinh(t / μ)."""

    def chernoff(size: int) -> float:
        slope = math.asinh(size / variance)
        return math.log(2) + variance * (math.hypot(1, size / variance) - 1) - size * slope

    below, above = 0, 1
    while chernoff(above) > _TAIL:
        below, above = above, 2 * above
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (middle, above) if chernoff(middle) > _TAIL else (below, middle)
    return above


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """P(|X| ≤ m) for m = 0 …, in units of 2⁻¹²⁷: ``upper`` its first 63 bits, ``lower`` the other 64.

    ``guide``: for each value of the first bits, the smallest m it may stand for; one entry more.
    """

    upper: NDArray[np.uint64]
    lower: NDArray[np.uint64]
    guide: NDArray[np.int32]

    def draw(self, count: int, randomness: OsRandomness) -> NDArray[np.int32]:
        words = np.frombuffer(randomness.octets(8 * count), np.uint64)
        return self.signed(words, randomness)

    def signed(self, words: NDArray[np.uint64], randomness: OsRandomness) -> NDArray[np.int32]:
        """A draw for each word: its lowest bit is the sign, the others the place in the distribution."""
        places = words >> np.uint64(1)
        sizes = self._sizes(places)
        tied = np.flatnonzero(self.upper[np.maximum(sizes, 1) - 1] == places)
        for draw in tied:
            sizes[draw] = self._decide(int(places[draw]), randomness)
        return np.where(words & np.uint64(1), sizes, -sizes)

    def _sizes(self, places: NDArray[np.uint64]) -> NDArray[np.int32]:
        """The number of entries at most each place, by halving what the guide leaves open."""
        cells = (places >> np.uint64(63 - _CELLS)).astype(np.int32)
        sizes = self.guide[cells]
        left = np.flatnonzero(self.guide[cells + 1] > sizes)
        low, high, place = sizes[left], self.guide[cells[left] + 1], places[left]
        while left.size:
            middle = (low + high) >> 1
            under = self.upper[middle] <= place
            low, high = np.where(under, middle + 1, low), np.where(under, high, middle)
            sizes[left] = low
            still = low < high
            left, low, high, place = left[still], low[still], high[still], place[still]
        return sizes

    def _decide(self, place: int, randomness: OsRandomness) -> int:
        """Some entries share the place's 63 bits: the next 64 say how many of them lie below."""
        fraction = int.from_bytes(randomness.octets(8), "little")
        first = int(np.searchsorted(self.upper, np.uint64(place), "left"))
        stop = int(np.searchsorted(self.upper, np.uint64(place), "right"))
        return first + sum(int(self.lower[at]) <= fraction for at in range(first, stop))


@lru_cache(maxsize=4)
def _table(variance: int) -> _Table:
    weights = _weights(variance)
    sizes = [weights[0], *(2 * weight for weight in weights[1:])]
    whole = sum(sizes)
    sums = [(total << 127) // whole for total in accumulate(sizes[:-1])]
    octets = b"".join(total.to_bytes(16, "little") for total in sums)
    lower, upper = np.frombuffer(octets, np.uint64).reshape(-1, 2).T.copy()
    cells = np.arange(1 << _CELLS, dtype=np.uint64) << np.uint64(63 - _CELLS)
    guide = np.append(np.searchsorted(upper, cells, "right"), len(upper)).astype(np.int32)
    return _Table(upper, lower, guide)


def _weights(variance: int) -> list[int]:
    """Proportional to P(X = m) = e^{−μ} I_m(μ) for m = 0 … reach, by Miller's downward recurrence.

    I_{m−1} = I_{m+1} + (2m / μ) I_m; started well above, whatever the start got wrong has died out.
    """
    reach = _reach(variance)
    after, weight, found = 0, 1 << _SCALE, list[int]()
    for size in range(reach + reach // 4 + 64, 0, -1):
        after, weight = weight, after + 2 * size * weight // variance
        if size <= reach + 1:
            found.append(weight)
    return found[::-1]
