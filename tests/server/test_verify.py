"""An auditing site recomputes rounds: honest ones hold, and a coordinator that changes anything is found."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.bundle import BundleUnreadable
from common.charter import CharterInvalid
from common.frame import Frame
from common.requests import ReplayRequest
from common.secagg.errors import BadVector
from server import rounds, verify
from server.archive import BUNDLE, Archive
from server.checkpoint import Checkpoint, RunFolder
from server.rounds import conduct
from server.verify import NoTicket, Verdict, WrongResult, WrongRound, verify_round

Make = Callable[..., Any]
Handle = Callable[[Frame], Frame]
PHASES = ("advertise", "share", "upload", "sign", "unmask", "replay")


def quiet(outcome: Any) -> None:
    pass


def sail(made: Any, relay: Any = None) -> None:
    conduct(made.tape(relay), made.run, quiet)


def place(made: Any, number: int) -> Path:
    (found,) = made.run.path.glob(f"replays/{number:04}-*")
    return found


def audit(made: Any, number: int, platform: str = "salt") -> Verdict:
    return verify_round(place(made, number), made.folders[platform].path)


def test_every_round_of_an_honest_run_holds_for_every_platform(fleet: Make) -> None:
    made = fleet(replay_days=7)
    sail(made)
    for name in made.folders:
        verdicts = [audit(made, number, name) for number in (1, 2, 3)]
        assert [verdict.survivors for verdict in verdicts] == [tuple(made.folders)] * 3
        assert [verdict.moments_followed for verdict in verdicts] == [True] * 3
        assert [verdict.model_received for verdict in verdicts] == [True, True, False]
        assert [verdict.weight for verdict in verdicts] == [4.0] * 3
    state = made.run.latest().state
    assert verdicts[-1].model == verify.digest_of(state.parameters).hex()
    assert verdicts[-1].average == verify.digest_of(state.average).hex()


@pytest.mark.parametrize("since", PHASES[:-1])
def test_rounds_hold_whoever_dropped_out_when(fleet: Make, since: str) -> None:
    made = fleet(replay_days=7, rounds=2)

    def relay(address: int, frame: Frame, site: Handle) -> Frame | None:
        gone = address == 1 and PHASES.index(frame.kind) >= PHASES.index(since)
        return None if gone else site(frame)

    sail(made, relay)
    here = since in ("sign", "unmask")
    for number in (1, 2):
        verdict = audit(made, number)
        assert ("herring" in verdict.survivors) == here
        assert verdict.moments_followed
    with pytest.raises(NoTicket):
        audit(made, 1, "herring")


def test_a_round_is_checked_as_far_as_the_site_and_the_folder_reach(fleet: Make, tmp_path: Path) -> None:
    """Herring came for round 2 alone, and its operator copied that bundle and no other."""
    made = fleet(replay_days=7)
    number = {"now": 0}

    def relay(address: int, frame: Frame, site: Handle) -> Frame | None:
        number["now"] += (address, frame.kind) == (0, "advertise")
        return None if address == 1 and number["now"] != 2 else site(frame)

    sail(made, relay)
    verdict = audit(made, 2, "herring")
    assert (verdict.moments_followed, verdict.model_received) == (False, False)
    copied = shutil.copytree(place(made, 2), tmp_path / "elsewhere" / "bundle-of-round-2")
    alone = verify_round(copied, made.folders["salt"].path)
    assert (alone.moments_followed, alone.model_received) == (False, True)


def test_rounds_after_a_void_one_hold(fleet: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Round 2 was unmasked and lost: its base model is left for the one next to it, and the chain goes on."""
    made, save = fleet(replay_days=7), RunFolder.save

    def crash(folder: RunFolder, checkpoint: Checkpoint) -> None:
        if checkpoint.round == 2:
            raise KeyboardInterrupt
        save(folder, checkpoint)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RunFolder, "save", crash)
        sail(made)
    sail(made)
    assert [path.name for path in sorted((made.run.path / "replays").iterdir())] == [
        "0001-0001",
        "0002-0004",
        "0003-0005",
    ]
    verdicts = [audit(made, number) for number in (1, 2, 3)]
    assert [verdict.moments_followed for verdict in verdicts] == [True] * 3
    assert [verdict.model_received for verdict in verdicts] == [True, True, False]


