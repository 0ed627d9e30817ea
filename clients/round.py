"""A round as a platform lives it: five questions, each checked before anything leaves the site, and one notice.

What must never happen twice is written to disk before the answer that makes it irrevocable.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clients import policy
from clients.logbook import Seen
from clients.memory import MemoryFile
from common.bundle import digest_of
from common.certificate.statement import Sum
from common.charter import Charter, Purpose
from common.deltas import AdapterDelta, ClippedDelta, Floats, QuantizedDelta
from common.errors import AggregationAborted, HanseError
from common.privacy.ledger import Charge, Ledger
from common.privacy.noise import skellam_noise
from common.randomness import KeyedRandomness, OsRandomness, Randomness
from common.requests import (
    AdvertiseRequest,
    ReplayRequest,
    ShareRequest,
    SignRequest,
    UnmaskRequest,
    UploadRequest,
)
from common.secagg.client import Advertised, Masked, Shared, Signed, advertise
from common.secagg.errors import LedgerRollback
from common.secagg.messages import (
    Advert,
    MaskedVector,
    ReleasedShares,
    SealedShares,
    SurvivorSignature,
    Witness,
)
from common.secagg.terms import RoundSpec
from common.ticket import Ticket

Contribute = Callable[[Floats, int], AdapterDelta]
"""What a platform adds to the sum of a round, from the round's model and number."""

State = TypeVar("State", Advertised, Shared, Masked, Signed)


class OutOfTurn(AggregationAborted):
    """A question that this round is not waiting for."""


class WrongModel(AggregationAborted):
    """A model that is not one finite vector of the charter's length."""


class UpdateNotFinite(HanseError):
    """Training gave NaN or infinity. It depends on the data, so the coordinator is not told this reason."""


@dataclass(frozen=True, slots=True)
class Member:
    """Everything a platform brings to a round.

    ``ledger`` is absent in runs with privacy off. ``memory`` belongs to the charter, ``witnesses`` to the site.
    ``contribute``: for each purpose of a round what the platform adds to its sum, noise included.
    """

    platform: str
    identity: Ed25519PrivateKey
    charter: Charter
    ledger: Ledger | None
    memory: MemoryFile
    witnesses: MemoryFile
    contribute: Mapping[Purpose, Contribute]

    def randomness(self, purpose: str, number: int) -> Randomness:
        """The system's; with privacy off keyed by charter, platform and round, so that a run repeats."""
        seed = self.charter.seed
        return OsRandomness() if seed is None else KeyedRandomness(purpose, seed, self.platform, number)


