"""A site against any coordinator: it answers or refuses with one word, never raises and tells nothing else."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clients.site import Site
from common.deltas import AdapterDelta, Floats
from common.errors import DataError, HanseError
from common.files import write_atomically
from common.frame import Frame, encode
from common.replies import ANSWER, REFUSED, UNAVAILABLE, refusal
from common.requests import AdvertiseRequest, ShareRequest, SignRequest, UnmaskRequest, UploadRequest
from common.secagg.errors import TooFewPlatforms
from common.secagg.memory import Memory
from common.secagg.messages import SealedShares
from server.channel import Meter
from server.cohort import Cohort
from server.rounds import hold_round

Fleet = Any
Make = Callable[..., Fleet]

PHASES = ("advertise", "share", "upload", "sign", "unmask")
ROW = "user 4711 bought insulin"


def hold(fleet: Fleet, tape: Any) -> Floats:
    """One whole round over the tape."""
    return hold_round(Cohort(Meter(tape, 5.0)), fleet.charter, fleet.run.latest(), fleet.run)[0].mean


def words(kind: type[BaseException]) -> Iterator[str]:
    yield kind.__name__
    for child in kind.__subclasses__():
        yield from words(child)


def refused(frame: Frame) -> str:
    assert frame.kind == REFUSED
    assert frame.arrays == ()
    reason = refusal(frame)
    assert frame.body == f"{reason.code} {reason.reason} {reason.accused}".strip().encode()
    return reason.reason


def same(one: Frame, other: Frame) -> bool:
    return b"".join(encode(one)) == b"".join(encode(other))


# --- whatever is asked -------------------------------------------------------------------------------------


ARRAYS = st.lists(
    st.sampled_from([np.float32, np.uint32, np.float64, np.int8]).flatmap(
        lambda kind: st.integers(0, 30).map(lambda size: np.ones(size, kind))
    )
    | st.just(np.full(24, np.nan, np.float32))
    | st.just(np.zeros((4, 6), np.float32)),
    max_size=2,
).map(tuple)
KINDS = st.sampled_from([*PHASES, "", "answer", "refused", "train", "__class__"]) | st.text(max_size=10)
BODIES = st.binary(max_size=60) | st.sampled_from(
    [
        AdvertiseRequest(run="r", round=1, attempt=1, nonce=bytes(16), cohort=("amber",)).frame().body,
        ShareRequest(attempt=1, adverts=(b"", b"x" * 206)).frame().body,
        UploadRequest(attempt=1, sealed={"salt": b"x"}).frame().body,
        SignRequest(attempt=1, survivors=("amber", "salt", "timber")).frame().body,
        UnmaskRequest(attempt=1, signatures={"salt": b"x" * 64}).frame().body,
    ]
)
FRAMES = st.builds(Frame, KINDS, BODIES, ARRAYS)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FRAMES, min_size=1, max_size=4))
def test_any_frames_get_a_known_word(fleet: Make, frames: list[Frame]) -> None:
    made = fleet()
    site, known = made.site("salt"), {UNAVAILABLE, *words(HanseError)}
    for frame in frames:
        assert refused(site.handle(frame)) in known


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(phase=st.sampled_from(PHASES), data=st.data())
def test_a_damaged_question_gets_a_known_word_in_every_phase(
    fleet: Make, phase: str, data: st.DataObject
) -> None:
    """The questions of an honest round, one of them damaged on its way to one site."""
    made, known = fleet(), {UNAVAILABLE, *words(HanseError)}
    seen: list[str] = []

    def relay(address: int, frame: Frame, site: Callable[[Frame], Frame]) -> Frame:
        if address != 2 or frame.kind != phase:
            return site(frame)
        body = bytearray(frame.body)
        place = data.draw(st.integers(0, len(body) - 1))
        body[place] ^= data.draw(st.integers(1, 255))
        answer = site(Frame(frame.kind, bytes(body), frame.arrays))
        seen.append(refused(answer) if answer.kind == REFUSED else UNAVAILABLE)
        return answer

    hold(made, made.tape(relay))
    assert len(seen) == 1
    assert seen[0] in known


# --- what it tells -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["\x1b[2Jopen", "open\nsalt refuses to open", "x" * 10_000])
def test_a_callers_own_words_are_not_logged(fleet: Make, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    refused(fleet().site("salt").handle(Frame(kind)))
    (record,) = [record for record in caplog.records if record.name == "clients.site"]
    assert record.getMessage().startswith("salt refuses to answer: ")
    assert record.getMessage().isprintable()


@pytest.mark.parametrize(
    "error",
    [DataError(ROW, where=ROW), ValueError(ROW), KeyError(ROW), MemoryError()],
    ids=lambda error: type(error).__name__,
)
def test_an_error_inside_training_is_one_word(
    fleet: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """The coordinator learns that the platform is unavailable; the platform's own log says why."""
    trained = Site._train

    def failing(site: Site, model: Floats, number: int) -> AdapterDelta:
        if site._member.platform == "salt":
            raise error
        return trained(site, model, number)

    monkeypatch.setattr(Site, "_train", failing)
    made = fleet()
    tape = made.tape()
    with caplog.at_level(logging.WARNING, "clients.site"):
        hold(made, tape)
    (upload,) = [reply for address, asked, reply in tape.passed if (address, asked.kind) == (2, "upload")]
    assert b"".join(encode(upload)).endswith(b"1 Unavailable")
    everything = b"".join(b"".join(encode(reply)) for _, _, reply in tape.passed)
    assert ROW.encode() not in everything
    assert type(error).__name__.encode() not in everything
    assert any(record.name == "clients.site" for record in caplog.records)
    assert isinstance(error, MemoryError) or ROW in caplog.text


