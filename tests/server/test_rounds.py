"""The run as the coordinator holds it: exact means, void rounds, refusals, and a ledger without gaps."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from clients.site import Site
from common.charter import TensorClip
from common.deltas import AdapterDelta, Floats
from common.errors import AggregationAborted, DataError, PrivacyRefused
from common.frame import Frame
from common.replies import REFUSED, refuse
from common.secagg.errors import BaseModelReleased, TooFewPlatforms
from server import optimizer
from server.outcome import RoundOutcome
from server.rounds import conduct

Make = Callable[..., Any]
Handle = Callable[[Frame], Frame]


def update_of(platform: str) -> Floats:
    """What the fixture's sites train."""
    return np.linspace(-0.5, 0.5, 24, dtype=np.float32) * np.float32(len(platform) / 10)


def silent(*addresses: int, since: str = "advertise") -> Callable[[int, Frame, Handle], Frame | None]:
    """A relay on which some addresses no longer answer from a phase on."""
    phases = ("advertise", "share", "upload", "sign", "unmask")

    def relay(address: int, frame: Frame, site: Handle) -> Frame | None:
        gone = address in addresses and phases.index(frame.kind) >= phases.index(since)
        return None if gone else site(frame)

    return relay


def run(made: Any, relay: Any = None) -> list[RoundOutcome]:
    watched: list[RoundOutcome] = []
    conduct(made.tape(relay), made.run, watched.append)
    return watched


def test_every_round_is_held_saved_and_watched(fleet: Make) -> None:
    made = fleet()
    seen: list[tuple[int, int]] = []
    checkpoint = conduct(
        made.tape(), made.run, lambda outcome: seen.append((outcome.number, made.run.latest().round))
    )
    assert seen == [(1, 1), (2, 2), (3, 3)]
    assert checkpoint.round == made.run.latest().round == 3
    assert [outcome.number for outcome in made.run.latest().outcomes] == [1, 2, 3]
    assert len({outcome.attempt for outcome in checkpoint.outcomes}) == 3


def test_the_server_steps_along_the_weighted_mean_of_the_updates(fleet: Make) -> None:
    made = fleet(rounds=1)
    before = made.run.latest().state
    run(made)
    mean = np.mean([update_of(name).astype(np.float64) for name in made.folders], axis=0)
    expected = optimizer.apply(made.charter.server, before, mean.astype(np.float32), 1)
    assert np.allclose(made.run.latest().state.parameters, expected.parameters, atol=1e-5)


def test_a_charter_with_lanes_of_16_bits_halves_the_upload_and_moves_the_same_model(fleet: Make) -> None:
    """Two tensors with clips of their own; weights sum to 1; one platform has dropped out."""
    wide = fleet(rounds=1)
    members = tuple(member.model_copy(update={"weight": 0.25}) for member in wide.charter.members)
    tensors = (TensorClip(size=10, clip=0.5), TensorClip(size=14, clip=0.4))
    narrow = {"ring_width": 16, "ring_bits": 16, "ring_tensors": tensors, "members": members}
    made = wide.again(rounds=1, **narrow)
    (outcome,), (usual,) = run(made, silent(2, since="upload")), run(wide, silent(2, since="upload"))
    assert outcome.survivors == ("amber", "herring", "timber")
    assert usual.bytes_up["amber"] - outcome.bytes_up["amber"] == 2 * (24 + 2)
    ours, its = made.run.latest().state.parameters, wide.run.latest().state.parameters
    assert np.allclose(ours, its, atol=1e-3)


@pytest.mark.parametrize("lane", [np.uint16, np.float32])
def test_lanes_of_another_width_than_the_charters_are_left_out(fleet: Make, lane: type) -> None:
    def relay(address: int, frame: Frame, site: Handle) -> Frame:
        answer = site(frame)
        wrong = frame.kind == "upload" and address == 2
        return replace(answer, arrays=(answer.arrays[0].astype(lane),)) if wrong else answer

    (outcome,) = run(fleet(rounds=1), relay)
    told = {np.uint16: "mask: BadVector", np.float32: "upload: ProtocolError"}[lane]
    assert outcome.dropped == {"salt": told}


def test_a_finished_run_asks_nobody(fleet: Make) -> None:
    made = fleet()
    run(made)
    tape = made.tape()
    conduct(tape, made.run, lambda outcome: None)
    assert tape.passed == []


def test_a_run_goes_on_where_it_stopped_to_the_same_vector(fleet: Make) -> None:
    whole, stopped = fleet(), fleet()
    run(whole)

    def stop(outcome: RoundOutcome) -> None:
        if outcome.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        conduct(stopped.tape(), stopped.run, stop)
    assert stopped.run.latest().round == 2
    assert [outcome.number for outcome in run(stopped)] == [3]
    mine, its = stopped.run.latest().state, whole.run.latest().state
    assert np.allclose(mine.parameters, its.parameters, atol=1e-4)


