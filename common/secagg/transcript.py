"""How protocol values are turned into bytes and hashes: length-prefixed, under a purpose, never ambiguous."""

import hashlib
from collections.abc import Iterable
from typing import Final

PROTOCOL: Final = b"hanse/secagg/1"
"""Algorithm id: it enters every hash, signature and key, so a later suite shares no value with this one."""


def encode(*fields: bytes) -> bytes:
    """The fields, each after its length as four big-endian bytes.

    Guarantee: injective: two different tuples of fields never encode alike.
    Refuses: a field of 4 GiB or more (OverflowError).
    """
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def digest(purpose: str, *fields: bytes) -> bytes:
    """SHA-256 of the protocol id, the purpose and the fields; 32 bytes (FIPS 180-4).

    Guarantee: collision resistant over (purpose, fields); no two purposes share an input.
    Refuses: nothing.
    """
    return hashlib.sha256(encode(PROTOCOL, purpose.encode(), *fields)).digest()


def names(platforms: Iterable[str]) -> bytes:
    """The set of platforms as bytes, whatever the order they came in.

    Guarantee: injective on sets of names.
    Refuses: nothing.
    """
    return encode(*(platform.encode() for platform in sorted(set(platforms))))


def number(value: int) -> bytes:
    """An unsigned integer as eight big-endian bytes.

    Guarantee: injective.
    Refuses: negative numbers and 2⁶⁴ or more (OverflowError).
    """
    return value.to_bytes(8, "big")
