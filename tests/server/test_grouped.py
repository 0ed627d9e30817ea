"""Rounds in random groups, with real sites: who is with whom, what each site refuses, and what is told."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from clients.site import Site
from common.deltas import AdapterDelta, Floats
from common.errors import AggregationAborted, HanseError, PrivacyRefused
from common.frame import Frame
from common.replies import REFUSED, refusal
from common.requests import AdvertiseRequest, CommitRequest, RevealRequest
from common.robust import RobustTerms
from common.secagg.draw import Commitment, Reveal
from common.secagg.errors import DrawsUsedUp, TooFewPlatforms, WithheldReveal
from server import optimizer
from server.outcome import RoundOutcome
from server.rounds import conduct

Make = Callable[..., Any]
Handle = Callable[[Frame], Frame]
Relay = Callable[[int, Frame, Handle], Frame | None]

TWELVE = tuple(f"platform-{letter}" for letter in "abcdefghijkl")
MEDIAN = RobustTerms(norm_bound=9.0, statistic="median", draws=4)


@pytest.fixture
def twelve(fleet: Make) -> Make:
    def make(**changes: Any) -> Any:
        return fleet(*TWELVE, **{"robust": MEDIAN, "rounds": 1, **changes})

    return make


def run(made: Any, relay: Relay | None = None) -> list[RoundOutcome]:
    watched: list[RoundOutcome] = []
    conduct(made.tape(relay), made.run, watched.append)
    return watched


def groups_of(outcome: RoundOutcome) -> list[tuple[str, ...]]:
    return [group.platforms for group in outcome.groups]


def test_each_round_cuts_all_platforms_into_new_groups_with_one_sum_each(twelve: Make) -> None:
    first, second = run(twelve(rounds=2))
    for outcome in (first, second):
        assert sorted(name for group in groups_of(outcome) for name in group) == sorted(TWELVE)
        assert [len(group) for group in groups_of(outcome)] == [4, 4, 4]
        assert outcome.survivors == TWELVE
        assert outcome.dropped == {}
        assert list(outcome.seconds_by_phase) == [
            *("commit", "reveal", "advertise", "share", "upload", "sign", "unmask")
        ]
        assert set(outcome.bytes_up) == set(outcome.bytes_down) == set(TWELVE)
    assert set(groups_of(first)) != set(groups_of(second))


def test_with_a_seed_the_groups_repeat_and_with_privacy_on_they_do_not(twelve: Make) -> None:
    assert groups_of(*run(twelve())) == groups_of(*run(twelve()))
    private = twelve(private=True)
    again = twelve(private=True)
    assert groups_of(*run(private)) != groups_of(*run(again))


def test_the_groups_mean_is_the_mean_of_all_and_their_median_is_not(
    twelve: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def updated(platform: str) -> Floats:
        return np.linspace(0, (TWELVE.index(platform) + 1) ** 2 / 200, 24, dtype=np.float32)

    def trained(site: Site, model: Floats, number: int) -> AdapterDelta:
        return AdapterDelta(updated(site._member.platform))

    monkeypatch.setattr(Site, "_train", trained)
    for statistic in ("mean", "median", "trimmed-mean"):
        made = twelve(robust=RobustTerms(norm_bound=99.0, statistic=statistic))
        before = made.run.latest().state
        (outcome,) = run(made)
        means = [np.mean([updated(name) for name in group], axis=0) for group in groups_of(outcome)]
        middle = np.mean(means, axis=0) if statistic == "mean" else np.median(means, axis=0)
        expected = optimizer.apply(made.charter.server, before, middle.astype(np.float32), 1)
        assert np.allclose(made.run.latest().state.first, expected.first, atol=1e-6)


def test_a_group_over_the_bound_is_named_and_left_out(twelve: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained(site: Site, model: Floats, number: int) -> AdapterDelta:
        loud = site._member.platform == "platform-e"
        return AdapterDelta(np.full(24, 1.0 if loud else 0.01, np.float32))

    monkeypatch.setattr(Site, "_train", trained)
    made = twelve(robust=RobustTerms(norm_bound=0.5, statistic="median"))
    (outcome,) = run(made)
    (named,) = [group for group in outcome.groups if group.excluded]
    assert "platform-e" in named.platforms
    assert named.excluded == "norm 1.26 over 0.5"
    assert outcome.survivors == TWELVE
    first = made.run.latest().state.first
    assert np.allclose(first, (1 - made.charter.server.beta1) * 0.01, atol=1e-6)


# --- drop-outs ---------------------------------------------------------------------------------------------


def test_one_that_drops_out_of_each_group_voids_none(twelve: Make) -> None:
    gone: dict[str, int] = {}

    def relay(address: int, frame: Frame, site: Handle) -> Frame | None:
        if frame.kind == "advertise":
            gone.setdefault(",".join(AdvertiseRequest.parse(frame).cohort), address)
        return None if frame.kind == "upload" and address in gone.values() else site(frame)

    (outcome,) = run(twelve(), relay)
    assert len(outcome.survivors) == 9
    assert outcome.dropped == {TWELVE[address]: "upload" for address in gone.values()}
    assert [group.excluded for group in outcome.groups] == ["", "", ""]


def test_a_group_that_loses_two_is_void_and_the_others_go_on(twelve: Make) -> None:
    cohort: list[str] = []

    def relay(address: int, frame: Frame, site: Handle) -> Frame | None:
        if (address, frame.kind) == (0, "advertise"):
            cohort.extend(AdvertiseRequest.parse(frame).cohort)
        return None if frame.kind == "share" and TWELVE[address] in cohort[:2] else site(frame)

    (outcome,) = run(twelve(), relay)
    (void,) = [group for group in outcome.groups if group.excluded]
    assert (void.platforms, void.norm, void.excluded) == (tuple(cohort), None, "TooFewPlatforms")
    assert set(outcome.survivors) == set(TWELVE) - set(cohort)
    assert outcome.dropped == dict.fromkeys(cohort[:2], "share")


def test_who_is_absent_before_the_draw_is_the_drop_out_that_was_allowed_for(twelve: Make) -> None:
    (outcome,) = run(twelve(), lambda address, frame, site: None if address in {2, 7, 9} else site(frame))
    assert [len(group) for group in groups_of(outcome)] == [3, 3, 3]
    assert outcome.dropped == dict.fromkeys(("platform-c", "platform-h", "platform-j"), "commit")


def test_too_few_for_the_statistics_groups_void_the_round_before_anything_is_trained(twelve: Make) -> None:
    made = twelve(private=True)
    with pytest.raises(TooFewPlatforms, match="8 platforms make 2 groups, at least 3 needed"):
        run(made, lambda address, frame, site: None if address < 4 else site(frame))
    assert all(folder.ledger().entries() == () for folder in made.folders.values())


def test_if_no_group_gives_a_sum_the_round_is_void(twelve: Make) -> None:
    made = twelve()
    with pytest.raises(AggregationAborted, match="no group gave a sum: share: Too few platforms"):
        run(made, lambda address, frame, site: None if frame.kind == "share" else site(frame))
    assert made.run.latest().round == 0


# --- values that are not revealed --------------------------------------------------------------------------


def withholding(*addresses: int) -> Relay:
    return lambda address, frame, site: (
        None if address in addresses and frame.kind == "reveal" else site(frame)
    )


def test_who_commits_and_does_not_reveal_is_named_and_left_out_of_the_next_draw(twelve: Make) -> None:
    (outcome,) = run(twelve(), withholding(4))
    assert outcome.attempt == 2
    assert outcome.dropped == {"platform-e": "reveal"}
    assert "platform-e" not in [name for group in groups_of(outcome) for name in group]


def test_another_value_than_the_committed_one_is_found(twelve: Make) -> None:
    def relay(address: int, frame: Frame, site: Handle) -> Frame:
        answer = site(frame)
        if (address, frame.kind) != (4, "reveal"):
            return answer
        told = Reveal.decode(answer.body)
        return replace(answer, body=replace(told, content=b"x" * 32).encode())

    (outcome,) = run(twelve(), relay)
    assert outcome.attempt == 2
    assert outcome.dropped == {"platform-e": "reveal: BadDraw"}


def test_a_round_has_so_many_draws_and_no_more_also_after_a_restart(twelve: Make) -> None:
    """Whoever sees all values first could otherwise ask until it likes the groups."""
    made, asked = twelve(), []

    def relay(address: int, frame: Frame, site: Handle) -> Frame | None:
        if frame.kind == "commit" and address == 0:
            asked.append(CommitRequest.parse(frame).draw)
        return None if frame.kind == "reveal" else site(frame)

    with pytest.raises(TooFewPlatforms):  # all withhold, so nobody is left for the second draw
        run(made, relay)
    with pytest.raises(TooFewPlatforms):
        run(made, relay)
    with pytest.raises(DrawsUsedUp, match="draw 5 of round 1, 4 are allowed"):
        run(made, relay)
    assert asked == [1, 2, 3, 4]


def test_draws_that_are_used_up_say_who_withheld(twelve: Make) -> None:
    made = twelve(robust=RobustTerms(norm_bound=9.0, statistic="mean", draws=2))
    draw = [0]

    def relay(address: int, frame: Frame, site: Handle) -> Frame | None:
        if frame.kind == "commit":
            draw[0] = CommitRequest.parse(frame).draw
        return withholding(3 + draw[0])(address, frame, site)

    with pytest.raises(DrawsUsedUp) as caught:
        run(made, relay)
    assert isinstance(caught.value.__cause__, WithheldReveal)
    assert caught.value.__cause__.platform == "platform-f"


# --- a coordinator that cheats -----------------------------------------------------------------------------


def refused_by(made: Any, relay: Relay, phase: str) -> list[str]:
    """The reasons sites gave for refusing a phase of a round that ran over the relay."""
    tape = made.tape(relay)
    with suppress(HanseError):
        conduct(tape, made.run, lambda outcome: None)
    return [
        refusal(answer).reason
        for _, asked, answer in tape.passed
        if asked.kind == phase and answer.kind == REFUSED
    ]


def changing(kind: str, change: Callable[[Any], Any]) -> Relay:
    """A relay that changes what the sites are asked in one phase."""
    parse = {"reveal": RevealRequest, "advertise": AdvertiseRequest, "commit": CommitRequest}[kind].parse

    def relay(address: int, frame: Frame, site: Handle) -> Frame:
        if frame.kind != kind:
            return site(frame)
        return site(change(parse(frame)).frame(*frame.arrays))

    return relay


def regrouped(opening: AdvertiseRequest) -> AdvertiseRequest:
    """Groups by name: what a coordinator would choose that likes its neighbours."""
    return opening.model_copy(update={"cohort": TWELVE[:4]})


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("advertise", regrouped, "WrongGroup"),
        ("advertise", lambda it: it.model_copy(update={"cohort": TWELVE}), "WrongGroup"),
        ("advertise", lambda it: it.model_copy(update={"attempt": it.attempt + 1}), "WrongGroup"),
        ("advertise", lambda it: it.model_copy(update={"reveals": ()}), "BadDraw"),
        ("advertise", lambda it: it.model_copy(update={"reveals": it.reveals[1:]}), "BadDraw"),
        ("advertise", lambda it: it.model_copy(update={"reveals": (*it.reveals, it.reveals[0])}), "BadDraw"),
        ("advertise", lambda it: it.model_copy(update={"reveals": (b"",)}), "ProtocolError"),
        ("reveal", lambda it: it.model_copy(update={"commitments": it.commitments[1:]}), "BadDraw"),
        ("reveal", lambda it: it.model_copy(update={"commitments": it.commitments * 2}), "BadDraw"),
        ("reveal", lambda it: it.model_copy(update={"commitments": it.commitments[:8]}), "TooFewPlatforms"),
        ("commit", lambda it: it.model_copy(update={"draw": 5}), "DrawsUsedUp"),
        ("commit", lambda it: it.model_copy(update={"draw": 0}), "DrawsUsedUp"),
        ("commit", lambda it: it.model_copy(update={"round": 2}), "OutsideCharter"),
        ("commit", lambda it: it.model_copy(update={"run": "another"}), "OutsideCharter"),
    ],
)
def test_what_a_coordinator_may_not_change_about_a_draw(
    twelve: Make, kind: str, change: Callable[[Any], Any], reason: str
) -> None:
    told = refused_by(twelve(), changing(kind, change), kind)
    assert told
    assert set(told) == {reason}


def test_an_invented_platform_takes_part_in_no_draw(twelve: Make) -> None:
    """Its commitment is put in the place of one that is left out."""

    def invented(asked: RevealRequest) -> RevealRequest:
        stranger = replace(Commitment.decode(asked.commitments[0]), platform="platform-z")
        return asked.model_copy(update={"commitments": (stranger.encode(), *asked.commitments[1:])})

    assert set(refused_by(twelve(), changing("reveal", invented), "reveal")) == {"BadDraw"}


def test_a_draw_is_answered_once_and_its_value_told_to_one_ballot(twelve: Make) -> None:
    """Asked again for a value with other commitments, a site has none left."""
    made = twelve()
    tape = made.tape()
    conduct(tape, made.run, lambda outcome: None)
    commit, reveal = [asked for asked in tape.questions(0) if asked.kind in {"commit", "reveal"}]
    fresh = made.site("platform-a")
    assert refusal(fresh.handle(commit)).reason == "RoundReplayed"
    assert refusal(fresh.handle(reveal)).reason == "OutOfTurn"
    whole = RevealRequest.parse(reveal)
    other = whole.model_copy(update={"attempt": whole.attempt + 1})
    assert refusal(tape.sites[0](other.frame())).reason == "OutOfTurn"
    fewer = whole.model_copy(update={"commitments": whole.commitments[:11]})
    assert refusal(tape.sites[0](fewer.frame())).reason == "StateUsed"


def test_a_site_that_restarted_after_the_draw_sits_the_round_out(twelve: Make) -> None:
    made = twelve()

    def relay(address: int, frame: Frame, site: Handle) -> Frame:
        return (
            made.site("platform-a").handle(frame)
            if (address, frame.kind) == (0, "advertise")
            else site(frame)
        )

    (outcome,) = run(made, relay)
    assert outcome.dropped == {"platform-a": "advertise"}
    assert refused_by(twelve(), relay, "advertise") == ["WrongGroup"]


def test_an_opening_before_the_values_are_told_finds_no_group(twelve: Make) -> None:
    def relay(address: int, frame: Frame, site: Handle) -> Frame | None:
        if frame.kind != "reveal":
            return site(frame)
        opening = AdvertiseRequest(run="r", round=1, attempt=1, nonce=bytes(16), cohort=TWELVE)
        return site(opening.frame(np.zeros(24, np.float32)))

    assert set(refused_by(twelve(), relay, "reveal")) == {"WrongGroup"}


def test_without_groups_in_the_charter_nothing_is_drawn(fleet: Make) -> None:
    made = fleet(robust=RobustTerms(norm_bound=9.0), rounds=1)
    tape = made.tape()
    conduct(tape, made.run, lambda outcome: None)
    assert {asked.kind for _, asked, _ in tape.passed} == {"advertise", "share", "upload", "sign", "unmask"}
    ask = CommitRequest(run=made.charter.digest().hex(), round=1, attempt=9, draw=1)
    assert refusal(made.site("salt").handle(ask.frame())).reason == "OutsideCharter"
    told = refused_by(
        fleet(), changing("advertise", lambda it: it.model_copy(update={"reveals": (b"",)})), "advertise"
    )
    assert set(told) == {"WrongGroup"}


# --- refusals and retired models ---------------------------------------------------------------------------


def test_sites_that_refuse_in_their_groups_are_heard_as_one(twelve: Make) -> None:
    made = twelve(private=True, ceiling=0.1)
    with pytest.raises(PrivacyRefused, match="the sites refuse this round: CeilingExceeded"):
        run(made)


def test_a_model_whose_sums_were_opened_is_left_for_its_neighbour(twelve: Make) -> None:
    made = twelve()
    before = made.run.latest()

    def die(outcome: RoundOutcome) -> None:
        made.run.save(before)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        conduct(made.tape(), made.run, die)
    (outcome,) = run(made)
    assert outcome.attempt == 3  # the first was lost, the second refused


def test_every_answer_is_charged_once(twelve: Make) -> None:
    made = twelve(private=True, rounds=2)
    run(made)
    for folder in made.folders.values():
        assert [entry.charge.round for entry in folder.ledger().entries()] == [1, 2]


def test_all_groups_are_asked_together(twelve: Make) -> None:
    """A step of the round goes to all platforms before the next begins, so sites train at the same time."""
    made = twelve()
    tape = made.tape()
    conduct(tape, made.run, lambda outcome: None)
    phases = ("commit", "reveal", "advertise", "share", "upload", "sign", "unmask")
    assert [asked.kind for _, asked, _ in tape.passed] == [phase for phase in phases for _ in TWELVE]
