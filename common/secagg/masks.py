"""Masks: AES-256-CTR keystreams (NIST SP 800-38A) added to or subtracted from a vector, block by block."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from common.deltas import Lanes

KEY_BYTES: Final = 32
LANES_PER_COUNTER: Final = 4  # an AES block is 16 bytes
BLOCK: Final = 1 << 15  # lanes at a time, 128 KiB: vector block and keystream stay in the L2 cache
_ZEROS: Final = memoryview(bytes(4 * BLOCK))


def apply_masks(lanes: Lanes, plus: Sequence[bytes], minus: Sequence[bytes], *, first: int = 0) -> None:
    """Adds the masks of the ``plus`` keys to ``lanes`` modulo 2³², in place, and subtracts those of
    ``minus``.

    Lane i of a key's mask is the little-endian word at bytes 4i of its keystream from counter 0. ``lanes``
    may be a slice that begins at lane ``first`` of the whole vector: the counter seeks there.

    Guarantee: without one of the keys the result is indistinguishable from uniform, as AES-256 is from a
        random permutation; a key must never mask two vectors.
    Refuses: keys that have not 256 bits, a ``first`` inside an AES block (ValueError).
    """
    if any(len(key) != KEY_BYTES for key in (*plus, *minus)) or first % LANES_PER_COUNTER:
        raise ValueError("keys have 32 bytes, and slices begin at a multiple of four lanes")
    added = [_keystream(key, first) for key in plus]
    taken = [_keystream(key, first) for key in minus]
    octets = bytearray(4 * BLOCK)
    mask = np.frombuffer(octets, "<u4")
    for start in range(0, lanes.size, BLOCK):
        block = lanes[start : start + BLOCK]
        for stream in added:
            stream.update_into(_ZEROS[: block.nbytes], octets)
            block += mask[: block.size]
        for stream in taken:
            stream.update_into(_ZEROS[: block.nbytes], octets)
            block -= mask[: block.size]


def _keystream(key: bytes, first: int) -> CipherContext:
    """The keystream from lane ``first`` on. Counter from 0: each key is used for one vector, so no nonce is
    needed.
    """
    counter = (first // LANES_PER_COUNTER).to_bytes(16, "big")
    return Cipher(algorithms.AES256(key), modes.CTR(counter)).encryptor()
