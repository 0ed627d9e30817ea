"""What the coordinator keeps of a finished round, who is told, and what is gone from its folder."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients.site import Site
from common.bundle import Bundle
from common.frame import Frame
from common.replies import refusal
from common.requests import ReplayRequest, UnmaskRequest
from server.archive import BUNDLE
from server.rounds import conduct

Make = Callable[..., Any]
Handle = Callable[[Frame], Frame]
DAY = 24 * 3600


def sail(made: Any, relay: Any = None) -> Any:
    tape = made.tape(relay)
    conduct(tape, made.run, lambda outcome: None)
    return tape


def bundles(made: Any) -> list[Path]:
    return sorted(made.run.path.glob(f"replays/*/{BUNDLE}"))


def notices(tape: Any) -> list[tuple[int, ReplayRequest]]:
    return [
        (address, ReplayRequest.parse(frame))
        for address, frame, _ in tape.passed
        if frame.kind == ReplayRequest.kind
    ]


def tickets(made: Any, platform: str) -> Any:
    return made.folders[platform].engagement(made.charter).tickets


def test_a_charter_that_keeps_nothing_leaves_nothing(fleet: Make) -> None:
    made = fleet(replay_days=0)
    assert notices(sail(made)) == []
    assert not (made.run.path / "replays").exists()
    assert all(tickets(made, name).all() == () for name in made.folders)


def test_every_round_is_kept_once_for_those_who_finished_it(fleet: Make) -> None:
    made = fleet(replay_days=7)
    tape = sail(made)
    assert [path.parent.name for path in bundles(made)] == ["0001-0001", "0002-0002", "0003-0003"]
    assert [address for address, _ in notices(tape)] == [0, 1, 2, 3] * 3
    assert {answer.body for _, frame, answer in tape.passed if frame.kind == "replay"} == {b""}
    for name in made.folders:
        assert [(seen.round, seen.attempt) for seen in tickets(made, name).all()] == [(1, 1), (2, 2), (3, 3)]
    keys = {notice.key for _, notice in notices(tape)}
    assert len(keys) == 3


def test_the_key_is_nowhere_at_the_coordinator_and_the_files_are_its_own(fleet: Make) -> None:
    made = fleet(replay_days=7)
    keys = {notice.key for _, notice in notices(sail(made))}
    for path in made.run.path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(key in content or key.hex().encode() in content for key in keys)
    for path in bundles(made):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == path.parents[1].stat().st_mode & 0o777 == 0o700


def test_only_addresses_with_a_signed_advert_are_told(fleet: Make) -> None:
    """Someone else is connected and answers everything that salt does."""
    made = fleet(replay_days=7)
    tape = made.tape()
    tape.sites = [*tape.sites, tape.sites[2]]
    conduct(tape, made.run, lambda outcome: None)
    asked = [address for address, frame, _ in tape.passed if frame.kind == "advertise"]
    assert 4 in asked
    assert {address for address, _ in notices(tape)} == {0, 1, 2, 3}


@pytest.mark.parametrize("how", ["late", "changed"])
def test_a_vector_that_is_not_in_the_sum_is_in_no_file(fleet: Make, how: str) -> None:
    """Its mask key is rebuilt from the releases in the bundle: the vector beside it would be an open update."""
    made = fleet(replay_days=7, rounds=1)
    sent: list[Frame] = []

    def relay(address: int, frame: Frame, site: Handle) -> Frame | None:
        answer = site(frame)
        if address != 2 or frame.kind not in ("upload", "sign"):
            return answer
        if frame.kind == "upload":
            sent.append(answer)
        if how == "changed" and frame.kind == "upload":
            return replace(answer, body=bytes(64))
        return None

    tape = sail(made, relay)
    (vector,) = sent[0].arrays
    (path,) = bundles(made)
    _, notice = notices(tape)[0]
    assert {address for address, _ in notices(tape)} == {0, 1, 3}
    bundle = Bundle.opened(path.read_bytes(), notice.key)
    assert bundle.replay.survivors == ("amber", "herring", "timber")
    assert "salt" in bundle.replay.receipts
    opened = b"".join(b"".join(part) for part in map(_plain, bundle._frames()))
    on_disk = b"".join(file.read_bytes() for file in made.run.path.rglob("*") if file.is_file())
    for window in np.split(vector[:24], 6):
        assert window.tobytes() not in opened
        assert window.tobytes() not in on_disk
    assert bundle.replay.vectors["amber"].delta.lanes[:4].tobytes() in opened


def _plain(frame: Frame) -> list[bytes]:
    return [frame.body, *(array.tobytes() for array in frame.arrays)]


def test_a_site_that_does_not_listen_loses_its_ticket_and_nothing_else(fleet: Make) -> None:
    made = fleet(replay_days=7)
    sail(made, lambda address, frame, site: None if (address, frame.kind) == (1, "replay") else site(frame))
    outcomes = made.run.latest().outcomes
    assert [len(outcome.survivors) for outcome in outcomes] == [4, 4, 4]
    assert [outcome.dropped for outcome in outcomes] == [{}, {}, {}]
    assert tickets(made, "herring").all() == ()
    assert len(tickets(made, "salt").all()) == 3


def aged(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def test_what_is_past_its_time_is_gone_after_the_next_round_and_at_a_start(fleet: Make) -> None:
    made = fleet(replay_days=7)

    def watch(outcome: Any) -> None:
        if outcome.number == 1:
            aged(bundles(made)[0].parent, 7.1)

    conduct(made.tape(), made.run, watch)
    assert [path.parent.name for path in bundles(made)] == ["0002-0002", "0003-0003"]
    aged(bundles(made)[0].parent, 7.1)
    aged(bundles(made)[1].parent, 6.9)
    conduct(made.tape(), made.run, watch)
    assert [path.parent.name for path in bundles(made)] == ["0003-0003"]


def test_a_site_forgets_in_time(fleet: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = fleet(replay_days=7)
    sail(made)
    assert len(tickets(made, "salt").all()) == 3
    now = time.time()
    monkeypatch.setattr("clients.site.time.time", lambda: now + 6.9 * DAY)
    made.site("salt")
    assert len(tickets(made, "salt").all()) == 3
    monkeypatch.setattr("clients.site.time.time", lambda: now + 7.1 * DAY)
    made.site("salt")
    assert tickets(made, "salt").all() == ()


def asked_again(made: Any, platform: str, request: ReplayRequest, site: Site) -> str:
    before = tickets(made, platform).all()
    told = refusal(site.handle(request.frame()))
    assert tickets(made, platform).all() == before
    return told.reason


def tape_to(made: Any, salt: Site) -> Any:
    """A channel to all sites, of which ``salt`` is the one given."""
    tape = made.tape()
    tape.sites = [*tape.sites[:2], salt.handle, tape.sites[3]]
    return tape


NOTICE = ReplayRequest(attempt=1, bundle=b"b" * 32, key=b"k" * 32)


def test_a_site_takes_one_ticket_of_a_round_and_none_of_a_round_it_did_not_finish(fleet: Make) -> None:
    made = fleet(replay_days=7, rounds=1)
    site = made.site("salt")
    assert asked_again(made, "salt", NOTICE, site) == "OutOfTurn"
    tape = tape_to(made, site)
    early: list[str] = []

    def relay(address: int, frame: Frame, handle: Handle) -> Frame:
        if address == 2 and frame.kind == UnmaskRequest.kind:
            early.append(asked_again(made, "salt", NOTICE, site))
        return handle(frame)

    tape.relay = relay
    conduct(tape, made.run, lambda outcome: None)
    assert early == ["OutOfTurn"]
    (ticket,) = tickets(made, "salt").all()
    assert ticket.bundle != NOTICE.bundle.hex()
    assert asked_again(made, "salt", NOTICE, site) == "OutOfTurn"


def test_a_notice_of_another_attempt_is_refused_and_the_right_one_still_taken(fleet: Make) -> None:
    made = fleet(replay_days=7, rounds=1)
    site = made.site("salt")
    tape = tape_to(made, site)
    late: list[str] = []

    def relay(address: int, frame: Frame, handle: Handle) -> Frame:
        if address == 2 and frame.kind == ReplayRequest.kind:
            other = NOTICE.model_copy(update={"attempt": ReplayRequest.parse(frame).attempt + 1})
            late.append(asked_again(made, "salt", other, site))
        return handle(frame)

    tape.relay = relay
    conduct(tape, made.run, lambda outcome: None)
    assert late == ["OutOfTurn"]
    (ticket,) = tickets(made, "salt").all()
    assert ticket.bundle != NOTICE.bundle.hex()


def test_a_site_takes_no_ticket_that_the_charter_does_not_provide_for(fleet: Make) -> None:
    made = fleet(replay_days=0, rounds=1)
    site = made.site("salt")
    tape = tape_to(made, site)
    conduct(tape, made.run, lambda outcome: None)
    assert asked_again(made, "salt", NOTICE, site) == "OutOfTurn"
