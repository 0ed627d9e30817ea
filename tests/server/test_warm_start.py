"""The statistics' round: one exact sum, one charge before any row is read, and a map that training starts from."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from clients.site import Site
from clients.statistics import moments_of
from common.charter import CharterInvalid
from common.data.sequences import Sequences
from common.deltas import AdapterDelta, Floats
from common.errors import PrivacyRefused
from common.frame import Frame
from common.model.base import flat_map, map_size
from common.model.closed_form import Moments, StatisticsTerms, solve
from common.privacy.accountant import Mechanism
from common.replies import REFUSED, refusal
from common.requests import ReplayRequest
from server.channel import Meter
from server.cohort import Cohort
from server.rounds import conduct, hold_opened, opening_of
from server.verify import verify_round
from server.warm_start import warm_start

Make = Callable[..., Any]
Handle = Callable[[Frame], Frame]
FEATURES, RANK, USERS, PARAMETERS = 16, 4, 30, 24  # features and parameters are the fixtures' charter's
OPEN = {"statistics": StatisticsTerms(noise_multiplier=None, rank=RANK)}
PRIVATE = {"statistics": StatisticsTerms(noise_multiplier=5.0, rank=RANK)}


def rows_of(platform: str) -> tuple[Floats, Sequences]:
    """A catalogue and 30 users, which follow from the platform's name."""
    draw = np.random.default_rng(len(platform))
    features = draw.normal(size=(40, FEATURES))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    owners = np.repeat(np.arange(USERS), 8)
    items = draw.integers(0, 40, owners.size).astype(np.int32)
    times, ones = np.arange(owners.size), np.ones(owners.size, np.float32)
    return features.astype(np.float32), Sequences.group(USERS, owners, items, times, ones)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Sites with rows; the list tells whose rows were read, and how many charges stood in the ledger by then."""
    read: list[tuple[str, int]] = []

    def of(site: Site) -> tuple[Floats, Sequences]:
        ledger = site._member.ledger
        read.append((site._member.platform, len(ledger.entries()) if ledger else 0))
        return rows_of(site._member.platform)

    monkeypatch.setattr(Site, "_rows", property(of))
    return read


def pooled(names: Any) -> Moments:
    total = Moments(np.zeros((FEATURES, FEATURES)), np.zeros((FEATURES, FEATURES)))
    for name in names:
        total += moments_of(*rows_of(name), 20)
    return total


def hold(made: Any, tape: Any) -> Floats:
    opening = opening_of(made.charter, made.run, "statistics", 1)
    model = made.run.latest().state.parameters
    delta, outcome = hold_opened(Cohort(Meter(tape, 5.0)), made.charter, opening, model)
    mean: Floats = delta.mean * len(outcome.survivors)
    return mean


def test_the_sum_of_the_sites_is_that_of_all_rows_in_one_place(fleet: Make, rows: list[Any]) -> None:
    made = fleet(**OPEN)
    unit = made.charter.terms("statistics").ring.clip / 2**21
    found = hold(made, made.tape())
    assert np.abs(found - pooled(made.folders).packed()).max() <= 4 * unit
    assert np.abs(found).max() > 1


def test_a_run_begins_with_the_statistics_and_trains_on_their_map(
    fleet: Make, rows: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[Floats] = []
    trained = Site._train

    def watched(site: Site, model: Floats, number: int) -> AdapterDelta:
        received.append(model)
        return trained(site, model, number)

    monkeypatch.setattr(Site, "_train", watched)
    made = fleet(**OPEN)
    tape = made.tape()
    checkpoint = conduct(tape, made.run, lambda outcome: None)
    assert [outcome.number for outcome in checkpoint.outcomes] == [1, 2, 3]
    users = 160 * len(made.folders)  # of the declared buckets
    first, second = solve(pooled(made.folders), OPEN["statistics"], users, 0.0)
    assert checkpoint.base is not None
    left, right = np.split(checkpoint.base.astype(float), 2)
    found = left.reshape(FEATURES, RANK) @ right.reshape(RANK, FEATURES)
    assert np.allclose(found, first.astype(float) @ second, atol=1e-3)
    assert len(received) == 3 * len(made.folders)
    for model in received:
        assert np.array_equal(model[PARAMETERS:], checkpoint.base)
    assert np.array_equal(checkpoint.released[PARAMETERS:], checkpoint.base)
    assert np.array_equal(checkpoint.released[:PARAMETERS], checkpoint.state.average)
    again = made.run.latest()
    assert again.base is not None
    assert np.array_equal(again.base, checkpoint.base)


def test_a_charter_without_statistics_has_no_map(fleet: Make) -> None:
    made = fleet(rounds=1)
    checkpoint = conduct(made.tape(), made.run, lambda outcome: None)
    assert checkpoint.base is None
    assert checkpoint.model is checkpoint.state.parameters
    with pytest.raises(CharterInvalid):
        warm_start(made.charter, np.zeros(392, np.float32), ("salt",))


def test_the_release_is_charged_as_statistics_before_a_row_is_read(
    fleet: Make, rows: list[Any], plan: Any
) -> None:
    made = fleet(private=True, **PRIVATE)
    hold(made, made.tape())
    assert sorted(rows) == [(name, 1) for name in sorted(made.folders)]
    conduct(made.tape(), made.run, lambda outcome: None)
    for folder in made.folders.values():
        told = [(entry.charge.release, entry.charge.round) for entry in folder.ledger().entries()]
        # The coordinator forgot the first release: it had to ask, and the sites to pay, for another.
        assert told == [("statistics", 1)] * 2 + [("training", number) for number in (1, 2, 3)]
        mechanisms = folder.ledger().history()
        assert mechanisms == (*[Mechanism(5.0, 1.0, 1)] * 2, *[plan.per_round] * 3)


def test_the_noise_of_the_sum_is_that_of_all_platforms(fleet: Make, rows: list[Any]) -> None:
    made = fleet(private=True, **PRIVATE)
    noise = hold(made, made.tape()) - pooled(made.folders).packed()
    assert np.std(noise) == pytest.approx(5.0 * 2, rel=0.12)  # four platforms


def test_a_ceiling_that_training_alone_would_keep_refuses_the_statistics(
    fleet: Make, rows: list[Any], plan: Any
) -> None:
    made = fleet(private=True, ceiling=1.01 * plan.forecast().prv, **PRIVATE)
    with pytest.raises(PrivacyRefused, match="CeilingExceeded"):
        conduct(made.tape(), made.run, lambda outcome: None)
    assert rows == []
    assert all(folder.ledger().entries() == () for folder in made.folders.values())


def asked_again(made: Any, tape: Any, opening: Frame) -> set[str]:
    answers = [tape.sites[address](opening) for address in tape.addresses()]
    assert all(answer.kind == REFUSED for answer in answers)
    return {refusal(answer).reason for answer in answers}


def test_after_a_release_neither_a_replay_nor_a_restarted_site_releases_again(
    fleet: Make, rows: list[Any]
) -> None:
    """The sites die after the sum; whoever asks again over the same model or attempt is refused, unpaid."""
    made = fleet(private=True, **PRIVATE)
    first = made.tape()
    hold(made, first)
    opening = next(frame for frame in first.questions(0) if frame.kind == "advertise")
    restarted = made.tape()
    assert asked_again(made, restarted, opening) == {"RoundReplayed"}
    later = opening_of(made.charter, made.run, "statistics", 1)
    assert asked_again(made, restarted, later.frame(*opening.arrays)) == {"BaseModelReleased"}
    beyond = later.model_copy(update={"round": 2, "nonce": b"o" * 16})
    assert asked_again(made, restarted, beyond.frame(*opening.arrays)) == {"OutsideCharter"}
    assert all(len(folder.ledger().entries()) == 1 for folder in made.folders.values())
    assert len(rows) == len(made.folders)


@pytest.mark.parametrize("phase", ["upload", "sign", "unmask"])
def test_a_site_that_dies_in_a_phase_answers_that_attempt_no_more(
    fleet: Make, rows: list[Any], phase: str
) -> None:
    """And what it released, or may have, is charged: one charge for each vector that ever left it."""
    made = fleet(private=True, **PRIVATE)
    left: list[Frame] = []
    tape = made.tape()

    def relay(address: int, frame: Frame, site: Handle) -> Frame:
        answer: Frame = tape.sites[address](frame)
        if address == 2 and frame.kind == "upload":
            left.append(answer)
        if address == 2 and frame.kind == phase:
            tape.sites = [
                *tape.sites[:2],
                made.site("salt").handle,
                *tape.sites[3:],
            ]  # the answer left; it died
            again = tape.sites[2](frame)
            assert refusal(again).reason == "OutOfTurn"
        return answer

    tape.relay = relay
    hold(made, tape)
    assert len(made.folders["salt"].ledger().entries()) == len(left) == 1


def test_each_purpose_counts_its_rounds_apart(fleet: Make, rows: list[Any]) -> None:
    """A statistics round after training rounds of higher numbers is no replay of them."""
    made = fleet(**OPEN)
    tape = made.tape()
    conduct(tape, made.run, lambda outcome: None)
    made.next_model()
    assert np.isfinite(hold(made, tape)).all()


def test_a_model_of_another_size_opens_no_round(fleet: Make, rows: list[Any]) -> None:
    """Without the map no training, with it no statistics: two sites could else start from two bases."""
    made = fleet(**OPEN)
    tape, bare = made.tape(), made.run.latest().model
    warm = np.concatenate([bare, np.zeros(map_size(FEATURES, RANK), np.float32)])
    for purpose, model in (("train", bare), ("statistics", warm)):
        opening = opening_of(made.charter, made.run, purpose, 1)
        assert asked_again(made, tape, opening.frame(model)) == {"WrongModel"}


def test_a_site_that_is_shown_another_map_signs_another_round(fleet: Make, rows: list[Any]) -> None:
    made = fleet(**OPEN)
    other = flat_map(np.ones((FEATURES, RANK), "f4"), np.ones((RANK, FEATURES), "f4"))

    def relay(address: int, frame: Frame, site: Handle) -> Frame:
        if frame.kind == "advertise" and address == 2 and b'"train"' in frame.body:
            (model,) = frame.arrays
            frame = Frame(frame.kind, frame.body, (np.concatenate([model[:PARAMETERS], other]),))
        return site(frame)

    checkpoint = conduct(made.tape(relay), made.run, lambda outcome: None)
    assert all("salt" not in outcome.survivors for outcome in checkpoint.outcomes)
    assert all(len(outcome.survivors) == 3 for outcome in checkpoint.outcomes)


def test_the_statistics_round_leaves_no_ticket(fleet: Make, rows: list[Any]) -> None:
    """A replay shows a training step; a coordinator that hands one over for another round is not believed."""
    made = fleet(replay_days=7, **OPEN)
    tape = made.tape()
    hold(made, tape)
    notice = ReplayRequest(attempt=1, bundle=bytes(32), key=bytes(32)).frame()
    assert asked_again(made, tape, notice) == {"OutOfTurn"}


def test_a_replay_of_a_training_round_still_holds(fleet: Make, rows: list[Any]) -> None:
    """The step is of the parameters alone; the map that opened the round is bound by what everyone signed."""
    made = fleet(rounds=2, replay_days=7, **OPEN)
    conduct(made.tape(), made.run, lambda outcome: None)
    bundles = sorted((made.run.path / "replays").iterdir())
    verdicts = [verify_round(bundle, made.folders["salt"].path) for bundle in bundles]
    assert [(verdict.round, verdict.attempt) for verdict in verdicts] == [(1, 2), (2, 3)]
    assert verdicts[0].model_received
    assert verdicts[1].moments_followed
