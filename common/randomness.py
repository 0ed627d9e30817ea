"""Where random numbers come from: the operating system, or, with privacy off only, a key that repeats.

Both are the same AES-256-CTR keystream; only the key differs. A function that must never be repeatable asks
for an :class:`OsRandomness` in its signature, and mypy refuses a :class:`KeyedRandomness` there.
"""

import hashlib
import os
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from numpy.typing import NDArray

# One bit less than a double holds, so that the half added below is exact and 1 is never reached.
_BITS: Final = 52
_ONE: Final = np.float64(1.0).view(np.uint64)

COUNTER_BYTES: Final = 16
"""What one step of the counter gives: where a keystream can be entered."""


def keystream(key: bytes, octet: int = 0) -> CipherContext:
    """AES-256-CTR of zeros from byte ``octet`` on, which is a multiple of ``COUNTER_BYTES`` (SP 800-38A)."""
    counter = (octet // COUNTER_BYTES).to_bytes(16, "big")
    return Cipher(algorithms.AES256(key), modes.CTR(counter)).encryptor()


class Randomness:
    """A stream of unpredictable numbers; use :class:`OsRandomness` or :class:`KeyedRandomness`."""

    def __init__(self, key: bytes) -> None:
        self._stream = keystream(key)

    def octets(self, count: int) -> bytes:
        """``count`` uniform bytes."""
        return self._stream.update(bytes(count))

    def uniform(self, count: int) -> NDArray[np.float64]:
        """``count`` uniforms in the open interval (0, 1), 52 random bits each."""
        words = np.frombuffer(self.octets(8 * count), np.uint64) >> np.uint64(64 - _BITS)
        words |= _ONE  # the random bits become the fraction of a double in [1, 2)
        values = words.view(np.float64)
        values -= 1.0 - 2.0 ** -(_BITS + 1)  # exact: the fraction plus half a step
        return values

    def normal(self, count: int) -> NDArray[np.float64]:
        """``count`` standard normals (Box and Muller, 1958), in double precision throughout.

        Cosine and sine of the angle come from the tangent t of its half, (1 − t²) / (1 + t²) and
        2t / (1 + t²): numpy has a vectorised tangent in double precision, and neither of the others.
        """
        half = -(-count // 2)
        radius, tangent = self.uniform(half), self.uniform(half)
        np.log(radius, out=radius)
        radius *= -2.0
        np.sqrt(radius, out=radius)
        tangent *= np.pi
        np.tan(tangent, out=tangent)
        square = tangent * tangent
        radius /= 1.0 + square
        draws = np.empty(2 * half)
        np.multiply(radius, 1.0 - square, out=draws[:half])
        tangent *= 2.0
        np.multiply(radius, tangent, out=draws[half:])
        return draws[:count]

    def integers(self, high: int, count: int) -> NDArray[np.int64]:
        """``count`` integers in [0, high); the bias is below high · 2⁻⁵²."""
        return (self.uniform(count) * high).astype(np.int64)


class OsRandomness(Randomness):
    """Keyed once from the operating system; nothing can repeat it."""

    def __init__(self) -> None:
        super().__init__(os.urandom(32))


class KeyedRandomness(Randomness):
    """Repeats for the same labels, whatever the process or the order of calls. For runs with privacy off."""

    def __init__(self, *labels: str | int) -> None:
        encoded = b"".join(len(part).to_bytes(4, "big") + part for part in (str(x).encode() for x in labels))
        super().__init__(hashlib.sha256(b"hanse/keyed-randomness/1" + encoded).digest())
