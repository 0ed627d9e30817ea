"""Phase 5 at the coordinator: who released what it was dealt, and which masks come off the sum."""

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from common.secagg.envelopes import Receipt, Route, key_hash, seed_hash
from common.secagg.errors import BadDealer, ProtocolAborted, UnknownPlatform, WrongRelease
from common.secagg.keys import pair_key, self_key, verify
from common.secagg.messages import Advert, ReleasedShares, SealedShares
from common.secagg.rules import commitment, release_bytes
from common.secagg.shamir import combine, interpolation
from common.secagg.terms import RoundSpec, Terms


@dataclass(frozen=True, slots=True)
class Opening:
    """What released shares are held against: adverts (U1), sealed shares (U2), survivors (U3)."""

    terms: Terms
    spec: RoundSpec
    digest: bytes
    h1: bytes
    h2: bytes
    adverts: Mapping[str, Advert]
    sealed: Mapping[str, SealedShares]
    survivors: frozenset[str]

    def fault(self, holder: str, released: ReleasedShares) -> ProtocolAborted | None:
        """What is wrong with a holder's release, if anything.

        Guarantee: each share of a faultless release has the hash its dealer signed. A holder checked those
            hashes before it masked, so a mismatch is its own doing.
        Refuses: nothing.
        """
        if holder not in self.survivors:
            return UnknownPlatform("unmask", holder, why="it is no survivor")
        if set(released.shares) != set(self.sealed):
            return WrongRelease("unmask", holder, why="not one share of each platform that dealt")
        signed = ("release", self.h2, release_bytes(released.shares))
        if not verify(self.terms.roster[holder], released.signature, *signed):
            return WrongRelease("unmask", holder, why="the signature covers other shares")
        for dealer, share in released.shares.items():
            if not self._dealt(dealer, holder, share):
                why = f"its share of {dealer} is not the one {dealer} signed"
                return WrongRelease("unmask", holder, why=why)
        return None

    def _dealt(self, dealer: str, holder: str, share: bytes) -> bool:
        sealed, route = self.sealed[dealer], Route(self.h1, dealer, holder)
        receipt = Receipt.decode(sealed.own if dealer == holder else sealed.envelopes[holder])
        if dealer in self.survivors:
            return seed_hash(share, route) == receipt.seed
        return key_hash(share, route) == receipt.key

    def masks(self, released: Mapping[str, Mapping[str, bytes]]) -> tuple[list[bytes], list[bytes]]:
        """The keys of masks to add to the sum and to subtract from it.

        ``released``: holder → dealer → share, of t faultless holders.

        Guarantee: each reconstructed secret opens its dealer's signed commitment or mask key.
        Refuses: shares that rebuild something else (BadDealer).
        """
        coefficients = interpolation([self.spec.index(holder) for holder in released])
        plus: list[bytes] = []
        minus: list[bytes] = []
        for dealer in self.sealed:
            secret = combine(coefficients, [shares[dealer] for shares in released.values()])
            if dealer in self.survivors:
                minus.append(self._seed_mask(dealer, secret))
            else:
                self._pair_masks(dealer, secret, plus, minus)
        return plus, minus

    def _seed_mask(self, dealer: str, seed: bytes | None) -> bytes:
        if seed is None or commitment(self.digest, dealer, seed) != self.adverts[dealer].commitment:
            raise BadDealer("unmask", dealer, why="its seed shares do not open its commitment")
        return self_key(seed, self.h1, dealer)

    def _pair_masks(self, dealer: str, secret: bytes | None, plus: list[bytes], minus: list[bytes]) -> None:
        """A survivor added the pair's mask if its name comes first, and subtracted it if not: undo that."""
        private = None if secret is None else X25519PrivateKey.from_private_bytes(secret)
        if private is None or private.public_key().public_bytes_raw() != self.adverts[dealer].mask_key:
            raise BadDealer("unmask", dealer, why="its key shares do not give the private key of its advert")
        for survivor in self.survivors:
            key = pair_key(private, self.adverts[survivor].mask_key, self.h1, (survivor, dealer))
            (minus if survivor < dealer else plus).append(key)
