"""A run that is killed between rounds and goes on: the same vector in the end, and nothing released unpaid."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clients.config import SiteFolder
from scenarios.experiments.federation import Federation
from server.checkpoint import RunFolder
from server.outcome import RoundOutcome

CONDUCT = """
import sys
from pathlib import Path
from clients.config import SiteFolder
from scenarios.experiments.federation import Federation
from server.checkpoint import RunFolder

folder = Path(sys.argv[1])
sites = {path.name: SiteFolder(path) for path in sorted((folder / "sites").iterdir())}
Federation(RunFolder(folder / "server"), sites).conduct(lambda outcome: print(outcome.number, flush=True))
"""

Make = Callable[..., Federation]


def start(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", CONDUCT, str(folder)], stdout=subprocess.PIPE, text=True)


def kill_after_rounds(folder: Path, rounds: int) -> None:
    """Run in a process of its own, and end it without notice once so many rounds were told."""
    process = start(folder)
    assert process.stdout is not None
    for _ in range(rounds):
        assert process.stdout.readline().strip()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def finish(folder: Path) -> None:
    process = start(folder)
    process.communicate()
    assert process.returncode == 0


@pytest.mark.slow
def test_killed_between_rounds_the_vector_is_the_same(federation: Make, tmp_path: Path) -> None:
    whole = federation("whole").conduct(lambda outcome: None)
    federation("killed")
    kill_after_rounds(tmp_path / "killed", 1)
    assert RunFolder(tmp_path / "killed" / "server").latest().round in (1, 2)
    finish(tmp_path / "killed")
    resumed = RunFolder(tmp_path / "killed" / "server").latest()
    assert resumed.round == whole.round == 3
    assert resumed.state.parameters.tobytes() == whole.state.parameters.tobytes()
    assert resumed.state.average.tobytes() == whole.state.average.tobytes()


@pytest.mark.slow
def test_killed_at_any_instant_the_ledger_covers_every_release(federation: Make, tmp_path: Path) -> None:
    """Killed three times at instants of no meaning: no finished round is without its charge, none passes the
    ceiling, and the run ends, since its plan pays for three spare rounds.
    """
    federation("run", epsilon=0.5)
    folder = tmp_path / "run"
    for delay in (0.0, 0.05, 0.1):
        process = start(folder)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        finished = RunFolder(folder / "server").latest().round
        for site in sorted((folder / "sites").iterdir()):
            ledger = SiteFolder(site).ledger()
            charged = {entry.charge.round for entry in ledger.entries()}
            assert charged >= set(range(1, finished + 1))
            assert ledger.spent().prv <= ledger.ceiling.epsilon
    finish(folder)
    assert RunFolder(folder / "server").latest().round == 3


def test_a_round_voided_after_its_release_starts_beside_its_model(federation: Make) -> None:
    """The sites released their shares and the coordinator lost the sum: it may not ask twice for one model."""
    founded = federation("run")
    before = founded.run.latest()

    def die(outcome: RoundOutcome) -> None:
        founded.run.save(before)
        raise SystemExit

    with pytest.raises(SystemExit):
        founded.conduct(die)
    again = founded.conduct(lambda outcome: None)
    assert again.round == 3
    moved = before.retired().state.parameters - before.state.parameters
    assert np.count_nonzero(moved) == 1
    assert 0 < np.abs(moved).max() < 1e-6