@pytest.mark.parametrize(("lost", "moved"), [(0, 0), (1, 0), (1, 1), (3, 1), (2, 2), (0, 1), (1, 2)])
def test_the_base_model_moves_by_one_float_for_each_lost_attempt_at_most(
    fleet: Make, lost: int, moved: int
) -> None:
    made = fleet(replay_days=7, rounds=2)
    with pytest.raises(KeyboardInterrupt):
        conduct(made.tape(), made.run, _stop)
    for _ in range(lost):
        made.run.next_attempt()
    for _ in range(moved):
        made.next_model()
    sail(made)
    if moved <= lost:
        assert audit(made, 1).model_received
        assert audit(made, 2).moments_followed
        return
    with pytest.raises(WrongResult, match="another model in round 2"):
        audit(made, 1)
    with pytest.raises(WrongResult, match="not those after the round before"):
        audit(made, 2)


def test_a_round_that_was_held_again_holds_both_times(fleet: Make) -> None:
    """The operator went back to an old checkpoint after round 1; round 2 follows the second one."""
    made = fleet(replay_days=7, rounds=2)
    begun = made.run.latest()
    with pytest.raises(KeyboardInterrupt):
        conduct(made.tape(), made.run, _stop)
    made.run.save(begun)
    sail(made)
    kept = sorted((made.run.path / "replays").iterdir())
    assert [path.name for path in kept] == ["0001-0001", "0001-0003", "0002-0004"]
    verdicts = [verify_round(path, made.folders["salt"].path) for path in kept]
    assert [verdict.moments_followed for verdict in verdicts] == [True] * 3
    assert [verdict.model_received for verdict in verdicts] == [False, True, False]


