"""Jobs on processes: errors whole, progress as it comes, no worker left behind."""

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from common.errors import ConfigError, HanseError, PrivacyRefused
from scenarios.experiments.jobs import Job, Run, crew, processors

# Jobs must be importable where they run, which a test's own module is not.
JOBS = """
import os, signal, time
from common.errors import ConfigError, PrivacyRefused, Problem
from common.secagg.errors import BadAdvert

ERRORS = {
    "config": ConfigError((Problem("a.toml:1", "unknown key", "did you mean x?"), Problem("", "no file"))),
    "privacy": PrivacyRefused("the ceiling", where="salt", why="spent", hint="raise it"),
    "protocol": BadAdvert("share", "salt", why="another model"),
    "other": ValueError("what", 7),
}

def count(most, told):
    for number in range(1, most + 1):
        told(number)

def fail(kind, told):
    raise jobs.ERRORS[kind]

def note_process(folder, told):
    import torch
    (folder / str(os.getpid())).write_text(str(torch.get_num_threads()))

def test_the_first_error_is_raised_before_the_others_are_done(
    pool: Run, jobs: Any, tmp_path: Path
) -> None:
    """The job before it runs on, and is let go only here."""
    try:
        with pytest.raises(PrivacyRefused):
            pool([partial(jobs.wait_for, tmp_path / "go"), partial(jobs.fail, "privacy")], lambda job, done: None)
    finally:
        assert not (tmp_path / "go").exists()
        (tmp_path / "go").touch()


def test_alone_the_first_error_ends_the_run(jobs: Any) -> None:
    done: list[int] = []
    with crew(1) as run, pytest.raises(ConfigError):
        run([partial(jobs.fail, "config"), lambda told: done.append(1)], lambda job, done: None)
    assert done == []


def test_a_process_that_was_killed_is_told_as_a_lack_of_this_machine(jobs: Any) -> None:
    with crew(2) as run, pytest.raises(HanseError, match="ended without a word") as caught:
        run([jobs.die], lambda job, done: None)
    assert caught.value.exit_code == 5


def test_as_many_processes_as_processors_but_no_more_than_memory_bears() -> None:
    assert 1 <= processors() <= min(4, len(os.sched_getaffinity(0)))


PARENT = """
import os, sys, time
from functools import partial
from pathlib import Path
from scenarios.experiments.jobs import crew
import voyage_jobs
if __name__ == "__main__":
    with crew(2) as run:
        run([partial(voyage_jobs.wait, Path(sys.argv[1]))] * 2, lambda job, done: None)
"""


def ended(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.slow
def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "voyage_jobs.py").write_text(JOBS)
    (tmp_path / "parent.py").write_text(PARENT)
    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py"), str(tmp_path)])
    deadline = time.monotonic() + 60
    try:
        while len(list(tmp_path.glob("*.pid"))) < 2 and time.monotonic() < deadline:
            assert parent.poll() is None
            time.sleep(0.02)
        workers = [int(path.stem) for path in tmp_path.glob("*.pid")]
        assert len(workers) == 2
        assert not any(ended(number) for number in workers)
    finally:
        parent.kill()
        parent.wait()
    while not all(ended(number) for number in workers) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert all(ended(number) for number in workers)
