"""Jobs on processes: errors whole, progress as it comes, no worker left behind."""

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
    raise ERRORS[kind]

def note_process(folder, told):
    import torch
    (folder / str(os.getpid())).write_text(str(torch.get_num_threads()))

def note_mask(folder, told):
    (folder / "mask").write_text(str(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())))

def wait_for(path, told):
    deadline = time.monotonic() + 20
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)

def wait(folder, told):
    (folder / f"{os.getpid()}.pid").touch()
    time.sleep(60)

def die(told):
    os.kill(os.getpid(), signal.SIGKILL)
"""
PARENT = """
import sys
from functools import partial
from pathlib import Path
from scenarios.experiments.jobs import crew
import voyage_jobs
if __name__ == "__main__":
    with crew(2) as run:
        run([partial(voyage_jobs.wait, Path(sys.argv[1]))] * 2, lambda job, done: None)
"""


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The module of the jobs, found also by the processes started from here."""
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "voyage_jobs.py").write_text(JOBS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module("voyage_jobs")


@pytest.fixture(scope="module")
def pool(jobs: Any) -> Iterator[Run]:
    """Two processes for all tests here, as an experiment has them for all of its jobs."""
    with crew(2) as run:
        yield run


def heard(run: Run, *asked: Job) -> list[tuple[int, int]]:
    news: list[tuple[int, int]] = []
    run(asked, lambda job, done: news.append((job, done)))
    return news


def test_progress_of_every_job_arrives(pool: Run, jobs: Any) -> None:
    news = heard(pool, *(partial(jobs.count, most) for most in (3, 1, 2)))
    for job, most in enumerate((3, 1, 2)):
        assert [done for number, done in news if number == job] == list(range(1, most + 1))


def test_alone_the_jobs_run_here_in_turn(jobs: Any, tmp_path: Path) -> None:
    with crew(1) as run:
        assert heard(run, partial(jobs.count, 2), partial(jobs.count, 1)) == [(0, 1), (0, 2), (1, 1)]
        heard(run, partial(jobs.note_process, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [str(os.getpid())]


def test_each_process_has_one_thread_for_its_sums(pool: Run, jobs: Any, tmp_path: Path) -> None:
    heard(pool, *[partial(jobs.note_process, tmp_path)] * 4)
    noted = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert str(os.getpid()) not in noted
    assert set(noted.values()) == {"1"}
    assert 1 <= len(noted) <= 2


def test_ctrl_c_is_for_the_parent_alone(pool: Run, jobs: Any, tmp_path: Path) -> None:
    """A worker that heard it would print where it was."""
    heard(pool, partial(jobs.note_mask, tmp_path))
    assert (tmp_path / "mask").read_text() == "True"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.parametrize("kind", ["config", "privacy", "protocol", "other"])
def test_an_error_comes_back_whole(pool: Run, jobs: Any, kind: str) -> None:
    raised = jobs.ERRORS[kind]
    with pytest.raises(type(raised)) as caught:
        heard(pool, partial(jobs.count, 1), partial(jobs.fail, kind))
    assert type(caught.value) is type(raised)
    assert str(caught.value) == str(raised)
    assert caught.value.args == raised.args
    assert vars(caught.value).items() >= vars(raised).items()


def test_the_crew_goes_on_after_an_error(pool: Run, jobs: Any) -> None:
    with pytest.raises(ValueError, match="what"):
        heard(pool, partial(jobs.fail, "other"))
    assert heard(pool, partial(jobs.count, 1)) == [(0, 1)]


def test_the_first_error_is_raised_before_the_others_are_done(pool: Run, jobs: Any, tmp_path: Path) -> None:
    """The job submitted before it runs on, and is let go only here."""
    go = tmp_path / "go"
    began = time.monotonic()
    try:
        with pytest.raises(PrivacyRefused):
            heard(pool, partial(jobs.wait_for, go), partial(jobs.fail, "privacy"))
        assert time.monotonic() - began < 15
    finally:
        go.touch()


def test_alone_the_first_error_ends_the_run(jobs: Any) -> None:
    done: list[int] = []
    with crew(1) as run, pytest.raises(ConfigError):
        heard(run, partial(jobs.fail, "config"), lambda told: done.append(1))
    assert done == []


def test_a_process_that_was_killed_is_told_as_a_lack_of_this_machine(jobs: Any) -> None:
    with crew(2) as run, pytest.raises(HanseError, match="ended without a word") as caught:
        heard(run, jobs.die)
    assert caught.value.exit_code == 5


def test_as_many_processes_as_processors_but_no_more_than_memory_bears() -> None:
    assert 1 <= processors() <= min(4, len(os.sched_getaffinity(0)))


def ended(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@contextmanager
def begun(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A process that has two jobs done by workers, once both are at it; and the workers' numbers."""
    (folder / "voyage_jobs.py").write_text(JOBS)
    (folder / "parent.py").write_text(PARENT)
    parent = subprocess.Popen([sys.executable, str(folder / "parent.py"), str(folder)])
    deadline = time.monotonic() + 60
    try:
        while len(list(folder.glob("*.pid"))) < 2 and time.monotonic() < deadline:
            assert parent.poll() is None
            time.sleep(0.02)
        workers = [int(path.stem) for path in folder.glob("*.pid")]
        assert len(workers) == 2
        assert not any(ended(number) for number in workers)
        yield parent, workers
    finally:
        parent.kill()
        parent.wait()


@pytest.mark.slow
def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    with begun(tmp_path) as (parent, workers):
        parent.kill()
        deadline = time.monotonic() + 60
        while not all(ended(number) for number in workers) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert all(ended(number) for number in workers)


@pytest.mark.slow
def test_workers_end_when_their_parent_alone_is_interrupted(tmp_path: Path) -> None:
    """And their jobs with them, which would go on for a minute."""
    with begun(tmp_path) as (parent, workers):
        parent.send_signal(signal.SIGINT)
        assert parent.wait(40) == -signal.SIGINT
        assert all(ended(number) for number in workers)
