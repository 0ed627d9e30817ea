"""Stochastic rounding of a block at a time, in buffers that are made once."""

import math
from typing import Any, Final, NamedTuple

import numpy as np
from cryptography.hazmat.primitives.ciphers import CipherContext
from numpy.typing import NDArray

from common.deltas import Floats
from common.randomness import keystream
from common.secagg.errors import NotFinite, OutOfBound
from common.secagg.parts import BLOCK

Whole = NDArray[np.signedinteger[Any]]

_DITHER_BYTES: Final = 4  # a random word for each value: the expectation is off by less than 2⁻³² of a unit
_DITHER_UNIT: Final = 2.0**-32
_ZEROS: Final = memoryview(bytes(_DITHER_BYTES * BLOCK))


def _largest(values: Floats, bound: float) -> float:
    low, high = float(values.min()), float(values.max())  # NaN wins both
    if not (math.isfinite(low) and math.isfinite(high)):
        raise NotFinite("quantise")
    if max(-low, high) > float(np.float32(bound)):
        raise OutOfBound("quantise", why=f"a value is above the declared bound of {bound:g}")
    return max(-low, high)


class Limits(NamedTuple):
    """Values lie in ±``bound``, are clipped to ±``clip`` and then multiplied by ``scale``."""

    bound: float
    clip: float
    scale: float


class Rounding:
    """Rounds values run after run, in buffers that are made once; :meth:`begin` comes first.

    The random words are the AES-256-CTR keystream of ``key`` (32 bytes), one for each place of the vector.
    """

    _stream: CipherContext

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._octets = bytearray(_DITHER_BYTES * BLOCK)
        self._words = np.frombuffer(self._octets, "<i4")
        self._scaled, self._dither = np.empty(BLOCK), np.empty(BLOCK)

    def begin(self, place: int) -> None:
        """The next run begins at ``place`` of the vector, a multiple of four.

        Guarantee: a value's word depends on its place alone.
        Refuses: nothing.
        """
        self._stream = keystream(self._key, _DITHER_BYTES * place)

    def apply(self, values: Floats, limits: Limits, out: Whole) -> None:
        """``values`` (1 to ``BLOCK``), clipped and scaled, as integers in ``out``.

        Guarantee: the integer below or above, such that its expectation is the value itself; never further
            from 0 than ⌈clip · scale⌉.
        Refuses: NaN and infinity (NotFinite), a value above the bound (OutOfBound).
        """
        largest = _largest(values, limits.bound)
        # float64: a float32 has no bits left for the fraction of a 22-bit integer.
        scaled, dither = self._scaled[: values.size], self._dither[: values.size]
        np.copyto(scaled, values)
        if largest > limits.clip:  # with one clip for all, only the float32 next to it may lie above it
            np.clip(scaled, -limits.clip, limits.clip, out=scaled)
        scaled *= limits.scale
        self._stream.update_into(_ZEROS[: _DITHER_BYTES * values.size], self._octets)
        words = self._words[: values.size]
        words |= 1  # odd, so that the dither lies evenly about 0 and never reaches a half
        np.copyto(dither, words)
        dither *= _DITHER_UNIT
        scaled += dither
        np.rint(scaled, out=scaled)
        np.copyto(out, scaled, casting="unsafe")
