"""A dealer that spoils envelopes is left out; a liar cannot have an honest platform left out cheaply."""

from collections.abc import Callable
from typing import Any

import pytest

from common.errors import AggregationAborted
from common.frame import Frame
from common.replies import REFUSED, refuse
from common.secagg import seat
from common.secagg.errors import (
    BadDealer,
    BadShares,
    BadSurvivors,
    BadVector,
    LedgerRollback,
    NoQuorum,
    TooFewPlatforms,
    UnknownPlatform,
    WrongRelease,
)
from common.secagg.messages import ReleasedShares, SealedShares, SurvivorSignature
from common.secagg.shamir import split
from server.accusations import Accusations
from server.outcome import RoundOutcome
from server.rounds import conduct

Make = Callable[..., Any]
Handle = Callable[[Frame], Frame]
SIX = ("amber", "cogs", "herring", "rye", "salt", "timber")


def flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def spoiling(dealer: int, *victims: str, place: int = 0) -> Callable[[int, Frame, Handle], Frame]:
    """A site at address ``dealer`` that changes a byte of the envelopes for ``victims``."""

    def relay(address: int, frame: Frame, site: Handle) -> Frame:
        answer = site(frame)
        if address != dealer or frame.kind != "share" or answer.kind == REFUSED:
            return answer
        sealed = SealedShares.decode(answer.body)
        bad = {
            holder: flip(sealed.envelopes[holder], place) for holder in victims if holder in sealed.envelopes
        }
        return Frame(answer.kind, SealedShares({**sealed.envelopes, **bad}, sealed.own).encode())

    return relay


def run(made: Any, relay: Any) -> tuple[list[RoundOutcome], Any]:
    watched: list[RoundOutcome] = []
    tape = made.tape(relay)
    conduct(tape, made.run, watched.append)
    return watched, tape


def accusing(error: Exception, phase: str, *liars: int) -> Callable[[int, Frame, Handle], Frame]:
    return lambda address, frame, site: (
        refuse(error) if address in liars and frame.kind == phase else site(frame)
    )


def refused_uploads(tape: Any) -> list[bytes]:
    return [reply.body for _, asked, reply in tape.passed if (asked.kind, reply.kind) == ("upload", REFUSED)]


# --- in whole runs -----------------------------------------------------------------------------------------


def test_a_bad_dealer_voids_one_attempt_and_is_left_out_of_the_next(fleet: Make) -> None:
    """salt seals rubbish for everyone, with receipts that verify: only the receivers can tell, and all do."""
    watched, tape = run(fleet(), spoiling(2, "amber", "herring", "timber"))
    assert [outcome.cohort for outcome in watched] == [("amber", "herring", "timber")] * 3
    assert [outcome.attempt for outcome in watched] == [2, 3, 4]
    words = [
        answer.body for _, asked, answer in tape.passed if asked.kind == "upload" and answer.kind == REFUSED
    ]
    assert words == [b"4 BadShares salt"] * 3


def test_a_dealer_whose_receipts_do_not_verify_costs_no_attempt(fleet: Make) -> None:
    """The coordinator checks them before it hands anything on."""
    watched, tape = run(fleet(), spoiling(2, "amber", place=100))
    assert [outcome.attempt for outcome in watched] == [1, 2, 3]
    assert watched[0].dropped == {"salt": "share: BadShares"}
    assert [outcome.cohort for outcome in watched[1:]] == [("amber", "herring", "timber")] * 2
    refused = [
        answer.body for _, asked, answer in tape.passed if asked.kind == "upload" and answer.kind == REFUSED
    ]
    assert refused == []


def test_one_victim_alone_is_not_believed_and_the_round_goes_on_without_it(fleet: Make) -> None:
    """With c = 1 its word is no more than a liar's would be; three of four are enough."""
    watched, _ = run(fleet(rounds=2), spoiling(2, "amber"))
    for outcome in watched:
        assert outcome.cohort == ("amber", "herring", "salt", "timber")
        assert outcome.dropped == {"amber": "upload: BadShares of salt"}


@pytest.mark.parametrize(
    ("error", "phase"),
    [(BadShares("mask", "timber"), "upload"), (LedgerRollback("memory", "timber"), "share")],
)
def test_as_many_liars_as_the_charter_assumes_frame_nobody(fleet: Make, error: Exception, phase: str) -> None:
    watched, _ = run(fleet(*SIX, colluders=1, rounds=2), accusing(error, phase, 0))
    for outcome in watched:
        assert "timber" in outcome.survivors
        assert set(outcome.dropped) == {"amber"}


def test_a_word_against_oneself_or_a_stranger_is_none(fleet: Make) -> None:
    for name in ("amber", "visby"):
        watched, _ = run(fleet(rounds=2), accusing(BadShares("mask", name), "upload", 0))
        assert [len(outcome.cohort) for outcome in watched] == [4, 4]


