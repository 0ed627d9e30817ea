"""What a platform holds in one round: its seat, its secrets, and the two messages made of them alone."""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from common.secagg.envelopes import Route, Shares, receipt, seal
from common.secagg.keys import sign
from common.secagg.messages import Advert, SealedShares, Witness
from common.secagg.rules import commitment
from common.secagg.shamir import split
from common.secagg.terms import RoundSpec, Terms


@dataclass(frozen=True, slots=True)
class Seat:
    """One platform's place in one round: who it is and what it agreed to."""

    me: str
    identity: Ed25519PrivateKey = field(repr=False)
    terms: Terms
    spec: RoundSpec
    digest: bytes


@dataclass(frozen=True, slots=True)
class Secrets:
    """A round's own secrets: X25519 keys to ``seal`` shares and to agree ``mask`` keys, the mask ``seed``."""

    seal: X25519PrivateKey = field(repr=False)
    mask: X25519PrivateKey = field(repr=False)
    seed: bytes = field(repr=False)

    @classmethod
    def fresh(cls) -> "Secrets":
        """New secrets from the operating system's randomness.

        Guarantee: independent of every other round's.
        Refuses: nothing.
        """
        return cls(X25519PrivateKey.generate(), X25519PrivateKey.generate(), secrets.token_bytes(32))


def signed_advert(seat: Seat, own: Secrets, witness: Witness) -> Advert:
    """The seat's advert.

    Guarantee: shows public keys and a hiding commitment only, bound by signature to the specification.
    Refuses: nothing.
    """
    keys = (own.seal.public_key().public_bytes_raw(), own.mask.public_key().public_bytes_raw())
    unsigned = Advert(seat.me, *keys, commitment(seat.digest, seat.me, own.seed), witness, b"")
    return replace(unsigned, signature=sign(seat.identity, "advert", seat.digest, *unsigned.fields))


def deal(own: Secrets, holders: Collection[str], seat: Seat) -> dict[str, Shares]:
    """Both secrets, split among the holders at their places in the cohort: holder → shares.

    Guarantee: t shares of a secret rebuild it, fewer say nothing; t follows from the cohort, not from the
        holders.
    Refuses: a holder outside the cohort (ValueError).
    """
    places = [seat.spec.index(holder) for holder in holders]
    threshold = seat.terms.threshold(seat.spec.size)
    seeds = split(own.seed, threshold, places)
    keys = split(own.mask.private_bytes_raw(), threshold, places)
    return dict(zip(holders, map(Shares, seeds, keys), strict=True))


def sealed_shares(
    dealt: Mapping[str, Shares], own: Secrets, peers: Mapping[str, Advert], seat: Seat, h1: bytes
) -> SealedShares:
    """The dealt shares, each sealed for its holder with a receipt; of the dealer's own share the receipt
    alone.

    Guarantee: the coordinator reads no share.
    Refuses: a peer's key of small order (ValueError); adverts with one were refused before.
    """
    routes = {holder: Route(h1, seat.me, holder) for holder in dealt}
    notes = {name: receipt(shares, seat.identity, routes[name]).encode() for name, shares in dealt.items()}
    sealed = {
        holder: seal(shares, own.seal, peers[holder].seal_key, routes[holder]) + notes[holder]
        for holder, shares in dealt.items()
        if holder != seat.me
    }
    return SealedShares(sealed, notes[seat.me])