def test_an_interruption_is_not_an_answer(fleet: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C at the site ends the site: only what a request does is turned into a refusal."""

    def interrupted(site: Site, model: Floats, number: int) -> AdapterDelta:
        raise KeyboardInterrupt

    monkeypatch.setattr(Site, "_train", interrupted)
    made = fleet()
    with pytest.raises(KeyboardInterrupt):
        hold(made, made.tape())


# --- repetition --------------------------------------------------------------------------------------------


def test_identical_questions_get_identical_bytes_and_charge_once(fleet: Make, plan: Any) -> None:
    made = fleet(private=True)

    def twice(address: int, frame: Frame, site: Callable[[Frame], Frame]) -> Frame:
        first, second = site(frame), site(frame)
        assert same(first, second)
        assert first.kind == ANSWER
        return first

    hold(made, made.tape(twice))
    for folder in made.folders.values():
        (entry,) = folder.ledger().entries()
        assert entry.charge.mechanism == plan.per_round


def test_an_answer_can_be_asked_for_again_until_the_next_round(fleet: Make) -> None:
    made = fleet()
    tape = made.tape()
    hold(made, tape)
    last = {address: (asked, reply) for address, asked, reply in tape.passed}
    for address, (asked, reply) in last.items():
        assert same(tape.sites[address](asked), reply)
    openings = [(address, asked) for address, asked, _ in tape.passed if asked.kind == "advertise"]
    made.next_model()
    hold(made, tape)
    for address, asked in openings:
        assert refused(tape.sites[address](asked)) == "RoundReplayed"


def test_a_late_copy_of_an_old_opening_does_not_end_the_round(fleet: Make) -> None:
    made = fleet()
    first = made.tape()
    hold(made, first)
    old = {address: asked for address, asked, _ in first.passed if asked.kind == "advertise"}
    made.next_model()

    def late(address: int, frame: Frame, site: Callable[[Frame], Frame]) -> Frame:
        if frame.kind != "advertise":
            assert refused(site(old[address])) == "RoundReplayed"
            assert refused(site(Frame("advertise", b"{}", old[address].arrays))) == "MalformedRequest"
        return site(frame)

    second = made.tape(late)
    second.sites = first.sites
    assert np.isfinite(hold(made, second)).all()


# --- the order of the phases -------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", PHASES[1:])
def test_before_a_round_only_an_opening_is_answered(fleet: Make, phase: str) -> None:
    made = fleet()
    tape = made.tape()
    hold(made, tape)
    question = next(frame for frame in tape.questions(0) if frame.kind == phase)
    assert refused(made.site("amber").handle(question)) == "OutOfTurn"


@pytest.mark.parametrize("early", PHASES[2:])
def test_a_phase_too_early_is_refused_and_ends_the_attempt(fleet: Make, early: str) -> None:
    """Here the whole round's questions are known, from an honest one; a site gets one of them too early."""
    made = fleet()
    seen: list[str] = []

    def relay(address: int, frame: Frame, site: Callable[[Frame], Frame]) -> Frame:
        if address == 0 and frame.kind == PHASES[PHASES.index(early) - 1]:
            body = {
                "upload": UploadRequest(attempt=1, sealed={}),
                "sign": SignRequest(attempt=1, survivors=tuple(made.folders)),
                "unmask": UnmaskRequest(attempt=1, signatures={}),
            }[early]
            seen.append(refused(site(body.frame())))
            seen.append(refused(site(frame)))
        return site(frame)

    hold(made, made.tape(relay))
    assert seen == ["OutOfTurn", "OutOfTurn"]


def test_after_a_refused_phase_the_attempt_is_over(fleet: Make) -> None:
    made = fleet()
    seen: list[str] = []

    def relay(address: int, frame: Frame, site: Callable[[Frame], Frame]) -> Frame:
        if address == 0 and frame.kind == "share":
            seen.append(refused(site(ShareRequest(attempt=1, adverts=()).frame())))
            seen.append(refused(site(frame)))
        return site(frame)

    hold(made, made.tape(relay))
    assert seen == ["BadAdvert", "OutOfTurn"]


@pytest.mark.parametrize("late", PHASES[1:])
def test_a_question_of_an_attempt_that_is_over_leaves_the_open_one_alone(fleet: Make, late: str) -> None:
    """A slow platform gets the last questions of one attempt when the next has begun."""
    made = fleet()
    first = made.tape()
    hold(made, first)
    questions = [frame for frame in first.questions(0) if frame.kind == late]
    made.next_model()
    seen: list[str] = []

    def relay(address: int, frame: Frame, site: Callable[[Frame], Frame]) -> Frame:
        if address == 0 and frame.kind in PHASES[1:]:
            seen.extend(refused(site(question)) for question in questions)
        return site(frame)

    again = made.tape(relay)
    again.sites = first.sites
    checkpoint = made.run.latest()
    _, outcome = hold_round(Cohort(Meter(again, 5.0)), made.charter, checkpoint, made.run)
    assert seen == ["OutOfTurn"] * 4
    assert outcome.attempt == 2
    assert outcome.dropped == {}


# --- the model it is sent ----------------------------------------------------------------------------------


def model_with(value: float) -> Floats:
    vector = np.zeros(24, np.float32)
    vector[5] = value
    return vector


@pytest.mark.parametrize(
    ("arrays", "word"),
    [
        ((np.zeros(23, np.float32),), "WrongModel"),
        ((np.zeros(25, np.float32),), "WrongModel"),
        ((np.zeros(0, np.float32),), "WrongModel"),
        ((np.zeros((4, 6), np.float32),), "WrongModel"),
        ((model_with(np.nan),), "WrongModel"),
        ((model_with(np.inf),), "WrongModel"),
        ((np.zeros(24, np.uint32),), "MalformedRequest"),
        ((np.zeros(24, np.float64),), "MalformedRequest"),
        ((np.zeros(24, np.float32),) * 2, "MalformedRequest"),
        ((), "MalformedRequest"),
    ],
)
def test_another_model_is_refused_before_anything_is_kept(
    fleet: Make, arrays: tuple[Any, ...], word: str
) -> None:
    made = fleet(private=True)
    opening = opening_of(made)
    assert refused(made.site("salt").handle(opening.frame(*arrays))) == word
    folder = made.folders["salt"]
    assert Memory.from_json(folder.engagement(made.charter).memory_path.read_text()) == Memory.empty()
    assert folder.ledger().entries() == ()
    assert made.site("salt").handle(opening.frame(model_with(0.0))).kind == ANSWER


def opening_of(fleet: Fleet, **changes: Any) -> AdvertiseRequest:
    fields = {
        "run": fleet.charter.digest().hex(),
        "round": 1,
        "attempt": 1,
        "nonce": b"n" * 16,
        "cohort": tuple(fleet.folders),
    }
    return AdvertiseRequest(**{**fields, **changes})


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"run": "another"}, "OutsideCharter"),
        ({"round": 0}, "OutsideCharter"),
        ({"round": 4}, "OutsideCharter"),
        ({"cohort": ("amber", "salt", "visby")}, "OutsideCharter"),
        ({"cohort": ("amber", "salt")}, "BadSpec"),
        ({"cohort": ("amber", "salt", "salt")}, "BadSpec"),
        ({"cohort": ("amber", "herring", "timber")}, "BadSpec"),
    ],
)
def test_an_opening_outside_the_charter_is_refused(fleet: Make, change: dict[str, Any], word: str) -> None:
    made = fleet()
    opening = opening_of(made, **change)
    assert refused(made.site("salt").handle(opening.frame(model_with(0.0)))) == word


