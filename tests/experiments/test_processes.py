"""Processes of a run: nothing that it started outlives it, however it ended."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import EnvironmentProblem
from scenarios.experiments.processes import MARK, Processes, marked

# A daemon as Flower makes them: detached from its parent, in a session of its own.
DETACHED = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
time.sleep(float(sys.argv[1]))
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert true()


@pytest.mark.parametrize("seconds", ["0", "60"])
def test_detached_grandchildren_end_too(tmp_path: Path, seconds: str) -> None:
    with Processes(tmp_path, {}) as processes:
        processes.start("parent", [sys.executable, "-c", DETACHED, seconds])
        wait_until(lambda: len(marked(str(tmp_path))) == (1 if seconds == "0" else 2))
    assert marked(str(tmp_path)) == []


def test_they_end_when_the_run_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Processes(tmp_path, {}) as processes:
        processes.start("sleeper", ["sleep", "60"])
        wait_until(lambda: len(marked(str(tmp_path))) == 1)
        _ = 1 / 0
    assert marked(str(tmp_path)) == []


def test_whoever_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scenarios.experiments.processes.GRACE_SECONDS", 0.3)
    with Processes(tmp_path, {}) as processes:
        processes.start("stubborn", [sys.executable, "-c", STUBBORN])
        wait_until(lambda: processes.log("stubborn").read_text() == "up\n")
    assert marked(str(tmp_path)) == []


def test_what_a_killed_run_left_behind_ends_with_the_next_and_nothing_else_does(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours", tmp_path / "ours-too"
    left = subprocess.Popen(["sleep", "60"], env={MARK: str(ours)})
    stranger = subprocess.Popen(["sleep", "60"], env={MARK: str(other)})
    try:
        with Processes(ours, {}):
            assert left.wait(10) < 0
            assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_process_that_ended_is_named_with_its_last_words(tmp_path: Path) -> None:
    with Processes(tmp_path, {}) as processes:
        processes.start("grocery", [sys.executable, "-c", "import sys; sys.exit('no such folder')"])
        wait_until(lambda: processes.ended("grocery"))
        with pytest.raises(EnvironmentProblem, match="grocery ended with exit code 1: no such folder"):
            processes.require("grocery")


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with (
        Processes(tmp_path, {}) as processes,
        pytest.raises(EnvironmentProblem, match="cannot start /no/program"),
    ):
        processes.start("x", ["/no/program"])
