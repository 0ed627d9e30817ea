"""One dealer's two shares for one holder: sealed for the holder, committed to for everyone, and signed."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from common.secagg.keys import agree, sign, verify
from common.secagg.messages import RECEIPT_BYTES, SEALED_BYTES
from common.secagg.shamir import SHARE_BYTES
from common.secagg.transcript import digest

# A fixed nonce is safe here, and only here: the key is derived for one round (h1 holds fresh X25519 keys of
# both ends), one dealer and one holder *in that order*, and a dealer seals once per round. So each key
# encrypts a single message.
_ONLY_NONCE: Final = bytes(12)


class Shares(NamedTuple):
    """A holder's shares of one dealer's secrets, its mask ``seed`` and its mask ``key``; 33 bytes each."""

    seed: bytes
    key: bytes

    def __repr__(self) -> str:
        return "Shares(…)"


@dataclass(frozen=True, slots=True)
class Route:
    """From which ``dealer`` to which ``holder``, in the round whose adverts hash to ``h1``."""

    h1: bytes
    dealer: str
    holder: str

    @property
    def fields(self) -> tuple[bytes, ...]:
        """What every key, hash and signature about these shares is bound to."""
        return (self.h1, self.dealer.encode(), self.holder.encode())


@dataclass(frozen=True, slots=True)
class Receipt:
    """The dealer's signed hashes of both shares, 32 bytes each: they tell a false holder from a false dealer.

    A share is uniform in a field of 2²⁵⁶ elements even to t − 1 other holders, so its hash needs no secret
    salt to hide it; the route is the salt that keeps hashes of different shares apart.
    """

    seed: bytes
    key: bytes
    signature: bytes

    def encode(self) -> bytes:
        """Both hashes and the signature, 128 bytes.

        Guarantee: ``decode`` gives the same receipt.
        Refuses: nothing.
        """
        return self.seed + self.key + self.signature

    @classmethod
    def decode(cls, data: bytes) -> "Receipt":
        """The receipt in the last 128 bytes of an envelope (or of itself).

        Guarantee: two 32-byte hashes and a 64-byte signature.
        Refuses: fewer bytes (ValueError).
        """
        if len(data) < RECEIPT_BYTES:
            raise ValueError("too short for a receipt")
        tail = data[-RECEIPT_BYTES:]
        return cls(tail[:32], tail[32:64], tail[64:])

    def signed_by(self, identity: bytes, route: Route) -> bool:
        """Whether the dealer with Ed25519 key ``identity`` signed this receipt for this route.

        Guarantee: True for no other dealer, holder or round.
        Refuses: nothing.
        """
        return verify(identity, self.signature, "receipt", *route.fields, self.seed, self.key)


def seed_hash(share: bytes, route: Route) -> bytes:
    """The commitment to a share of a mask seed.

    Guarantee: binding (SHA-256); hiding, as a share has 256 bits of entropy.
    Refuses: nothing.
    """
    return digest("share of seed", *route.fields, share)


def key_hash(share: bytes, route: Route) -> bytes:
    """The commitment to a share of a mask key.

    Guarantee: as :func:`seed_hash`, and never equal to one.
    Refuses: nothing.
    """
    return digest("share of key", *route.fields, share)


def receipt(shares: Shares, identity: Ed25519PrivateKey, route: Route) -> Receipt:
    """The dealer's receipt for ``shares``.

    Guarantee: binds the dealer to exactly these shares for this holder and round.
    Refuses: nothing.
    """
    seed, key = seed_hash(shares.seed, route), key_hash(shares.key, route)
    return Receipt(seed, key, sign(identity, "receipt", *route.fields, seed, key))


def seal(shares: Shares, private: X25519PrivateKey, public: bytes, route: Route) -> bytes:
    """The shares, encrypted to the holder's ``public`` key with ChaCha20-Poly1305 (RFC 8439); 82 bytes.

    Guarantee: only dealer and holder can read or make it, and only for this route.
    Refuses: a public key of small order (ValueError). Never call it twice for one route: see the nonce.
    """
    cipher = ChaCha20Poly1305(agree(private, public, "seal", *route.fields))
    return cipher.encrypt(_ONLY_NONCE, shares.seed + shares.key, None)


def unseal(sealed: bytes, private: X25519PrivateKey, public: bytes, route: Route) -> Shares | None:
    """The shares that the dealer with ``public`` key sealed for this route, or None.

    Guarantee: never returns anything the dealer did not seal for this holder in this round.
    Refuses: nothing else; forged or misdirected bytes give None.
    """
    cipher = ChaCha20Poly1305(agree(private, public, "seal", *route.fields))
    try:
        plain = cipher.decrypt(_ONLY_NONCE, sealed, None)
    except InvalidTag:
        return None
    return Shares(plain[:SHARE_BYTES], plain[SHARE_BYTES:])


def open_envelope(
    envelope: bytes, private: X25519PrivateKey, public: bytes, identity: bytes, route: Route
) -> Shares | None:
    """The shares in an envelope (sealed shares, then their receipt), or None if anything about them is wrong.

    Guarantee: the shares returned are the ones whose hashes the dealer signed, so the holder can never be
        blamed for them.
    Refuses: nothing else; any fault gives None.
    """
    if len(envelope) != SEALED_BYTES + RECEIPT_BYTES:
        return None
    note, shares = Receipt.decode(envelope), unseal(envelope[:SEALED_BYTES], private, public, route)
    if shares is None or not note.signed_by(identity, route):
        return None
    honest = (seed_hash(shares.seed, route), key_hash(shares.key, route)) == (note.seed, note.key)
    return shares if honest else None
