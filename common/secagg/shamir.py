"""Shamir's secret sharing of 32-byte secrets over GF(2²⁵⁶ + 297) (Shamir, CACM 1979).

A random polynomial of degree t − 1 takes the secret at 0; share x is its value at x. Any t shares interpolate
it, t − 1 say nothing. The field is just above 2²⁵⁶, so each 32-byte string is an element and a share needs 33
bytes. Python's integers are not constant-time: secrets are single-use and the arithmetic runs at a site on
its own fresh values, or at the coordinator on values it is entitled to, so an outside observer never gets
repeated timings.
"""

import secrets
from collections.abc import Sequence
from typing import Final

PRIME: Final = (1 << 256) + 297
SECRET_BYTES: Final = 32
SHARE_BYTES: Final = 33


def split(secret: bytes, threshold: int, indices: Sequence[int]) -> tuple[bytes, ...]:
    """Shares of ``secret`` (32 bytes) at ``indices``, 33 big-endian bytes each. Coefficients from the OS.

    Guarantee: any ``threshold`` shares give the secret; fewer are independent of it, unconditionally.
    Refuses: a secret of another length, a threshold below 1, an index of 0 or given twice (ValueError).
    """
    if len(secret) != SECRET_BYTES or threshold < 1 or min(indices) < 1 or len(set(indices)) < len(indices):
        raise ValueError("not a 32-byte secret, a positive threshold and distinct positive indices")
    coefficients = [secrets.randbelow(PRIME) for _ in range(threshold - 1)]
    coefficients.append(int.from_bytes(secret, "big"))
    return tuple(_evaluate(coefficients, x).to_bytes(SHARE_BYTES, "big") for x in indices)


def interpolation(indices: Sequence[int]) -> tuple[int, ...]:
    """Lagrange's coefficients at 0: secret = Σ coefficient · share. One set serves every secret of a round.

    Guarantee: exact in the field.
    Refuses: an index of 0 or given twice (ValueError).
    """
    if min(indices) < 1 or len(set(indices)) < len(indices):
        raise ValueError("indices are positive and distinct")
    return tuple(_lagrange(x, indices) for x in indices)


def combine(coefficients: Sequence[int], shares: Sequence[bytes]) -> bytes | None:
    """The 32-byte secret behind ``shares``, in the order of the indices; None if the value is no 32-byte
    string.

    Guarantee: the secret, if the shares are of one polynomial. It cannot tell whether they are: compare the
        result with the dealer's commitment.
    Refuses: as many shares as coefficients, no other number (ValueError).
    """
    terms = (c * int.from_bytes(share, "big") for c, share in zip(coefficients, shares, strict=True))
    value = sum(terms) % PRIME
    return value.to_bytes(SECRET_BYTES, "big") if value < 1 << (8 * SECRET_BYTES) else None


def _evaluate(coefficients: Sequence[int], x: int) -> int:
    """Horner's rule, the highest power first."""
    value = 0
    for coefficient in coefficients:
        value = (value * x + coefficient) % PRIME
    return value


def _lagrange(x: int, indices: Sequence[int]) -> int:
    above, below = 1, 1
    for other in indices:
        if other != x:
            above, below = above * other % PRIME, below * (other - x) % PRIME
    return above * pow(below, -1, PRIME) % PRIME
