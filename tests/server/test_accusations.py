"""A dealer that spoils envelopes is left out; a liar cannot have an honest platform left out cheaply."""

from collections.abc import Callable
from typing import Any

import pytest

from common.errors import AggregationAborted
from common.frame import Frame
from common.replies import REFUSED, refuse
from common.requests import AdvertiseRequest, RevealRequest
from common.robust import RobustTerms, Statistic
from common.secagg import seat
from common.secagg.draw import Commitment
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
TWELVE = tuple(f"platform-{letter}" for letter in "abcdefghijkl")
MEDIAN = RobustTerms(norm_bound=9.0, statistic="median")


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


def dealing_off_the_polynomial(cheat: str, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Let ``cheat`` deal shares of another seed than it committed to; the seeds of the attempts it did so in."""
    seeds: list[bytes] = []

    def deal(own: seat.Secrets, holders: Any, place: seat.Seat) -> Any:
        if place.me != cheat:
            return honest(own, holders, place)
        seeds.append(own.seed)
        monkeypatch.setattr(seat, "split", lambda secret, t, at: split(bytes(32), t, at))
        dealt = honest(own, holders, place)
        monkeypatch.setattr(seat, "split", split)
        return dealt

    honest = seat.deal
    monkeypatch.setattr("common.secagg.client.deal", deal)
    return seeds


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
    salts = dealing_off_the_polynomial("salt", monkeypatch)
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


def test_words_add_up_over_the_rounds_of_a_run(fleet: Make) -> None:
    """Two may lie. salt spoils two envelopes a round, each time others': the third victim is one too many."""
    seen, seven = Openings(), (*SIX, "visby")
    victims = {1: ("amber", "cogs"), 2: ("cogs", "herring")}

    def relay(address: int, frame: Frame, site: Handle) -> Frame:
        seen.see(address, frame)
        return spoiling(seven.index("salt"), *victims.get(seen.number, ()))(address, frame, site)

    watched, tape = run(fleet(*seven, colluders=2, rounds=3), relay)
    assert refused_uploads(tape) == [b"4 BadShares salt"] * 4
    assert [outcome.cohort for outcome in watched] == [seven, seven, tuple(n for n in seven if n != "salt")]
    assert [set(outcome.dropped) for outcome in watched] == [{"amber", "cogs"}, {"cogs", "herring"}, set()]


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


# --- in rounds of random groups ----------------------------------------------------------------------------


@pytest.fixture
def twelve(fleet: Make) -> Make:
    """Three groups of four platforms in each round; one of them may lie."""

    def make(**changes: Any) -> Any:
        return fleet(*TWELVE, **{"robust": MEDIAN, "rounds": 2, **changes})

    return make


class Openings:
    """What each address was opened with last, read off the frames that pass."""

    def __init__(self) -> None:
        self.number, self.groups = 0, dict[int, tuple[str, ...]]()

    def see(self, address: int, frame: Frame) -> None:
        if frame.kind == "advertise":
            asked = AdvertiseRequest.parse(frame)
            self.number, self.groups[address] = asked.round, asked.cohort


def void_groups(outcome: RoundOutcome) -> dict[str, tuple[str, ...]]:
    return {group.excluded: group.platforms for group in outcome.groups if group.excluded}


def without(*names: str) -> tuple[str, ...]:
    return tuple(name for name in TWELVE if name not in names)


def test_a_bad_dealer_voids_its_group_once_and_is_drawn_into_no_other(twelve: Make) -> None:
    watched, tape = run(twelve(rounds=3), spoiling(4, *TWELVE))
    first, *later = watched
    assert first.cohort == TWELVE
    assert "platform-e" in void_groups(first)["TooFewPlatforms"]
    for outcome in later:
        assert outcome.cohort == outcome.survivors == without("platform-e")
        assert sorted(name for group in outcome.groups for name in group.platforms) == list(outcome.cohort)
        assert [group.excluded for group in outcome.groups] == ["", "", ""]
        assert outcome.dropped == {}
        assert set(outcome.bytes_up) == set(outcome.bytes_down) == set(outcome.cohort)
    assert [outcome.attempt for outcome in watched] == [1, 2, 3]
    assert refused_uploads(tape) == [b"4 BadShares platform-e"] * 3


def test_a_culprit_that_commits_all_the_same_is_on_no_ballot(twelve: Make) -> None:
    """Who is where is not known before the draw, so it is asked to commit like everyone."""
    _, tape = run(twelve(), spoiling(4, *TWELVE))
    committed = [reply for asked, frame, reply in tape.passed if (asked, frame.kind) == (4, "commit")]
    assert [Commitment.decode(reply.body).platform for reply in committed] == ["platform-e"] * 2
    assert [frame.kind for frame in tape.questions(4)].count("reveal") == 1
    ballot = RevealRequest.parse([frame for frame in tape.questions(0) if frame.kind == "reveal"][1])
    names = [Commitment.decode(one).platform for one in ballot.commitments]
    assert names == list(without("platform-e"))


def test_a_dealer_off_its_polynomial_voids_its_group_once(
    twelve: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No site sees this fault, so only the reason of the void group tells of it."""
    seeds = dealing_off_the_polynomial("platform-e", monkeypatch)
    (first, second), _ = run(twelve(), None)
    assert "platform-e" in void_groups(first)["BadDealer"]
    assert second.survivors == without("platform-e")
    assert len(seeds) == 1


def test_a_dealer_without_valid_receipts_spoils_no_group_and_is_left_out(twelve: Make) -> None:
    (first, second), _ = run(twelve(), spoiling(4, *TWELVE, place=100))
    assert void_groups(first) == {}
    assert first.dropped == {"platform-e": "share: BadShares"}
    assert second.cohort == without("platform-e")


def test_what_the_reason_of_a_void_group_proves_needs_nobodys_word(twelve: Make) -> None:
    """Three are away in the first round, so its groups have nobody to spare."""
    away, seen, bad = {0, 1, 2}, Openings(), spoiling(4, *TWELVE, place=100)

    def relay(address: int, frame: Frame, site: Handle) -> Frame | None:
        seen.see(address, frame)
        return None if address in away and seen.number == 0 else bad(address, frame, site)

    (first, second), tape = run(twelve(), relay)
    assert "platform-e" in void_groups(first)["TooFewPlatforms"]
    assert refused_uploads(tape) == []
    assert second.cohort == second.survivors == without("platform-e")


def test_a_round_without_any_sum_tells_who_spoilt_its_groups(twelve: Make) -> None:
    """One dealer in each group: all are left out of the round's next draw, which has just enough for groups."""
    seen, dealers = Openings(), dict[int, str]()

    def relay(address: int, frame: Frame, site: Handle) -> Frame:
        seen.see(address, frame)
        first = seen.groups[address][0] if frame.kind == "share" else ""
        if len(dealers) < 3 and first == TWELVE[address]:
            dealers[address] = first
        return spoiling(address, *TWELVE)(address, frame, site) if address in dealers else site(frame)

    (outcome,), _ = run(twelve(rounds=1), relay)
    assert len(dealers) == 3
    assert (outcome.number, outcome.attempt) == (1, 2)
    assert outcome.cohort == outcome.survivors == without(*dealers.values())
    assert [len(group.platforms) for group in outcome.groups] == [3, 3, 3]


@pytest.mark.parametrize(
    ("platforms", "statistic", "asked"),
    [(TWELVE, "median", [12, 11, 10, 9, 9]), (TWELVE[:9], "mean", [9, 8, 7, 6, 6])],
)
def test_with_too_few_for_the_groups_culprits_are_asked_again(
    fleet: Make, platforms: tuple[str, ...], statistic: Statistic, asked: list[int]
) -> None:
    """Another platform spoils each round; after the fourth too few would be left for groups of three."""
    seen, terms = Openings(), RobustTerms(norm_bound=9.0, statistic=statistic)

    def relay(address: int, frame: Frame, site: Handle) -> Frame:
        seen.see(address, frame)
        return spoiling(min(seen.number, 4) - 1, *TWELVE)(address, frame, site)

    watched, _ = run(fleet(*platforms, robust=terms, rounds=5), relay)
    assert [len(outcome.cohort) for outcome in watched] == asked
    assert watched[4].cohort == platforms[3:]
    for outcome in watched[3:]:
        assert "platform-d" in void_groups(outcome)["TooFewPlatforms"]


@pytest.mark.parametrize(("lying", "left"), [(1, 12), (2, 11)])
def test_it_takes_more_liars_than_the_charter_assumes(twelve: Make, lying: int, left: int) -> None:
    """In the first round the last of a group is accused by others of it: by one, as c says, or by two."""
    seen = Openings()

    def relay(address: int, frame: Frame, site: Handle) -> Frame:
        seen.see(address, frame)
        if (seen.number, frame.kind) != (1, "upload") or TWELVE[address] not in seen.groups[0][:lying]:
            return site(frame)
        return refuse(BadShares("mask", seen.groups[0][3]))

    (_, second), _ = run(twelve(), relay)
    assert len(second.cohort) == left


def test_one_liar_has_nobody_left_out_whomever_it_is_grouped_with(twelve: Make) -> None:
    seen = Openings()

    def relay(address: int, frame: Frame, site: Handle) -> Frame:
        seen.see(address, frame)
        if (address, frame.kind) != (0, "upload"):
            return site(frame)
        return refuse(BadShares("mask", next(name for name in seen.groups[0] if name != TWELVE[0])))

    watched, _ = run(twelve(rounds=3), relay)
    for outcome in watched:
        assert outcome.cohort == TWELVE
        assert outcome.survivors == without("platform-a")


def test_a_word_against_a_platform_of_another_group_is_none(twelve: Make) -> None:
    """Nobody has dealt to, or seen the ledger of, a platform that it was not grouped with."""
    seen = Openings()

    def relay(address: int, frame: Frame, site: Handle) -> Frame:
        seen.see(address, frame)
        liars = [name for name in TWELVE if name not in seen.groups.get(4, TWELVE)]
        if frame.kind != "upload" or TWELVE[address] not in liars[:2]:
            return site(frame)
        return refuse(BadShares("mask", "platform-e"))

    watched, _ = run(twelve(), relay)
    assert [outcome.cohort for outcome in watched] == [TWELVE, TWELVE]


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


def test_what_groups_hold_is_added_and_an_accuser_in_two_of_them_counts_once() -> None:
    held, first, second = Accusations(), Accusations(), Accusations()
    first.hear("amber", "salt")
    second.hear("amber", "salt")
    second.prove({"rye": BadShares("share", "rye")})
    held.absorb(first)
    held.absorb(second)
    assert held.culprits(1) == {"rye"}
    third = Accusations()
    third.hear("herring", "salt")
    held.absorb(third)
    assert held.culprits(1) == {"rye", "salt"}
    assert first.culprits(1) == frozenset()
