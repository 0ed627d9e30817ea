"""A platform's side of the protocol: five phases, each a frozen state that answers once and gives the next.

    1 advertise   keys, a commitment to the mask seed and the ledger's witness, signed over the specification
    2 share       Shamir shares of the seed and of the mask key, sealed for every platform that advertised
    3 mask        the quantised update + own mask ± one mask per pair of platforms
    4 sign        the survivor set
    5 release     given t signatures on one survivor set: seed shares of survivors, key shares of the others

Bonawitz et al., CCS 2017, with pinned identity keys, hashes of everything seen in every key, and a survivor
set that needs a quorum. No state does any input or output: the caller persists :class:`Memory` before it
sends an answer. A state whose check fails is used up as well, so a faulty round cannot be tried again from
its middle.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.deltas import MaskedDelta, QuantizedDelta
from common.secagg.envelopes import Route, Shares, open_envelope
from common.secagg.errors import BadAdvert, BadShares, BadSpec, BadSurvivors, NoQuorum, UnknownPlatform
from common.secagg.keys import pair_key, self_key, sign, verify
from common.secagg.masks import masked_parts
from common.secagg.messages import (
    Advert,
    MaskedVector,
    ReleasedShares,
    SealedShares,
    SurvivorSignature,
    Witness,
)
from common.secagg.once import Once
from common.secagg.parts import THREADS
from common.secagg.rules import (
    advert_fault,
    adverts_hash,
    part_hash,
    parts_digest,
    release_bytes,
    require_enough,
    sharers_hash,
)
from common.secagg.seat import Seat, Secrets, deal, sealed_shares, signed_advert
from common.secagg.terms import RoundSpec, Terms
from common.secagg.transcript import names


def advertise(
    me: str, identity: Ed25519PrivateKey, terms: Terms, spec: RoundSpec, witness: Witness
) -> tuple["Advertised", Advert]:
    """Phase 1. Call it after ``Memory.admit(spec)`` has been persisted.

    Guarantee: the advert verifies only under this specification: another model, charter or cohort fails
        elsewhere.
    Refuses: a specification that breaks the charter, a cohort without ``me``, an identity key that is not the
        charter's (BadSpec).
    """
    spec.check(terms)
    if me not in spec.cohort:
        raise BadSpec("advertise", me, why="this platform is not in the cohort")
    if identity.public_key().public_bytes_raw() != terms.roster[me]:
        raise BadSpec("advertise", me, why="this site's identity key is not the one in the charter")
    seat, own = Seat(me, identity, terms, spec, spec.digest(terms)), Secrets.fresh()
    advert = signed_advert(seat, own, witness)
    return Advertised(seat, advert, Once(own)), advert


@dataclass(frozen=True, slots=True)
class Advertised:
    """After phase 1: waits for the adverts of everyone who answered."""

    seat: Seat
    advert: Advert
    _secrets: Once[Secrets]

    def share(self, adverts: Sequence[Advert]) -> tuple["Shared", SealedShares]:
        """Phase 2. ``adverts``: of U1, its own among them.

        Guarantee: seals shares only for platforms whose pinned key signed this site's own specification.
        Refuses: a bad, strange or double advert, its own advert changed (BadAdvert), a platform outside the
            cohort (UnknownPlatform), fewer than max(t, n_min) (TooFewPlatforms).
        """
        own = self._secrets.take("share")
        peers = {advert.platform: advert for advert in adverts}
        self._check(adverts, peers)
        h1 = adverts_hash(self.seat.digest, adverts)
        dealt = deal(own, peers, self.seat)
        message = sealed_shares(dealt, own, peers, self.seat, h1)
        shared = Shared(self.seat, peers, h1, Once((own, dealt[self.seat.me])))
        return shared, message

    def _check(self, adverts: Sequence[Advert], peers: Mapping[str, Advert]) -> None:
        seat = self.seat
        for advert in adverts:
            if advert.platform not in seat.spec.cohort:
                raise UnknownPlatform("share", advert.platform, why="not in the cohort")
            if fault := advert_fault(advert, seat.terms, seat.digest):
                raise BadAdvert("share", advert.platform, why=fault)
        for name, count in Counter(advert.platform for advert in adverts).items():
            if count > 1:
                raise BadAdvert("share", name, why="two adverts of one platform")
        if peers.get(seat.me) != self.advert:
            raise BadAdvert("share", seat.me, why="this site's own advert is missing or changed")
        require_enough("share", peers, seat.terms, seat.spec)


@dataclass(frozen=True, slots=True)
class Shared:
    """After phase 2: waits for the envelopes addressed to this platform."""

    seat: Seat
    peers: Mapping[str, Advert]
    h1: bytes
    _secrets: Once[tuple[Secrets, Shares]]

    def open(self, sealed: Mapping[str, bytes]) -> "Opened":
        """Phase 3, before anything is spent on an update. ``sealed``: sender → envelope for this platform.

        The senders and this platform are U2.

        Guarantee: whatever another platform can spoil about this phase has been refused once it returns.
        Refuses: an envelope from outside U1 (UnknownPlatform), fewer than max(t, n_min) (TooFewPlatforms), an
            envelope that does not open (BadShares).
        """
        own, kept = self._secrets.take("mask")
        sharers = sorted({*sealed, self.seat.me})
        if strangers := set(sealed) - (set(self.peers) - {self.seat.me}):
            raise UnknownPlatform("mask", min(strangers), why="sent shares without an advert")
        require_enough("mask", sharers, self.seat.terms, self.seat.spec)
        held = {dealer: self._open(dealer, envelope, own) for dealer, envelope in sealed.items()}
        shares = {**held, self.seat.me: kept}
        return Opened(self.seat, self.peers, self.h1, tuple(sharers), Once((own, shares)))

    def _open(self, dealer: str, envelope: bytes, own: Secrets) -> Shares:
        route = Route(self.h1, dealer, self.seat.me)
        identity = self.seat.terms.roster[dealer]
        shares = open_envelope(envelope, own.seal, self.peers[dealer].seal_key, identity, route)
        if shares is None:
            raise BadShares("mask", dealer, why="forged, misdirected, or made for other adverts")
        return shares


@dataclass(frozen=True, slots=True)
class Opened:
    """In phase 3: holds a share of every sharer's secrets, and waits for this platform's own update."""

    seat: Seat
    peers: Mapping[str, Advert]
    h1: bytes
    sharers: tuple[str, ...]
    _secrets: Once[tuple[Secrets, dict[str, Shares]]]

    def mask(self, delta: QuantizedDelta, threads: int = THREADS) -> tuple["Masked", MaskedVector]:
        """Phase 3, the answer. It takes ``delta`` over: the lanes are masked in place, none are copied.

        Guarantee: the vector is uniform to anyone who lacks this platform's seed or one of its pair keys. The
            same for any number of ``threads``.
        Refuses: a vector that could wrap around the ring (WrongShape, NoHeadroom, OutOfBound).
        """
        own, held = self._secrets.take("mask")
        self.seat.terms.ring.check_share(delta, self.seat.terms.dimension, self.seat.spec.size)
        h2 = sharers_hash(self.h1, self.sharers)
        seen = parts_digest(masked_parts(delta.lanes, *self._keys(own), part_hash, threads=threads))
        vector = MaskedVector(MaskedDelta(delta.lanes), sign(self.seat.identity, "masked", h2, seen))
        return Masked(self.seat, h2, self.sharers, Once(held)), vector

    def _keys(self, own: Secrets) -> tuple[list[bytes], list[bytes]]:
        """Of masks to add: its own, and of each pair with a later name; to subtract: with an earlier one."""
        me = self.seat.me
        plus, minus = [self_key(own.seed, self.h1, me)], list[bytes]()
        for peer in self.sharers:
            if peer != me:
                key = pair_key(own.mask, self.peers[peer].mask_key, self.h1, (me, peer))
                (plus if me < peer else minus).append(key)
        return plus, minus


@dataclass(frozen=True, slots=True)
class Masked:
    """After phase 3: waits for the set of platforms whose vectors arrived."""

    seat: Seat
    h2: bytes
    sharers: tuple[str, ...]
    _held: Once[dict[str, Shares]]

    def sign(self, survivors: Collection[str]) -> tuple["Signed", SurvivorSignature]:
        """Phase 4. ``survivors``: U3, the platforms whose masked vectors are in the sum.

        Guarantee: signs one survivor set per round, never one without itself.
        Refuses: a set without this platform or beyond U2 (BadSurvivors), fewer than max(t, n_min)
            (TooFewPlatforms).
        """
        held, alive = self._held.take("sign"), frozenset(survivors)
        if self.seat.me not in alive:
            raise BadSurvivors("sign", self.seat.me, why="this platform sent its vector and is left out")
        if strangers := alive - set(self.sharers):
            raise BadSurvivors(
                "sign", min(strangers), why="it dealt no shares, so no mask of its could come off"
            )
        require_enough("sign", alive, self.seat.terms, self.seat.spec)
        signature = sign(self.seat.identity, "survivors", self.h2, names(alive))
        return Signed(self.seat, self.h2, alive, Once(held)), SurvivorSignature(signature)


@dataclass(frozen=True, slots=True)
class Signed:
    """After phase 4: waits for the other survivors' signatures."""

    seat: Seat
    h2: bytes
    survivors: frozenset[str]
    _held: Once[dict[str, Shares]]

    def release(self, signatures: Mapping[str, bytes]) -> ReleasedShares:
        """Phase 5. ``signatures``: platform → signature. Persist ``Memory.released(spec)`` before calling it.

        Guarantee: of each platform one share leaves, never both, and which one follows from the set this site
            signed; t signatures on it mean that no other set can be unmasked, by anyone, with at most c
            colluders.
        Refuses: fewer than t valid signatures of survivors on the same (h2, survivors) (NoQuorum).
        """
        held = self._held.take("unmask")
        signers = self.signers(signatures)
        needed = self.seat.terms.threshold(self.seat.spec.size)
        if len(signers) < needed:
            raise NoQuorum("unmask", why=f"{len(signers)} signatures on this site's set, {needed} needed")
        shares = {name: both.seed if name in self.survivors else both.key for name, both in held.items()}
        return ReleasedShares(shares, sign(self.seat.identity, "release", self.h2, release_bytes(shares)))

    def signers(self, signatures: Mapping[str, bytes]) -> list[str]:
        """Who of the survivors signed the set that this site signed: each of them uploaded before it did.

        Guarantee: no platform is among them whose key did not sign (h2, survivors).
        Refuses: nothing; a signature that does not hold is none.
        """
        return [name for name in self.survivors if self._signed_by(name, signatures.get(name, b""))]

    def _signed_by(self, name: str, signature: bytes) -> bool:
        return verify(self.seat.terms.roster[name], signature, "survivors", self.h2, names(self.survivors))
