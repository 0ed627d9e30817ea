"""Keys and signatures: X25519, HKDF-SHA256 and Ed25519 from `cryptography`, each bound to a purpose."""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from common.secagg.transcript import PROTOCOL, digest, encode

SIGNATURE_BYTES: Final = 64
_PROBE: Final = X25519PrivateKey.generate()  # any key will do: scalars are multiples of the small orders


def derive(secret: bytes, purpose: str, *fields: bytes) -> bytes:
    """A 32-byte key from ``secret`` for one purpose (HKDF-SHA256, RFC 5869; salt: the protocol id).

    Guarantee: keys of different (purpose, fields) are independent, even from one secret.
    Refuses: nothing.
    """
    return HKDF(SHA256(), 32, PROTOCOL, encode(purpose.encode(), *fields)).derive(secret)


def agree(private: X25519PrivateKey, public: bytes, purpose: str, *fields: bytes) -> bytes:
    """The 32-byte key that the owners of two X25519 keys share for one purpose (RFC 7748, then RFC 5869).

    Guarantee: both ends get the same key; nobody else can tell it from random.
    Refuses: a public key of small order or wrong length (ValueError); see :func:`contributes`.
    """
    return derive(private.exchange(X25519PublicKey.from_public_bytes(public)), purpose, *fields)


def pair_key(private: X25519PrivateKey, public: bytes, h1: bytes, pair: tuple[str, str]) -> bytes:
    """The key of the mask that the two platforms of ``pair`` share; the order of the pair is of no matter.

    Guarantee: bound to this round's adverts (h1) and to both names.
    Refuses: as :func:`agree`.
    """
    first, second = sorted(pair)
    return agree(private, public, "pair mask", h1, first.encode(), second.encode())


def self_key(seed: bytes, h1: bytes, platform: str) -> bytes:
    """The key of a platform's own mask, from its secret seed.

    Guarantee: bound to this round's adverts (h1) and to the platform.
    Refuses: nothing.
    """
    return derive(seed, "self mask", h1, platform.encode())


def contributes(public: bytes) -> bool:
    """Whether a public key has large order, so that the shared secret depends on both ends (RFC 7748, section
    6.1).

    Guarantee: False for every point whose shared secret is all zero.
    Refuses: nothing; a wrong length is False.
    """
    try:
        _PROBE.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        return False
    return True


def sign(identity: Ed25519PrivateKey, purpose: str, *fields: bytes) -> bytes:
    """An Ed25519 signature (64 bytes, RFC 8032) over the digest of purpose and fields.

    Guarantee: it verifies for this purpose and these fields only.
    Refuses: nothing.
    """
    return identity.sign(digest(purpose, *fields))


def verify(public: bytes, signature: bytes, purpose: str, *fields: bytes) -> bool:
    """Whether the owner of ``public`` (32 raw bytes) signed exactly this.

    Guarantee: True for no signature but the owner's.
    Refuses: nothing; a malformed key or signature is False.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, digest(purpose, *fields))
    except (InvalidSignature, ValueError):
        return False
    return True
