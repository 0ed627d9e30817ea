"""The coordinator's side of the protocol: one frozen state per phase, each built from the platforms' answers.

    1 collect_adverts      → AdvertBook   U1, whose adverts are valid
    2 collect_shares       → Mailboxes    U2, who shared with everyone in U1
    3 collect_masked       → MaskedSum    U3, the survivors, and the sum of their vectors
    4 collect_signatures   → Quorum       who signed the survivor set
    5 collect_releases     → Releases     t platforms' shares, which unmask the exact sum

A platform that sends something wrong is excluded with a named reason (``excluded``); one that sends nothing
is simply absent. The round goes on while max(t, n_min) are left, else it stops. The platforms rely on none of
these checks: what protects them they check themselves (client.py). These keep a faulty platform from spoiling
the sum unnoticed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from common.deltas import COUNT_LANE, EXTRA_LANES, Lanes
from common.secagg.envelopes import Receipt, Route
from common.secagg.errors import (
    BadAdvert,
    BadShares,
    BadSurvivors,
    BadVector,
    NoQuorum,
    ProtocolAborted,
    TooFewPlatforms,
    UnknownPlatform,
    WrongSum,
)
from common.secagg.keys import verify
from common.secagg.masks import apply_masks
from common.secagg.messages import Advert, MaskedVector, ReleasedShares, SealedShares, SurvivorSignature
from common.secagg.parts import THREADS
from common.secagg.rules import advert_fault, adverts_hash, lanes_hash, require_enough, sharers_hash
from common.secagg.terms import RoundSpec, Terms
from common.secagg.transcript import names
from common.secagg.unmasking import Opening

Excluded = Mapping[str, ProtocolAborted]
M = TypeVar("M")


def _sift(
    answers: Mapping[str, M], before: Excluded, fault: Callable[[str, M], ProtocolAborted | None]
) -> tuple[dict[str, M], Excluded]:
    """The faultless answers, and everyone excluded so far with the reason."""
    faults = {name: fault(name, answer) for name, answer in answers.items()}
    good = {name: answers[name] for name in sorted(answers) if faults[name] is None}
    return good, {**before, **{name: why for name, why in faults.items() if why is not None}}


def collect_adverts(terms: Terms, spec: RoundSpec, adverts: Sequence[Advert]) -> "AdvertBook":
    """Phase 1: the valid adverts. A platform's first valid advert counts.

    Guarantee: U1 is a part of the cohort, every member's key signed this specification.
    Refuses: a specification that breaks the charter (BadSpec), fewer than max(t, n_min) valid adverts
        (TooFewPlatforms).
    """
    spec.check(terms)
    digest, book, excluded = spec.digest(terms), dict[str, Advert](), dict[str, ProtocolAborted]()
    for advert in adverts:
        name = advert.platform
        if name not in spec.cohort:
            excluded[name] = UnknownPlatform("advertise", name, why="not in the cohort")
        elif fault := advert_fault(advert, terms, digest):
            excluded[name] = BadAdvert("advertise", name, why=fault)
        else:
            book.setdefault(name, advert)
    excluded = {name: why for name, why in excluded.items() if name not in book}
    require_enough("advertise", book, terms, spec, excluded)
    return AdvertBook(terms, spec, digest, book, excluded)


@dataclass(frozen=True, slots=True)
class AdvertBook:
    """After phase 1: the adverts that every platform in U1 must see."""

    terms: Terms
    spec: RoundSpec
    digest: bytes
    book: Mapping[str, Advert]
    excluded: Excluded

    @property
    def platforms(self) -> tuple[str, ...]:
        """U1, sorted."""
        return tuple(sorted(self.book))

    @property
    def adverts(self) -> tuple[Advert, ...]:
        """The adverts of U1, ordered by platform: send all of them to all of U1."""
        return tuple(self.book[name] for name in self.platforms)

    def collect_shares(self, answers: Mapping[str, SealedShares]) -> "Mailboxes":
        """Phase 2: the sealed shares, from those who sealed one envelope for everyone else in U1.

        Guarantee: U2 is a part of U1, and each of its members dealt to all of U1, with receipts that verify.
            So a dealer without valid receipts spoils nobody's round: it is left out before anything of its is
            handed on. What the coordinator cannot see is whether an envelope opens.
        Refuses: fewer than max(t, n_min) complete answers (TooFewPlatforms).
        """
        h1 = adverts_hash(self.digest, self.adverts)
        sealed, excluded = _sift(
            answers, self.excluded, lambda name, answer: self._shares_fault(name, answer, h1)
        )
        require_enough("share", sealed, self.terms, self.spec, excluded)
        return Mailboxes(self, h1, sealed, excluded)

    def _shares_fault(self, name: str, answer: SealedShares, h1: bytes) -> ProtocolAborted | None:
        if name not in self.book:
            return UnknownPlatform("share", name, why="it did not advertise")
        if set(answer.envelopes) != set(self.book) - {name}:
            return BadShares("share", name, why="not one envelope for each other platform")
        identity = self.terms.roster[name]
        for holder, note in ({**answer.envelopes, name: answer.own}).items():
            if not Receipt.decode(note).signed_by(identity, Route(h1, name, holder)):
                return BadShares("share", name, why=f"its receipt for {holder} has no valid signature")
        return None


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """After phase 2: the envelopes, sorted by whom they are for."""

    book: AdvertBook
    h1: bytes
    sealed: Mapping[str, SealedShares]
    excluded: Excluded

    @property
    def platforms(self) -> tuple[str, ...]:
        """U2, sorted."""
        return tuple(self.sealed)

    def for_platform(self, platform: str) -> Mapping[str, bytes]:
        """Sender → envelope for ``platform``, which must be in U2.

        Guarantee: envelopes of U2 only, so every platform of U2 derives the same U2.
        Refuses: a platform outside U2 (UnknownPlatform).
        """
        if platform not in self.sealed:
            raise UnknownPlatform("share", platform, why="it did not share")
        others = (name for name in self.sealed if name != platform)
        return {name: self.sealed[name].envelopes[platform] for name in others}

    def collect_masked(self, answers: Mapping[str, MaskedVector]) -> "MaskedSum":
        """Phase 3: the sum of the masked vectors, on the ring.

        A running sum: each answer is looked up once and not kept, so a mapping that reads them one by one from
        wherever they wait needs memory for two vectors.

        Guarantee: sums exactly the vectors that their platforms signed for this round; U3 is a part of U2.
        Refuses: fewer than max(t, n_min) valid vectors (TooFewPlatforms).
        """
        terms, h2 = self.book.terms, sharers_hash(self.h1, self.sealed)
        total = np.zeros(terms.dimension + EXTRA_LANES, terms.ring.dtype)
        good, excluded = list[str](), dict(self.excluded)
        for name in sorted(answers):
            if fault := self._add(total, name, answers[name], h2):
                excluded[name] = fault
            else:
                good.append(name)
        require_enough("mask", good, terms, self.book.spec, excluded)
        return MaskedSum(self, h2, total, tuple(good), excluded)

    def _add(self, total: Lanes, name: str, answer: MaskedVector, h2: bytes) -> ProtocolAborted | None:
        """One vector into the sum; when this returns, nothing here holds the vector any more."""
        if fault := self._vector_fault(name, answer, h2):
            return fault
        np.add(total, answer.delta.lanes, out=total)
        return None

    def _vector_fault(self, name: str, answer: MaskedVector, h2: bytes) -> ProtocolAborted | None:
        lanes, terms = answer.delta.lanes, self.book.terms
        if name not in self.sealed:
            return UnknownPlatform("mask", name, why="it did not share")
        if lanes.dtype != terms.ring.dtype or lanes.shape != (terms.dimension + EXTRA_LANES,):
            return BadVector("mask", name, why=f"{lanes.dtype} {lanes.shape}")
        if not verify(terms.roster[name], answer.signature, "masked", h2, lanes_hash(lanes)):
            return BadVector("mask", name, why="the signature covers another vector or another round")
        return None


@dataclass(frozen=True, slots=True)
class MaskedSum:
    """After phase 3: a sum under the survivors' own masks and the masks they shared with drop-outs."""

    mail: Mailboxes
    h2: bytes
    total: Lanes
    survivors: tuple[str, ...]
    excluded: Excluded

    def collect_signatures(self, answers: Mapping[str, SurvivorSignature]) -> "Quorum":
        """Phase 4: the signatures on the survivor set.

        Guarantee: holds at least t valid signatures, so every honest signer will release.
        Refuses: fewer (NoQuorum, naming those who signed something else).
        """
        good, excluded = _sift(answers, self.excluded, self._signature_fault)
        terms, spec = self.mail.book.terms, self.mail.book.spec
        needed = terms.threshold(spec.size)
        if len(good) < needed:
            raise NoQuorum("sign", why=f"{len(good)} signatures, {needed} needed", excluded=excluded)
        return Quorum(self, {name: answer.signature for name, answer in good.items()}, excluded)

    def _signature_fault(self, name: str, answer: SurvivorSignature) -> ProtocolAborted | None:
        if name not in self.survivors:
            return UnknownPlatform("sign", name, why="it is no survivor")
        identity = self.mail.book.terms.roster[name]
        if not verify(identity, answer.signature, "survivors", self.h2, names(self.survivors)):
            return BadSurvivors("sign", name, why="it signed another survivor set")
        return None