# --- what is on the disk before an answer ------------------------------------------------------------------


def test_the_ledger_is_charged_before_training_starts(fleet: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training that fails leaves the charge: what was drawn and seen cannot be taken back."""
    charged: list[int] = []

    def failing(site: Site, model: Floats, number: int) -> AdapterDelta:
        assert site._member.ledger is not None
        charged.append(len(site._member.ledger.entries()))
        raise DataError("no rows")

    monkeypatch.setattr(Site, "_train", failing)
    made = fleet(private=True)
    with pytest.raises(HanseError):
        hold(made, made.tape())
    assert charged == [1, 1, 1, 1]
    assert all(len(folder.ledger().entries()) == 1 for folder in made.folders.values())


def test_without_a_charge_there_is_no_training(fleet: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[str] = []
    monkeypatch.setattr(Site, "_train", lambda site, model, number: trained.append(site._member.platform))
    made = fleet(private=True)

    def relay(address: int, frame: Frame, site: Callable[[Frame], Frame]) -> Frame:
        if frame.kind == "upload":
            for folder in made.folders.values():
                (folder.path / "ledger.sqlite").unlink(missing_ok=True)
        return site(frame)

    tape = made.tape(relay)
    with pytest.raises(HanseError):
        hold(made, tape)
    assert trained == []
    uploads = [refused(reply) for _, asked, reply in tape.passed if asked.kind == "upload"]
    assert uploads == ["LedgerUnavailable"] * 4


@pytest.mark.parametrize("phase", ["advertise", "share", "unmask"])
def test_what_cannot_be_remembered_is_not_answered(
    fleet: Make, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    """The disk of one site is full from a phase on: it refuses, and the others finish without it."""
    made = fleet()
    full: list[bool] = []

    def write(path: Path, content: bytes) -> None:
        if full and "salt" in path.parts:
            raise OSError(28, "No space left on device")
        write_atomically(path, content)

    monkeypatch.setattr("clients.memory.write_atomically", write)

    def relay(address: int, frame: Frame, site: Callable[[Frame], Frame]) -> Frame:
        if frame.kind == phase:
            full.append(True)
        return site(frame)

    tape = made.tape(relay)
    hold(made, tape)
    replies = {asked.kind: reply for address, asked, reply in tape.passed if address == 2}
    assert refused(replies[phase]) == "MemoryUnavailable"
    assert [kind for kind, reply in replies.items() if reply.kind == ANSWER] == list(
        PHASES[: PHASES.index(phase)]
    )


def test_memory_that_is_damaged_is_not_taken_for_empty(fleet: Make) -> None:
    made = fleet()
    made.folders["salt"].engagement(made.charter).memory_path.write_text("{}")
    tape = made.tape()
    hold(made, tape)
    replies = {asked.kind: reply for address, asked, reply in tape.passed if address == 2}
    assert refused(replies["advertise"]) == "MemoryCorrupt"
    assert len(replies) == 1


def test_memory_that_is_lost_is_not_begun_again_nor_by_pinning_the_charter(fleet: Make) -> None:
    made = fleet()
    folder = made.folders["salt"]
    folder.engagement(made.charter).memory_path.unlink()
    folder.pin(made.signed)
    tape = made.tape()
    hold(made, tape)
    replies = {asked.kind: reply for address, asked, reply in tape.passed if address == 2}
    assert [refused(reply) for reply in replies.values()] == ["MemoryUnavailable"]


def test_a_spoilt_envelope_costs_its_victim_no_epsilon(fleet: Make) -> None:
    """Whatever another platform can spoil about the upload is refused before the ledger is charged."""
    made = fleet(private=True)

    def spoil(address: int, frame: Frame, site: Any) -> Frame:
        answer = site(frame)
        if (address, frame.kind) != (0, "share"):
            return answer
        sealed = SealedShares.decode(answer.body)
        envelope = bytes([sealed.envelopes["salt"][0] ^ 1]) + sealed.envelopes["salt"][1:]
        return Frame(answer.kind, SealedShares({**sealed.envelopes, "salt": envelope}, sealed.own).encode())

    tape = made.tape(spoil)
    hold(made, tape)
    replies = {asked.kind: reply for address, asked, reply in tape.passed if address == 2}
    assert refused(replies["upload"]) == "BadShares"
    assert made.folders["salt"].ledger().entries() == ()
    assert len(made.folders["amber"].ledger().entries()) == 1


# --- restarts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", PHASES[1:])
def test_a_restarted_site_refuses_the_old_round_and_joins_the_next(fleet: Make, phase: str) -> None:
    made = fleet(private=True)
    tape = made.tape()

    def relay(address: int, frame: Frame, site: Callable[[Frame], Frame]) -> Frame:
        if address == 2 and frame.kind == phase:
            tape.sites = [*tape.sites[:2], made.site("salt").handle, *tape.sites[3:]]
            return tape.sites[2](frame)
        return tape.sites[address](frame)

    tape.relay = relay
    hold(made, tape)
    replies = {asked.kind: (asked, reply) for address, asked, reply in tape.passed if address == 2}
    assert refused(replies[phase][1]) == "OutOfTurn"
    opening = replies["advertise"][0]
    assert refused(tape.sites[2](opening)) == "RoundReplayed"

    made.next_model()
    tape.relay = lambda address, frame, site: site(frame)
    tape.passed.clear()
    hold(made, tape)
    assert [reply.kind for address, _, reply in tape.passed if address == 2] == [ANSWER] * 5


def test_a_peer_whose_ledger_went_back_is_refused_also_under_another_charter(fleet: Make) -> None:
    """Witnesses belong to the site: a ledger spans charters, and so does what others saw of it."""
    made = fleet(private=True)
    hold(made, made.tape())
    made.next_model()
    hold(made, made.tape())
    (made.folders["timber"].path / "ledger.sqlite").unlink()
    other = made.again(name="second-convoy")
    tape = other.tape()
    with pytest.raises(TooFewPlatforms):
        hold(other, tape)
    shares = {address: reply for address, asked, reply in tape.passed if asked.kind == "share"}
    assert [str(refusal(shares[address])) for address in (0, 1, 2)] == ["LedgerRollback of timber"] * 3
