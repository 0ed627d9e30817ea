"""A run in random groups ends with a certificate of every group's sum, whatever became of its other groups.

Of three rounds one loses a group at the uploads, one has a group over the norm bound, and one loses a group at the
very end, when its sites have already written the round down.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from clients.site import Site
from common.certificate.check import faults
from common.certificate.rounds import took_part
from common.certificate.statement import Statement, Sum, chained
from common.deltas import AdapterDelta, Floats
from common.frame import Frame
from common.privacy.accountant import epsilon_of
from common.replies import REFUSED, refusal
from common.requests import AdvertiseRequest, CertifyRequest, SignRequest
from common.robust import RobustTerms
from server.certify import MODEL, certify, statement_of
from server.outcome import RoundOutcome
from server.rounds import conduct

Make = Callable[..., Any]
Handle = Callable[[Frame], Frame]
Verified = Callable[..., tuple[int, list[str]]]

TWELVE = tuple(f"platform-{letter}" for letter in "abcdefghijkl")
LOUD = "platform-e"
ROBUST = RobustTerms(norm_bound=0.5, statistic="median", draws=4)
LOST = {1: "upload", 3: "unmask"}
"""By round the phase in which the group of the first platform loses two answers."""


@dataclass
class Weather:
    """Loses answers on their way to the coordinator, after the sites have given them."""

    round: int = 0
    group: tuple[str, ...] = ()
    cohorts: dict[tuple[int, str], tuple[str, ...]] = field(default_factory=dict)
    survivors: dict[tuple[int, str], tuple[str, ...]] = field(default_factory=dict)

    def __call__(self, address: int, frame: Frame, site: Handle) -> Frame | None:
        answer = site(frame)
        if frame.kind == "advertise":
            self._opened(address, AdvertiseRequest.parse(frame))
        if frame.kind == "sign":
            self.survivors[self.round, TWELVE[address]] = SignRequest.parse(frame).survivors
        lost = LOST.get(self.round) == frame.kind and TWELVE[address] in self.group[:2]
        return None if lost else answer

    def _opened(self, address: int, asked: AdvertiseRequest) -> None:
        self.round = asked.round
        self.cohorts[asked.round, TWELVE[address]] = asked.cohort
        if address == 0:
            self.group = asked.cohort


@dataclass(frozen=True)
class Sailed:
    """A finished run and what its sites were asked on the way; nothing is signed yet."""

    made: Any
    weather: Weather
    outcomes: list[RoundOutcome]
    statement: Statement

    def left_out(self, number: int, why: str) -> tuple[str, ...]:
        """The one group of a round that is not in the update, once it was for this reason."""
        (found,) = [one for one in self.outcomes[number - 1].groups if one.excluded]
        assert found.excluded == why
        return found.platforms

    def with_sums(self, number: int, *sums: Sum) -> Statement:
        """The statement with other sums in one round, and a transcript to match."""
        rounds = tuple(
            record.model_copy(update={"sums": sums}) if record.number == number else record
            for record in self.statement.rounds
        )
        return self.statement.model_copy(update={"rounds": rounds, "transcript": chained(rounds)})

    def answer(self, name: str, statement: Statement) -> str:
        """Why a site does not sign; empty if it does."""
        asked = CertifyRequest(statement=statement.text()).frame(self.made.run.latest().released)
        answer = self.made.site(name).handle(asked)
        return refusal(answer).reason if answer.kind == REFUSED else ""


@pytest.fixture
def sailed(fleet: Make, monkeypatch: pytest.MonkeyPatch) -> Sailed:
    made, weather = fleet(*TWELVE, private=True, robust=ROBUST, rounds=3), Weather()

    def trained(site: Site, model: Floats, number: int) -> AdapterDelta:
        loud = number == 2 and site._member.platform == LOUD
        return AdapterDelta(np.full(24, 1.0 if loud else 0.01, np.float32))

    monkeypatch.setattr(Site, "_train", trained)
    outcomes: list[RoundOutcome] = []
    conduct(made.tape(weather), made.run, outcomes.append)
    return Sailed(made, weather, outcomes, statement_of(made.charter, made.run.latest(), ()))


def test_it_holds_and_tells_the_sums_that_the_sites_were_asked_for(
    sailed: Sailed, verified: Verified
) -> None:
    """The sum of a group over the bound was seen, so it is told; a group that came to nothing has none."""
    weather, run = sailed.weather, sailed.made.run.path
    certificate = certify(sailed.made.tape(), sailed.made.run)
    known = ("--model", run / MODEL, "--charter", run / "charter.json")
    assert verified(certificate.encode(), *known) == (0, [])
    void = {number: sailed.left_out(number, "TooFewPlatforms") for number in LOST}
    over = sailed.left_out(2, "norm 1.26 over 0.5")
    assert LOUD in over
    assert over in {one.cohort for one in certificate.statement.rounds[1].sums}
    for record in certificate.statement.rounds:
        number = record.number
        asked = {weather.cohorts[number, name] for name in TWELVE} - {void.get(number)}
        assert len(asked) == (2 if number in void else 3)
        assert {one.cohort for one in record.sums} == asked
        for one in record.sums:
            assert {weather.survivors[number, name] for name in one.cohort} == {one.survivors}
        assert record.dropped == dict.fromkeys(void.get(number, ())[:2], LOST.get(number))
        assert record.refused == ""
    assert len({one.h2 for record in certificate.statement.rounds for one in record.sums}) == 7
    assert took_part(certificate.statement) == set(TWELVE)


def test_each_word_is_what_the_site_itself_has_on_disk(sailed: Sailed) -> None:
    """A site whose group came to nothing signs too. It does not vouch for that round, and was charged for it."""
    certificate, charter = certify(sailed.made.tape(), sailed.made.run), sailed.made.charter
    assert tuple(word.platform for word in certificate.attestations) == TWELVE
    void = {number: sailed.left_out(number, "TooFewPlatforms") for number in LOST}
    for word, claim in zip(certificate.attestations, certificate.statement.claims, strict=True):
        folder = sailed.made.folders[word.platform]
        seen = {one.number: one.sum for one in folder.engagement(charter).logbook.all()}
        assert set(seen) == {2, 3} | {1} - {number for number in (1,) if word.platform in void[number]}
        vouched = [number for number in (1, 2, 3) if word.platform not in void.get(number, ())]
        assert word.finished == tuple(f"train/{number}" for number in vouched)
        for number in vouched:
            assert seen[number] in certificate.statement.rounds[number - 1].sums
        history, ledger = [row.mechanism() for row in word.charges], folder.ledger()
        assert epsilon_of(ledger.history(), claim.delta) == epsilon_of(history, claim.delta)
        assert sum(row.times for row in word.charges) == len(ledger.entries()) == 3
        assert claim.platform == word.platform
        assert ledger.spent().prv == claim.figures["prv"] <= claim.epsilon


def test_a_group_told_otherwise_is_refused_by_its_own_sites(sailed: Sailed) -> None:
    first, *others = sailed.statement.rounds[1].sums
    fewer = first.survivors[1:]
    for change in ({"survivors": fewer}, {"h2": "ab" * 32}, {"cohort": fewer, "survivors": fewer}):
        told = sailed.with_sums(2, first.model_copy(update=change), *others)
        assert {name: sailed.answer(name, told) for name in fewer} == dict.fromkeys(
            fewer, "RoundContradicted"
        )
    assert sailed.answer(first.cohort[0], sailed.statement) == ""


def test_a_group_that_is_changed_is_named_whoever_signs(sailed: Sailed, verified: Verified) -> None:
    certificate = certify(sailed.made.tape(), sailed.made.run)
    first, *others = sailed.statement.rounds[1].sums
    flipped = certificate.encode().replace(first.h2.encode(), b"ab" * 32)
    assert verified(flipped) == (4, ["BrokenChain", *["SignatureWrong"] * 12, "RoundUnvouched"])
    few = first.model_copy(update={"survivors": first.survivors[2:]})
    mixed = first.model_copy(update={"survivors": others[0].survivors})
    void = sailed.left_out(1, "TooFewPlatforms")
    invented = Sum(cohort=void, survivors=void, h2="ab" * 32)
    for number, sums, reason, told in (
        (2, (few, *others), "RoundsMissing", "train/2: a sum of 2 platforms"),
        (2, (mixed, *others), "RoundsMissing", "train/2: survivors outside the cohort"),
        (2, (first, first, *others), "RoundsMissing", "train/2: not cohorts of the roster"),
        (1, (*sailed.statement.rounds[0].sums, invented), "RoundUnvouched", f"not: {', '.join(void)}"),
    ):
        statement = sailed.with_sums(number, *sums)
        code, reasons = verified(certificate.model_copy(update={"statement": statement}).encode())
        assert (code, set(reasons)) == (4, {reason, "SignatureWrong", "RoundUnvouched"})
        found = faults(sailed.made.resigned(certificate, statement))
        assert {type(fault).__name__ for fault in found if told in str(fault)} == {reason}
        assert {type(fault).__name__ for fault in found} <= {reason, "RoundUnvouched"}
