"""The five messages a platform sends, one per phase, and their bytes: fixed sizes, strict, one encoding
each.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from common.deltas import Lanes, MaskedDelta
from common.secagg.errors import ProtocolError
from common.secagg.fields import Reader, name_bytes, table_bytes
from common.secagg.keys import SIGNATURE_BYTES
from common.secagg.shamir import SHARE_BYTES

RECEIPT_BYTES: Final = 128  # two hashes and a signature; see envelopes
SEALED_BYTES: Final = 82  # two shares and the tag of ChaCha20-Poly1305
ENVELOPE_BYTES: Final = SEALED_BYTES + RECEIPT_BYTES


@dataclass(frozen=True, slots=True)
class Witness:
    """A platform's privacy ledger as of now: ``counter`` entries, chained up to ``head`` (32 bytes); 40
    bytes.
    """

    counter: int
    head: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.counter < 1 << 64 or len(self.head) != 32:
            raise ProtocolError("advertise", why="a witness is a counter below 2⁶⁴ and a 32-byte head")

    def encode(self) -> bytes:
        """Counter as eight big-endian bytes, then the head.

        Guarantee: injective.
        Refuses: nothing; no witness exists whose counter or head does not fit.
        """
        return self.counter.to_bytes(8, "big") + self.head


@dataclass(frozen=True, slots=True)
class Advert:
    """Phase 1. Two X25519 public keys (32 bytes each: to seal shares, to agree masks), the commitment to the
    mask
    seed (32), the ledger's witness (40) and an Ed25519 signature over all of it and the specification (64).
    """

    platform: str
    seal_key: bytes
    mask_key: bytes
    commitment: bytes
    witness: Witness
    signature: bytes

    @property
    def fields(self) -> tuple[bytes, ...]:
        """What is signed and what enters h1: everything but the signature."""
        name = self.platform.encode()
        return (name, self.seal_key, self.mask_key, self.commitment, self.witness.encode())

    def encode(self) -> bytes:
        """The platform's name after its length, then 200 bytes.

        Guarantee: ``decode`` gives the same advert.
        Refuses: nothing.
        """
        _, *body = self.fields
        return name_bytes(self.platform) + b"".join(body) + self.signature

    @classmethod
    def decode(cls, data: bytes) -> "Advert":
        """The advert in ``data``.

        Guarantee: every field has its length; ``encode`` gives ``data`` back.
        Refuses: anything else (ProtocolError).
        """
        read = Reader(data, "advertise")
        name, seal_key, mask_key, commitment = read.name(), read.take(32), read.take(32), read.take(32)
        witness = Witness(int.from_bytes(read.take(8), "big"), read.take(32))
        signature = read.take(SIGNATURE_BYTES)
        read.end()
        return cls(name, seal_key, mask_key, commitment, witness, signature)


@dataclass(frozen=True, slots=True)
class SealedShares:
    """Phase 2. ``envelopes``: holder → sealed shares and their receipt (210 bytes); ``own``: the receipt (128
    bytes)
    of the shares the dealer keeps.
    """

    envelopes: Mapping[str, bytes]
    own: bytes

    def encode(self) -> bytes:
        """Own receipt, then the envelopes by name.

        Guarantee: ``decode`` gives the same shares.
        Refuses: nothing.
        """
        return self.own + table_bytes(self.envelopes)

    @classmethod
    def decode(cls, data: bytes) -> "SealedShares":
        """The sealed shares in ``data``.

        Guarantee: each envelope has 210 bytes; ``encode`` gives ``data`` back.
        Refuses: anything else (ProtocolError).
        """
        read = Reader(data, "share")
        own, envelopes = read.take(RECEIPT_BYTES), read.table(ENVELOPE_BYTES)
        read.end()
        return cls(envelopes, own)


@dataclass(frozen=True, slots=True)
class MaskedVector:
    """Phase 3. The masked lanes, uint32 or uint16 (d + 2,), and a signature over h2 and their hash. The lanes
    travel apart.
    """

    delta: MaskedDelta
    signature: bytes

    def encode(self) -> bytes:
        """The signature alone, 64 bytes.

        Guarantee: ``decode`` with the same lanes gives the same message.
        Refuses: nothing.
        """
        return self.signature

    @classmethod
    def decode(cls, data: bytes, lanes: Lanes) -> "MaskedVector":
        """The message whose signature is ``data`` and whose lanes arrived beside it.

        Guarantee: the lanes are one vector of uint32 or uint16; which one it must be, the charter says.
        Refuses: anything else (ProtocolError).
        """
        if lanes.dtype not in (np.uint32, np.uint16) or lanes.ndim != 1:
            raise ProtocolError("mask", why=f"lanes are {lanes.dtype} {lanes.shape}")
        return cls(MaskedDelta(lanes), Reader(data, "mask").only(SIGNATURE_BYTES))


@dataclass(frozen=True, slots=True)
class SurvivorSignature:
    """Phase 4. A signature over h2 and the survivor set, 64 bytes."""

    signature: bytes

    def encode(self) -> bytes:
        """The signature, 64 bytes.

        Guarantee: ``decode`` gives the same message.
        Refuses: nothing.
        """
        return self.signature

    @classmethod
    def decode(cls, data: bytes) -> "SurvivorSignature":
        """The message in ``data``.

        Guarantee: the signature has 64 bytes.
        Refuses: anything else (ProtocolError).
        """
        return cls(Reader(data, "sign").only(SIGNATURE_BYTES))


@dataclass(frozen=True, slots=True)
class ReleasedShares:
    """Phase 5. Dealer → one share (33 bytes): of its mask seed if it survived, else of its mask key;
    signed.
    """

    shares: Mapping[str, bytes] = field(repr=False)
    signature: bytes

    def encode(self) -> bytes:
        """The signature, then the shares by name.

        Guarantee: ``decode`` gives the same message.
        Refuses: nothing.
        """
        return self.signature + table_bytes(self.shares)

    @classmethod
    def decode(cls, data: bytes) -> "ReleasedShares":
        """The released shares in ``data``.

        Guarantee: each share has 33 bytes; ``encode`` gives ``data`` back.
        Refuses: anything else (ProtocolError).
        """
        read = Reader(data, "unmask")
        signature, shares = read.take(SIGNATURE_BYTES), read.table(SHARE_BYTES)
        read.end()
        return cls(shares, signature)