@dataclass(frozen=True, slots=True)
class Quorum:
    """After phase 4: the signatures that make survivors release their shares."""

    masked: MaskedSum
    signatures: Mapping[str, bytes]
    excluded: Excluded

    @property
    def platforms(self) -> tuple[str, ...]:
        """Those who signed, sorted: ask them to release."""
        return tuple(self.signatures)

    def collect_releases(self, answers: Mapping[str, ReleasedShares]) -> "Releases":
        """Phase 5: the released shares that are those their dealers signed.

        Guarantee: holds at least t faultless releases. Names no platform that followed the protocol, if envelopes
            and answers arrived unchanged.
        Refuses: fewer (TooFewPlatforms, naming the cheats).
        """
        opening = self._opening()
        good, excluded = _sift(answers, self.excluded, opening.fault)
        needed = opening.terms.threshold(opening.spec.size)
        if len(good) < needed:
            why = f"{len(good)} valid releases, {needed} needed"
            raise TooFewPlatforms("unmask", why=why, excluded=excluded)
        return Releases(self, opening, good, excluded)

    def _opening(self) -> Opening:
        mail, book = self.masked.mail, self.masked.mail.book
        survivors, place = frozenset(self.masked.survivors), (mail.h1, self.masked.h2)
        return Opening(book.terms, book.spec, book.digest, *place, book.book, mail.sealed, survivors)


