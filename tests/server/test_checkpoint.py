"""The run's folder: whole after any crash, told when damaged, and no attempt number twice."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from common.charter import CharterInvalid, Purpose, SignedCharter
from server.checkpoint import Checkpoint, CheckpointUnreadable, RunFolder
from server.optimizer import OptimizerState, start
from server.outcome import RoundOutcome

Make = Callable[..., Any]

OUTCOME = RoundOutcome(
    number=1,
    attempt=2,
    cohort=("amber", "salt"),
    survivors=("amber",),
    dropped={"salt": "upload: Unavailable"},
    seconds_by_phase={"share": 0.25, "upload": 1.5},
    bytes_up={"amber": 10, "salt": 5},
    bytes_down={"amber": 20},
)


def same(one: Checkpoint, other: Checkpoint) -> bool:
    names = ("parameters", "first", "second", "average")
    tensors = all(
        getattr(one.state, name).tobytes() == getattr(other.state, name).tobytes() for name in names
    )
    return tensors and (one.round, one.outcomes) == (other.round, other.outcomes)


def test_what_was_saved_is_the_latest(fleet: Make) -> None:
    run = fleet().run
    first = run.latest()
    assert (first.round, first.outcomes) == (0, ())
    assert same(first, Checkpoint(0, start(np.linspace(-1, 1, 24, dtype=np.float32)), ()))
    state = OptimizerState(*(np.full(24, value, np.float32) for value in (1, 2, 3, 4)))
    second = first.advanced(state, OUTCOME)
    run.save(second)
    assert second.round == 1
    assert same(run.latest(), second)
    assert [path.name for path in run.path.iterdir() if path.name.startswith(".")] == []


def test_an_outcome_in_numbers() -> None:
    assert OUTCOME.scalars() == {"platforms": 1.0, "seconds": 1.75, "bytes up": 15.0, "bytes down": 20.0}


def damaged(content: bytes) -> dict[str, bytes]:
    vectors = {name: np.zeros(3, np.float32) for name in ("parameters", "first", "second", "average")}
    return {
        "empty": b"",
        "cut short": content[:-5],
        "not a checkpoint": b"\xff" * 200,
        "no metadata": save(vectors),
        "no outcomes": save(vectors, {"round": "1"}),
        "no round": save(vectors, {"outcomes": "[]"}),
        "another round": save(vectors, {"round": "one", "outcomes": "[]"}),
        "outcomes of another form": save(vectors, {"round": "1", "outcomes": "7"}),
        "an outcome of another form": save(vectors, {"round": "1", "outcomes": '[{"number": 0}]'}),
        "a vector too few": save({"parameters": vectors["parameters"]}, {"round": "1", "outcomes": "[]"}),
    }


@pytest.mark.parametrize("damage", damaged(b""))
def test_damage_is_told_by_name(fleet: Make, damage: str) -> None:
    run = fleet().run
    path = run.path / "checkpoint.safetensors"
    path.write_bytes(damaged(path.read_bytes())[damage])
    with pytest.raises(CheckpointUnreadable, match="no readable checkpoint") as caught:
        run.latest()
    assert caught.value.where == str(path)


def test_a_missing_checkpoint_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(CheckpointUnreadable):
        RunFolder(tmp_path).latest()
    with pytest.raises(CharterInvalid):
        RunFolder(tmp_path).charter()
    assert not RunFolder(tmp_path).exists()


def test_a_write_that_fails_leaves_the_last_round(fleet: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = fleet().run
    before = run.latest()

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        run.save(before.advanced(before.state, OUTCOME))
    assert same(run.latest(), before)


def test_the_charter_is_checked_at_every_reading(fleet: Make) -> None:
    made = fleet()
    assert made.run.charter() == made.charter
    path = made.run.path / "charter.json"
    path.write_text(path.read_text().replace('"rounds": 3', '"rounds": 4'))
    assert made.run.signed().charter.rounds == 4
    with pytest.raises(CharterInvalid):
        made.run.charter()


def test_a_run_exists_once_all_of_it_does(
    fleet: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the two files it is begun anew, not half there for ever."""
    made = fleet()

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SignedCharter, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        RunFolder.create(tmp_path / "run", made.signed, np.zeros(24, np.float32))
    run = RunFolder(tmp_path / "run")
    assert not run.exists()
    monkeypatch.undo()
    RunFolder.create(run.path, made.signed, np.zeros(24, np.float32))
    assert run.exists()
    assert run.latest().round == 0


def count_and_die(run: RunFolder, told: Path, times: int) -> None:
    for _ in range(times):
        with told.open("a") as file:
            file.write(f"{run.next_attempt()}\n")
    os.kill(os.getpid(), signal.SIGKILL)


def test_no_attempt_number_twice_also_after_a_kill(tmp_path: Path) -> None:
    for times in (2, 1, 3):
        arguments = (RunFolder(tmp_path), tmp_path / "told", times)
        process = multiprocessing.get_context("fork").Process(target=count_and_die, args=arguments)
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    assert (tmp_path / "told").read_text().split() == ["1", "2", "3", "4", "5", "6"]


def test_an_attempt_counts_from_the_disk_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFolder(tmp_path)
    assert run.next_attempt() == 1

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(os, "fsync", full)
        run.next_attempt()
    assert run.next_attempt() == 2


def test_a_damaged_count_is_not_begun_anew(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.next_attempt()
    (tmp_path / "attempt").write_bytes(b"")
    with pytest.raises(CheckpointUnreadable):
        run.next_attempt()


@pytest.mark.parametrize(
    ("purpose", "moves", "stays"),
    [("train", "parameters", "average"), ("metrics", "average", "parameters")],
)
def test_the_neighbour_of_a_model_differs_in_one_rounding_step(
    fleet: Make, purpose: Purpose, moves: str, stays: str
) -> None:
    """Of the vector that the next round of its kind opens with."""
    before = fleet().run.latest()
    after = before.retired(purpose)
    moved = getattr(after.state, moves) - getattr(before.state, moves)
    assert np.flatnonzero(moved).tolist() == [0]
    assert 0 < abs(moved[0]) <= 2.0**-23
    assert getattr(after.state, stays) is getattr(before.state, stays)
    assert same(before, fleet().run.latest())
