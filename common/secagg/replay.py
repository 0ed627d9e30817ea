"""A finished round once more, from the messages its platforms signed: anyone who holds them gets the same sum.

Kept is what the sum follows from and nothing else. In particular not kept: the vector of a platform that is no
survivor, for its mask key can be rebuilt from the released shares; and the sealed shares, of which the receipts
are enough.

What it shows beyond the sum: with t releases in one place, the survivors' own masks come off. The masks between
two survivors stay, and under them each single vector, for their keys were erased at the sites. So whoever reads
it stands where the coordinator stood, and the promise to the platforms is the same.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from common.deltas import Lanes
from common.secagg.envelopes import Receipt, Route
from common.secagg.errors import (
    BadAdvert,
    BadShares,
    BadSurvivors,
    Phase,
    TooFewPlatforms,
    UnknownPlatform,
)
from common.secagg.keys import verify
from common.secagg.messages import (
    RECEIPT_BYTES,
    Advert,
    MaskedVector,
    ReleasedShares,
    SealedShares,
    SurvivorSignature,
)
from common.secagg.rules import advert_fault, adverts_hash, sharers_hash
from common.secagg.server import AdvertBook, Mailboxes, MaskedSum, Releases, collect_adverts
from common.secagg.terms import RoundSpec, Terms
from common.secagg.transcript import names

M = TypeVar("M")
S = TypeVar("S", MaskedSum, Releases)


@dataclass(frozen=True, slots=True)
class Replay:
    """The signed messages of one finished round.

    ``adverts``: of U1. ``receipts``: dealer (U2) → holder (whose release is kept) → receipt, 128 bytes.
    ``vectors``: the masked vectors of U3. ``signatures``: platform → signature on U3. ``released``: holder →
    release.
    """

    spec: RoundSpec
    adverts: tuple[Advert, ...]
    receipts: Mapping[str, Mapping[str, bytes]]
    vectors: Mapping[str, MaskedVector] = field(repr=False)
    signatures: Mapping[str, bytes]
    released: Mapping[str, ReleasedShares] = field(repr=False)

    @classmethod
    def of(cls, releases: Releases, vectors: Mapping[str, MaskedVector]) -> "Replay":
        """What is kept of a round that has been unmasked. ``vectors``: all that arrived.

        Guarantee: holds vectors of survivors alone, and the t releases that the sum was unmasked with.
        Refuses: nothing.
        """
        quorum, used = releases.quorum, releases.used
        mail = quorum.masked.mail
        return cls(
            mail.book.spec,
            mail.book.adverts,
            {
                dealer: {holder: _receipt(sealed, dealer, holder) for holder in used}
                for dealer, sealed in mail.sealed.items()
            },
            {name: vectors[name] for name in quorum.masked.survivors},
            dict(quorum.signatures),
            used,
        )

    @property
    def survivors(self) -> tuple[str, ...]:
        """U3, sorted."""
        return tuple(sorted(self.vectors))

    def h2(self, terms: Terms) -> bytes:
        """The hash of everything up to U2; a site knows it of each round it finished.

        Guarantee: equal to a site's own only for the specification, adverts and U2 that the site answered.
        Refuses: as :meth:`RoundSpec.digest`.
        """
        h1 = adverts_hash(self.spec.digest(terms), self.adverts)
        return sharers_hash(h1, self.receipts)

    def sum(self, terms: Terms) -> Lanes:
        """The sum of the survivors' quantised updates, uint32 (d + 2,). ``terms``: of one's own charter.

        Guarantee: every vector in it was signed by its platform for this round, and t platforms signed that
            these are the survivors; so there is one such sum, whoever kept the messages.
        Refuses: the first thing that does not hold, by the protocol's own reason and with the platform's name:
            BadSpec, BadAdvert, UnknownPlatform, BadShares, BadVector, BadSurvivors, NoQuorum, WrongRelease,
            BadDealer, TooFewPlatforms, WrongSum.
        """
        mail = self._mail(self._book(terms))
        h2 = sharers_hash(mail.h1, mail.sealed)
        masked = _faultless(mail.collect_masked, self.vectors)
        self._check_signatures(terms, h2)
        answers = {name: SurvivorSignature(signature) for name, signature in self.signatures.items()}
        return _faultless(masked.collect_signatures(answers).collect_releases, self.released).unmask()

    def _book(self, terms: Terms) -> AdvertBook:
        self.spec.check(terms)
        digest, cohort = self.spec.digest(terms), self.spec.cohort
        _require_known("advertise", (advert.platform for advert in self.adverts), cohort)
        for advert in self.adverts:
            if fault := advert_fault(advert, terms, digest):
                raise BadAdvert("advertise", advert.platform, why=fault)
        for name, after in pairwise(sorted(advert.platform for advert in self.adverts)):
            if name == after:
                raise BadAdvert("advertise", name, why="two adverts of one platform")
        return collect_adverts(terms, self.spec, self.adverts)

    def _mail(self, book: AdvertBook) -> Mailboxes:
        """Phase 2 with receipts in place of envelopes: no more of them is read again."""
        h1 = adverts_hash(book.digest, book.adverts)
        _require_known("share", self.receipts, book.platforms)
        sealed = {}
        for dealer, receipts in sorted(self.receipts.items()):
            if set(receipts) != set(self.released):
                raise BadShares("share", dealer, why="not one receipt for each holder that released")
            for holder, receipt in receipts.items():
                _check_receipt(receipt, book.terms.roster[dealer], Route(h1, dealer, holder))
            sealed[dealer] = SealedShares(receipts, receipts.get(dealer, b""))
        return Mailboxes(book, h1, sealed, {})

    def _check_signatures(self, terms: Terms, h2: bytes) -> None:
        _require_known("sign", self.signatures, self.vectors)
        for name, signature in sorted(self.signatures.items()):
            if not verify(terms.roster[name], signature, "survivors", h2, names(self.vectors)):
                raise BadSurvivors("sign", name, why="it signed another survivor set")


def _faultless(collect: Callable[[Mapping[str, M]], S], answers: Mapping[str, M]) -> S:
    """The state after ``answers``; what a coordinator leaves out for cause is here a reason to stop."""
    try:
        state = collect(answers)
    except TooFewPlatforms as few:
        raise next(iter(few.excluded.values()), few) from None
    for fault in state.excluded.values():
        raise fault
    return state


def _receipt(sealed: SealedShares, dealer: str, holder: str) -> bytes:
    return Receipt.decode(sealed.own if dealer == holder else sealed.envelopes[holder]).encode()


def _check_receipt(receipt: bytes, identity: bytes, route: Route) -> None:
    if len(receipt) != RECEIPT_BYTES or not Receipt.decode(receipt).signed_by(identity, route):
        raise BadShares("share", route.dealer, why=f"its receipt for {route.holder} is not signed by it")


def _require_known(phase: Phase, platforms: Iterable[str], known: Iterable[str]) -> None:
    if strangers := set(platforms) - set(known):
        raise UnknownPlatform(phase, min(strangers), why="it did not come through the phase before")