@dataclass(frozen=True, slots=True)
class Releases:
    """After phase 5: enough shares to take the masks off."""

    quorum: Quorum
    opening: Opening
    answers: Mapping[str, ReleasedShares]
    excluded: Excluded

    @property
    def platforms(self) -> tuple[str, ...]:
        """Those whose release is faultless, sorted."""
        return tuple(self.answers)

    @property
    def used(self) -> Mapping[str, ReleasedShares]:
        """The t releases that the secrets are rebuilt from."""
        holders = self.platforms[: self.opening.terms.threshold(self.opening.spec.size)]
        return {holder: self.answers[holder] for holder in holders}

    def unmask(self, threads: int = THREADS) -> Lanes:
        """The sum of the survivors' quantised updates, (d + 2,), in lanes of the ring.

        Guarantee: exact: every secret used opens its dealer's signed commitment; the count lane is |U3|.
        Refuses: shares that are valid but off the dealer's polynomial (BadDealer), a count that is not the number
            of survivors (WrongSum).
        """
        masked = self.quorum.masked
        lanes = masked.total.copy()
        keys = self.opening.masks({holder: release.shares for holder, release in self.used.items()})
        apply_masks(lanes, *keys, threads=threads)
        if lanes[COUNT_LANE] != len(masked.survivors):
            why = f"{lanes[COUNT_LANE]} counted, {len(masked.survivors)} survived"
            raise WrongSum("unmask", why=why)
        return lanes
