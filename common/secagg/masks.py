"""Masks: AES-256-CTR keystreams (NIST SP 800-38A) added to or subtracted from a vector, block by block."""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import numpy as np
from cryptography.hazmat.primitives.ciphers import CipherContext

from common.deltas import Lanes
from common.randomness import COUNTER_BYTES, keystream
from common.secagg.parts import BLOCK, THREADS, in_parts

KEY_BYTES: Final = 32
Seen = TypeVar("Seen")
Streams = Sequence[CipherContext]

_ZEROS: Final = memoryview(bytes(4 * BLOCK))


def apply_masks(
    lanes: Lanes, plus: Sequence[bytes], minus: Sequence[bytes], *, first: int = 0, threads: int = THREADS
) -> None:
    """Adds the masks of the ``plus`` keys to ``lanes`` modulo 2³² (or 2¹⁶), in place, and subtracts those of
    ``minus``.

    Lane i of a key's mask is the i-th little-endian word, as wide as a lane, of its keystream from counter 0.
    ``lanes`` may be a slice that begins at lane ``first`` of the whole vector: the counter seeks there.

    Guarantee: without one of the keys the result is indistinguishable from uniform, as AES-256 is from a
        random permutation; a key must never mask two vectors. The same for any number of ``threads``.
    Refuses: keys that have not 256 bits, a ``first`` inside an AES block (ValueError).
    """
    masked_parts(lanes, plus, minus, lambda part: None, first=first, threads=threads)


def masked_parts(
    lanes: Lanes,
    plus: Sequence[bytes],
    minus: Sequence[bytes],
    see: Callable[[Lanes], Seen],
    *,
    first: int = 0,
    threads: int = THREADS,
) -> list[Seen]:
    """As :func:`apply_masks`; gives what ``see`` makes of each masked part, in order.

    ``see`` runs in the thread that masked the part, while the part is still in the cache.

    Guarantee: as :func:`apply_masks`.
    Refuses: as :func:`apply_masks`.
    """
    if any(len(key) != KEY_BYTES for key in (*plus, *minus)) or first * lanes.itemsize % COUNTER_BYTES:
        raise ValueError("keys have 32 bytes, and slices begin where an AES block does")

    def _mask(start: int, stop: int, octets: bytearray) -> Seen:
        part, at = lanes[start:stop], (first + start) * lanes.itemsize
        _mask_part(part, [keystream(key, at) for key in plus], [keystream(key, at) for key in minus], octets)
        return see(part)

    return in_parts(_mask, lambda: bytearray(BLOCK * lanes.itemsize), lanes.size, threads)


def _mask_part(part: Lanes, added: Streams, taken: Streams, octets: bytearray) -> None:
    """Block by block, so that a block stays in the cache while one mask after the other is put on it.

    Counters from 0: each key is used for one vector, so no nonce is needed.
    """
    words = np.frombuffer(octets, part.dtype.newbyteorder("<"))
    for start in range(0, part.size, BLOCK):
        block = part[start : start + BLOCK]
        zeros, mask = _ZEROS[: block.nbytes], words[: block.size]
        for stream in added:
            stream.update_into(zeros, octets)
            np.add(block, mask, out=block)
        for stream in taken:
            stream.update_into(zeros, octets)
            np.subtract(block, mask, out=block)