@pytest.mark.parametrize("since", ["advertise", "share", "upload"])
def test_too_few_platforms_void_the_round_and_the_next_conduct_works(fleet: Make, since: str) -> None:
    """Two of four are gone: no sum, nothing half done, and no charge without its round."""
    made = fleet(private=True)
    with pytest.raises(TooFewPlatforms):
        run(made, silent(1, 3, since=since))
    assert made.run.latest().round == 0
    assert [outcome.number for outcome in run(made)] == [1, 2, 3]
    for folder in made.folders.values():
        book = folder.ledger()
        book.verify()
        assert [entry.counter for entry in book.entries()] == list(range(1, len(book.entries()) + 1))
        charged = [entry.charge.round for entry in book.entries()]
        assert sorted(set(charged)) == [1, 2, 3]
        assert len(charged) <= 4


def test_who_drops_out_is_told_with_the_phase(fleet: Make) -> None:
    made = fleet()
    (first, *_) = run(made, silent(2, since="upload"))
    assert first.survivors == ("amber", "herring", "timber")
    assert first.dropped == {"salt": "upload"}


def test_one_platform_that_fails_does_not_stop_the_others(
    fleet: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = Site._train

    def failing(site: Site, model: Floats, number: int) -> AdapterDelta:
        if site._member.platform == "salt" and number == 2:
            raise DataError("no rows today")
        return trained(site, model, number)

    monkeypatch.setattr(Site, "_train", failing)
    outcomes = run(fleet())
    assert [outcome.dropped for outcome in outcomes] == [{}, {"salt": "upload: Unavailable"}, {}]


def test_when_more_sites_refuse_than_may_lie_the_run_says_so(fleet: Make) -> None:
    made = fleet(private=True, ceiling=0.1)
    with pytest.raises(PrivacyRefused, match="the sites refuse this round: CeilingExceeded") as caught:
        run(made)
    assert caught.value.exit_code == 3
    assert made.run.latest().round == 0
    assert all(folder.ledger().entries() == () for folder in made.folders.values())


def refusing(error: Exception, *addresses: int) -> Callable[[int, Frame, Handle], Frame]:
    return lambda address, frame, site: refuse(error) if address in addresses else site(frame)


def test_one_liar_is_not_believed_to_speak_for_all(fleet: Make) -> None:
    """With one site silent the round is void; the other's refusal must not be taken for the consortium's."""
    made = fleet(colluders=1)

    def relay(address: int, frame: Frame, site: Handle) -> Frame | None:
        return {0: None, 1: refuse(PrivacyRefused(""))}.get(address) if address < 2 else site(frame)

    with pytest.raises(AggregationAborted, match="Too few"):
        run(made, relay)


@pytest.mark.parametrize("liars", [(0,), (0, 1), (0, 1, 2, 3)])
def test_sites_that_always_call_the_model_used_cannot_keep_a_run_for_ever(
    fleet: Make, liars: tuple[int, ...]
) -> None:
    made = fleet("amber", "herring", "salt", colluders=0) if len(liars) == 1 else fleet()
    tape = made.tape(refusing(BaseModelReleased("memory"), *liars))
    with pytest.raises(AggregationAborted):
        conduct(tape, made.run, lambda outcome: None)
    openings = {frame.body for _, frame, _ in tape.passed if frame.kind == "advertise"}
    assert len(openings) <= 2


def test_a_model_that_was_used_up_is_left_for_its_neighbour(fleet: Make) -> None:
    """The coordinator lost a round after the shares were released: the next attempt uses another model."""
    made = fleet()
    before = made.run.latest()

    def die(outcome: RoundOutcome) -> None:
        made.run.save(before)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        conduct(made.tape(), made.run, die)
    again = run(made)
    assert [outcome.number for outcome in again] == [1, 2, 3]
    assert [outcome.attempt for outcome in again] == [3, 4, 5]  # the first was lost, the second refused


def test_a_vector_that_was_changed_on_the_way_is_left_out(fleet: Make) -> None:
    made = fleet(rounds=1)

    def relay(address: int, frame: Frame, site: Handle) -> Frame:
        answer = site(frame)
        if address != 1 or frame.kind != "upload":
            return answer
        (lanes,) = answer.arrays
        return replace(answer, arrays=(lanes + np.uint32(1),))

    (outcome,) = run(made, relay)
    assert outcome.survivors == ("amber", "salt", "timber")
    assert set(outcome.dropped.items()) == {
        (name, "mask: BadVector") for name in set(outcome.cohort) - set(outcome.survivors)
    }
    mean = np.mean([update_of(name) for name in outcome.survivors], axis=0)
    first = made.run.latest().state.first
    assert np.allclose(first, (1 - made.charter.server.beta1) * mean, atol=1e-6)


def test_nothing_but_refusals_and_messages_came_by(fleet: Make) -> None:
    made = fleet(private=True)
    tape = made.tape()
    conduct(tape, made.run, lambda outcome: None)
    assert REFUSED not in {answer.kind for _, _, answer in tape.passed}
    assert len(tape.passed) == 3 * 5 * 4


def test_an_edited_charter_stops_the_run_before_it_asks(fleet: Make) -> None:
    made = fleet()
    path = made.run.path / "charter.json"
    path.write_text(path.read_text().replace('"rounds": 3', '"rounds": 2'))
    tape = made.tape()
    with pytest.raises(Exception, match="not over this charter"):
        conduct(tape, made.run, lambda outcome: None)
    assert tape.passed == []