def test_a_platform_whose_ledger_went_back_is_left_out_by_its_peers_word(fleet: Make) -> None:
    """They refuse to share with it, so the attempt is void; the next one does without it."""
    made = fleet(private=True, rounds=1)
    conduct(made.tape(), made.run, lambda outcome: None)
    (made.folders["timber"].path / "ledger.sqlite").unlink()
    other = made.again(name="second-convoy", rounds=1)
    watched, tape = run(other, lambda address, frame, site: site(frame))
    assert [outcome.survivors for outcome in watched] == [("amber", "herring", "salt")]
    assert b"4 LedgerRollback timber" in {answer.body for _, _, answer in tape.passed}


def test_a_dealer_off_its_polynomial_is_left_out_and_the_model_retired(
    fleet: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its shares are found out when they are released, so the sites answer no more for this model: one attempt
    is void, one is refused, and the third goes on beside the model and without the dealer."""
    salts: list[bytes] = []

    def deal(own: seat.Secrets, holders: Any, place: seat.Seat) -> Any:
        if place.me != "salt":
            return honest(own, holders, place)
        salts.append(own.seed)
        monkeypatch.setattr(seat, "split", lambda secret, t, at: split(bytes(32), t, at))
        dealt = honest(own, holders, place)
        monkeypatch.setattr(seat, "split", split)
        return dealt

    honest = seat.deal
    monkeypatch.setattr("common.secagg.client.deal", deal)
    watched, _ = run(fleet(rounds=2), None)
    assert len(salts) == 1
    assert [outcome.attempt for outcome in watched] == [3, 4]
    assert all("salt" not in outcome.cohort for outcome in watched)


@pytest.mark.parametrize(
    ("phase", "lie", "attempts"),
    [
        ("sign", SurvivorSignature(bytes(64)).encode(), [2, 3]),
        ("unmask", ReleasedShares({}, bytes(64)).encode(), [3, 4]),
    ],
)
def test_a_liar_who_voids_a_round_with_a_slow_platform_is_left_out_of_the_next(
    fleet: Make, phase: str, lie: bytes, attempts: list[int]
) -> None:
    """Of four answers three are needed: salt's is worthless, and amber's is late once."""
    late = [True]

    def relay(address: int, frame: Frame, site: Handle) -> Frame | None:
        answer = site(frame)
        if frame.kind != phase or answer.kind == REFUSED:
            return answer
        if address == 2:
            return Frame(answer.kind, lie)
        return None if address == 0 and late and late.pop() else answer

    watched, _ = run(fleet(rounds=2), relay)
    assert [outcome.attempt for outcome in watched] == attempts
    assert [outcome.cohort for outcome in watched] == [("amber", "herring", "timber")] * 2


def test_without_its_culprits_a_cohort_that_is_too_small_ends_the_run(fleet: Make) -> None:
    made = fleet("amber", "herring", "salt")
    with pytest.raises(TooFewPlatforms, match="1 of 3 are left") as caught:
        run(made, spoiling(2, "amber", "herring"))
    assert caught.value.exit_code == 4
    assert made.run.latest().round == 0


def test_however_many_are_accused_a_run_ends(fleet: Make) -> None:
    """Everyone accuses everyone in turn: each attempt must leave somebody out, or be the last."""
    made = fleet(*SIX)
    attempts: list[int] = []

    def relay(address: int, frame: Frame, site: Handle) -> Frame:
        if frame.kind == "advertise" and address == 0:
            attempts.append(1)
        accused = SIX[-len(attempts) % len(SIX)]
        return refuse(BadShares("mask", accused)) if frame.kind == "upload" else site(frame)

    with pytest.raises(AggregationAborted):
        run(made, relay)
    assert len(attempts) <= len(SIX) - 2


# --- the account alone -------------------------------------------------------------------------------------


def test_one_more_than_may_lie() -> None:
    held = Accusations()
    for accuser in ("amber", "amber", "herring"):
        held.hear(accuser, "salt")
    assert held.culprits(1) == {"salt"}
    assert held.culprits(2) == frozenset()
    held.hear("salt", "salt")
    assert held.culprits(2) == frozenset()


def test_what_the_coordinator_saw_itself_needs_no_votes() -> None:
    held = Accusations()
    held.prove({"salt": BadShares("share", "salt"), "rye": BadVector("mask", "rye")})
    held.learn(BadDealer("unmask", "cogs"))
    held.learn(TooFewPlatforms("share", excluded={"amber": BadShares("share", "amber")}))
    held.learn(TooFewPlatforms("share", excluded={"timber": UnknownPlatform("share", "timber")}))
    held.learn(WrongRelease("unmask", "herring"))
    held.learn(NoQuorum("sign", excluded={"visby": BadSurvivors("sign", "visby")}))
    held.learn(TooFewPlatforms("unmask", excluded={"kolberg": WrongRelease("unmask", "kolberg")}))
    assert held.culprits(9) == {"salt", "cogs", "amber", "visby", "kolberg"}