class Round:
    """One attempt at one round; each of its questions is answered once, and a refused one ends it."""

    def __init__(self, member: Member, request: AdvertiseRequest, model: Floats) -> None:
        self._member, self._request, self._model = (
            member,
            request,
            _checked(model, member.charter.received(request.purpose)),
        )
        self._spec: RoundSpec = request.spec(digest_of(model))
        self._state: Advertised | Shared | Masked | Signed | None = None
        self._finished: Signed | None = None
        self._shown: dict[str, Advert] = {}

    def advertise(self) -> Advert:
        """Phase 1: admit the plan, remember the attempt, publish fresh keys."""
        member = self._member
        policy.admit(member.charter, member.platform, member.ledger, self._request)
        member.memory.update(lambda memory: memory.admit(self._spec))
        witness = Witness(*member.ledger.head()) if member.ledger else Witness(0, bytes(32))
        terms = member.charter.terms(self._request.purpose)
        self._state, advert = advertise(member.platform, member.identity, terms, self._spec, witness)
        return advert

    def share(self, request: ShareRequest) -> SealedShares:
        """Phase 2: check every signature and every ledger's witness, then share the secrets."""
        state = self._take(Advertised, request.attempt)
        adverts = [Advert.decode(advert) for advert in request.adverts]
        shared, sealed = state.share(adverts)
        self._witness(adverts)
        self._state = shared
        return sealed

    def upload(self, request: UploadRequest) -> MaskedVector:
        """Phase 3: open what the others sealed, charge the ledger, then contribute: clip, quantise, mask."""
        opened = self._take(Shared, request.attempt).open(request.sealed)
        self._charge()
        delta = self._member.contribute[self._request.purpose](self._model, self._request.round)
        self._state, vector = opened.mask(self._quantise(delta))
        return vector

    def sign(self, request: SignRequest) -> SurvivorSignature:
        """Phase 4: sign the one list of survivors this site will ever unmask."""
        state = self._take(Masked, request.attempt)
        self._state, signature = state.sign(request.survivors)
        return signature

    def unmask(self, request: UnmaskRequest) -> ReleasedShares:
        """Phase 5: with a quorum on that list, release one kind of share for each platform, once."""
        state = self._take(Signed, request.attempt)
        self._member.memory.update(lambda memory: memory.released(self._spec))
        released = state.release(request.signatures)
        self._saw_releases(state.signers(request.signatures))
        self._finished = state
        return released

    def seen(self) -> Seen:
        """After phase 5: the round as this site took part in it."""
        if self._finished is None:
            raise OutOfTurn("this round is not finished")
        survivors = tuple(sorted(self._finished.survivors))
        return Seen(
            purpose=self._request.purpose,
            number=self._spec.round,
            attempt=self._spec.attempt,
            model=self._spec.model.hex(),
            sum=Sum(cohort=self._spec.cohort, survivors=survivors, h2=self._finished.h2.hex()),
        )

    def ticket(self, request: ReplayRequest, now: int) -> Ticket:
        """After phase 5 of a training round, once: what opens its replay, beside what this site saw of it."""
        self._require(request.attempt)
        finished, self._finished = self._finished, None
        seconds = self._member.charter.replay_seconds
        if finished is None or not seconds or self._request.purpose != "train":
            raise OutOfTurn("this round has no replay to wait for")
        return Ticket(
            round=self._spec.round,
            attempt=self._spec.attempt,
            model=digest_of(self._model[: self._member.charter.model.parameters]).hex(),
            h2=finished.h2.hex(),
            survivors=tuple(sorted(finished.survivors)),
            bundle=request.bundle.hex(),
            key=request.key.hex(),
            until=now + seconds,
        )

    def _witness(self, adverts: list[Advert]) -> None:
        """Peers are known by their keys: a ledger spans charters, and so does what others saw of it."""
        roster = self._member.charter.terms().roster
        names = {key.hex(): name for name, key in roster.items()}
        seen = {
            advert.platform: replace(advert, platform=roster[advert.platform].hex()) for advert in adverts
        }
        try:
            self._member.witnesses.update(lambda memory: memory.witness(seen.values()))
        except LedgerRollback as found:
            raise LedgerRollback("memory", names[found.platform], why=found.why) from None
        self._shown = seen

    def _saw_releases(self, signers: list[str]) -> None:
        """In a private round each of them charged its ledger, so the next head it shows is another."""
        if self._member.ledger is not None:
            shown = [self._shown[name] for name in signers]
            self._member.witnesses.update(lambda memory: memory.saw_release(shown))

    def _charge(self) -> None:
        member, request = self._member, self._request
        mechanism = member.charter.mechanism(member.platform, request.purpose)
        if member.ledger is not None and mechanism is not None:
            release = policy.RELEASES[request.purpose]
            member.ledger.charge(Charge(request.run, request.round, request.attempt, release, mechanism))

    def _quantise(self, delta: AdapterDelta) -> QuantizedDelta:
        charter, platform, purpose = self._member.charter, self._member.platform, self._request.purpose
        if not np.isfinite(delta.values).all():
            raise UpdateNotFinite("the update is not finite", where=platform, hint="lower the learning rate")
        ring = charter.terms(purpose).ring
        clipped = ClippedDelta(np.clip(delta.values, -ring.clip, ring.clip, out=delta.values), ring.clip)
        rounding = self._member.randomness(f"rounding to {purpose}", self._request.round)
        quantised = ring.quantise(clipped, charter.weight(platform, purpose), rounding)
        share = charter.share_variance
        if share is None or purpose != "train":
            return quantised
        return ring.noised(quantised, skellam_noise(share, delta.values.size, OsRandomness()))

    def _require(self, attempt: int) -> None:
        """A question of another attempt is refused, and this one goes on."""
        if attempt != self._spec.attempt:
            what = f"attempt {attempt} is not the one that is open, which is {self._spec.attempt}"
            raise OutOfTurn(what, where=self._member.platform, hint="the open one goes on")

    def _take(self, phase: type[State], attempt: int) -> State:
        """The state, which is gone from here: whatever fails after this, the phase is not entered again."""
        self._require(attempt)
        state, self._state = self._state, None
        if not isinstance(state, phase):
            what, where = f"this round is not in the phase {phase.__name__.lower()}", self._member.platform
            raise OutOfTurn(what, where=where, hint="each question is answered once, in order; open another")
        return state


def _checked(model: Floats, size: int) -> Floats:
    if model.shape != (size,) or not np.isfinite(model).all():
        raise WrongModel(
            f"{model.size} values, or not all finite", hint="the charter says how many there are"
        )
    return model