def test_attempts_that_run_backwards_hide_nothing(fleet: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sites order their tickets by round, whatever number a coordinator gives an attempt."""
    made = fleet(replay_days=7, rounds=2)
    numbers = iter([9, 3])
    monkeypatch.setattr(RunFolder, "next_attempt", lambda folder: next(numbers))
    with pytest.raises(KeyboardInterrupt):
        conduct(made.tape(), made.run, _stop)
    made.next_model()
    sail(made)
    with pytest.raises(WrongResult, match="another model in round 2"):
        audit(made, 1)
    with pytest.raises(WrongResult, match="not those after the round before"):
        audit(made, 2)


def test_a_site_that_missed_the_next_round_accuses_nobody(fleet: Make) -> None:
    made = fleet(replay_days=7)
    opened = {"rounds": 0}

    def relay(address: int, frame: Frame, site: Handle) -> Frame | None:
        opened["rounds"] += (address, frame.kind) == (0, "advertise")
        return None if address == 1 and opened["rounds"] == 2 else site(frame)

    sail(made, relay)
    first, last = audit(made, 1, "herring"), audit(made, 3, "herring")
    assert (first.moments_followed, first.model_received) == (True, False)
    assert (last.moments_followed, last.model_received) == (False, False)


Hold = Callable[..., Any]


def louder(hold: Hold) -> Hold:
    """A coordinator that publishes another mean than the platforms' sum gives."""

    def held(*arguments: Any) -> Any:
        delta, outcome = hold(*arguments)
        return replace(delta, mean=delta.mean * np.float32(1.01)), outcome

    return held


def test_a_mean_that_is_not_the_sum_is_found(fleet: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = fleet(replay_days=7, rounds=1)
    monkeypatch.setattr(rounds, "hold_round", louder(rounds.hold_round))
    sail(made)
    for name in made.folders:
        with pytest.raises(WrongResult, match="round 1, attempt 1: the mean is not that of the survivors"):
            audit(made, 1, name)


def handing(monkeypatch: pytest.MonkeyPatch, lie: Callable[..., tuple[Any, ...]]) -> None:
    """A coordinator whose bundles say what ``lie`` makes of (before, mean, after)."""
    hand_over = Archive.hand_over

    def told(archive: Archive, cohort: Any, *result: Any) -> None:
        hand_over(archive, cohort, *lie(*result))

    monkeypatch.setattr(Archive, "hand_over", told)


def test_a_step_from_another_mean_than_it_tells_is_found(
    fleet: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, true = fleet(replay_days=7, rounds=1), []
    hold = rounds.hold_round

    def held(*arguments: Any) -> Any:
        delta, outcome = hold(*arguments)
        true.append(delta.mean)
        return replace(delta, mean=-delta.mean), outcome

    monkeypatch.setattr(rounds, "hold_round", held)
    handing(monkeypatch, lambda before, mean, after: (before, true[-1], after))
    sail(made)
    with pytest.raises(
        WrongResult, match="the step from this mean is not the one of the charter's optimiser"
    ):
        audit(made, 1)


def test_a_model_that_is_sent_in_place_of_the_step_is_found(
    fleet: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bundles without a fault; what the platforms receive next is something else."""
    made, honest = fleet(replay_days=7, rounds=2), []
    advanced = Checkpoint.advanced

    def poisoned(checkpoint: Checkpoint, state: Any, outcome: Any) -> Checkpoint:
        honest.append(state)
        other = replace(state, parameters=state.parameters + np.float32(0.5))
        return advanced(checkpoint, other, outcome)

    monkeypatch.setattr(Checkpoint, "advanced", poisoned)
    handing(monkeypatch, lambda before, mean, after: (before, mean, honest[-1]))
    sail(made)
    with pytest.raises(WrongResult, match="the site received another model in round 2"):
        audit(made, 1)
    with pytest.raises(WrongResult, match="moments are not those after the round before"):
        audit(made, 2)


def tamper(made: Any, part: str) -> None:
    latest = made.run.latest()
    changed = getattr(latest.state, part).copy()
    changed[3] += np.float32(0.25)
    made.run.save(replace(latest, state=replace(latest.state, **{part: changed})))


@pytest.mark.parametrize("part", ["first", "second", "average"])
def test_moments_that_a_first_round_cannot_have_are_found(fleet: Make, part: str) -> None:
    made = fleet(replay_days=7, rounds=1)
    tamper(made, part)
    sail(made)
    with pytest.raises(WrongResult, match="moments are not those of a first round"):
        audit(made, 1)


@pytest.mark.parametrize("part", ["first", "second", "average"])
def test_moments_changed_between_rounds_are_found(fleet: Make, part: str) -> None:
    """The checkpoint was edited while the coordinator was down; the model itself was left alone."""
    made = fleet(replay_days=7, rounds=2)
    with pytest.raises(KeyboardInterrupt):
        conduct(made.tape(), made.run, _stop)
    tamper(made, part)
    sail(made)
    assert audit(made, 1).model_received
    with pytest.raises(WrongResult, match="moments are not those after the round before"):
        audit(made, 2)


def test_without_the_round_before_the_moments_are_taken_as_told(fleet: Make) -> None:
    made = fleet(replay_days=7, rounds=2)
    with pytest.raises(KeyboardInterrupt):
        conduct(made.tape(), made.run, _stop)
    tamper(made, "second")
    sail(made)
    bundle = place(made, 1) / BUNDLE
    bundle.write_bytes(bundle.read_bytes()[:-1])
    assert not audit(made, 2).moments_followed


def _stop(outcome: Any) -> None:
    raise KeyboardInterrupt


def test_a_step_that_begins_elsewhere_is_found(fleet: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = fleet(replay_days=7, rounds=1)
    handing(
        monkeypatch,
        lambda before, mean, after: (replace(before, parameters=before.parameters + 1), mean, after),
    )
    sail(made)
    with pytest.raises(WrongResult, match="did not begin at the model that this site received"):
        audit(made, 1)


@pytest.mark.parametrize("shape", [(23,), (25,), (1,)])
def test_a_state_of_another_shape_is_none(
    fleet: Make, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    made = fleet(replay_days=7, rounds=1)
    handing(
        monkeypatch,
        lambda before, mean, after: (replace(before, first=np.zeros(shape, np.float32)), mean, after),
    )
    sail(made)
    with pytest.raises(BundleUnreadable, match="no optimiser's state in the replay"):
        audit(made, 1)


def test_a_vector_changed_before_it_was_kept_is_found(fleet: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made, take = fleet(replay_days=7, rounds=1), Archive.take

    def lying(archive: Archive, releases: Any, vectors: Any) -> None:
        lanes = vectors["amber"].delta.lanes.copy()
        lanes[0] += 1
        forged = replace(vectors["amber"], delta=replace(vectors["amber"].delta, lanes=lanes))
        take(archive, releases, {**vectors, "amber": forged})

    monkeypatch.setattr(Archive, "take", lying)
    sail(made)
    with pytest.raises(BadVector, match="mask: amber"):
        audit(made, 1)


def test_a_replay_of_another_round_is_found(fleet: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of its signatures hold; it is only not the round that was announced."""
    made, kept = fleet(replay_days=7, rounds=2), []
    take = Archive.take

    def lying(archive: Archive, *messages: Any) -> None:
        take(archive, *messages)
        kept.append(archive._taken)
        archive._taken = kept[0]

    monkeypatch.setattr(Archive, "take", lying)
    monkeypatch.setattr("server.archive.name_of", lambda number, attempt: f"{len(kept):04}-{len(kept):04}")
    monkeypatch.setattr(
        "server.archive.ReplayRequest",
        lambda attempt, **words: ReplayRequest(attempt=len(kept), **words),
    )
    sail(made)
    assert audit(made, 1).round == 1
    with pytest.raises(WrongRound, match="round 2, attempt 2: a replay of round 1"):
        audit(made, 2)


def test_a_ticket_of_another_round_does_not_hold(fleet: Make) -> None:
    """Same number and attempt, other adverts: only h2 tells."""
    made = fleet(replay_days=7, rounds=1)
    sail(made)
    tickets = made.folders["salt"].engagement(made.charter).tickets
    (ticket,) = tickets.all()
    for changes in ({"h2": "00" * 32}, {"survivors": ticket.survivors[1:]}):
        tickets.keep(ticket.model_copy(update=changes))
        with pytest.raises(WrongRound, match="another round than this site took part in"):
            audit(made, 1)


@pytest.mark.parametrize("place_", [0, 8, -1])
def test_a_bundle_that_was_changed_since_it_was_announced_has_no_ticket(fleet: Make, place_: int) -> None:
    made = fleet(replay_days=7, rounds=1)
    sail(made)
    path = place(made, 1) / BUNDLE
    content = bytearray(path.read_bytes())
    content[place_] ^= 1
    path.write_bytes(content)
    with pytest.raises(NoTicket, match="has no ticket for this bundle: it was changed"):
        audit(made, 1)


def test_a_bundle_that_is_not_there(fleet: Make, tmp_path: Path) -> None:
    made = fleet(replay_days=7)
    with pytest.raises(NoTicket, match="no bundle to replay: No such file"):
        verify_round(tmp_path, made.folders["salt"].path)


def test_another_charter_at_the_site_is_found(fleet: Make) -> None:
    """The audit is under the charter that the site pinned, and only while all signatures on it hold."""
    made = fleet(replay_days=7, rounds=1)
    sail(made)
    path = made.folders["salt"].engagement(made.charter).charter_path
    path.write_text(path.read_text().replace('"learning_rate": 0.01', '"learning_rate": 0.02'))
    with pytest.raises(CharterInvalid, match="not over this charter"):
        audit(made, 1)


def test_an_audit_writes_nothing(fleet: Make) -> None:
    made = fleet(replay_days=7, rounds=2)
    sail(made)
    home = made.run.path.parent
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    audit(made, 1)
    audit(made, 2)
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before
