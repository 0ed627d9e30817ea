"""Jobs on processes: errors whole, progress as it comes, no worker left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from common.errors import ConfigError, HanseError, PrivacyRefused, Problem
from common.secagg.errors import BadAdvert
from scenarios.experiments.jobs import Tell, crew, processors

ERRORS: dict[str, HanseError | ValueError] = {
    "config": ConfigError((Problem("a.toml:1", "unknown key", "did you mean x?"), Problem("", "no file"))),
    "privacy": PrivacyRefused("the ceiling", where="salt", why="spent", hint="raise it"),
    "protocol": BadAdvert("share", "salt", why="another model"),
    "other": ValueError("what", 7),
}


def count(most: int, told: Tell) -> None:
    for number in range(1, most + 1):
        told(number)


def fail(kind: str, told: Tell) -> None:
    raise ERRORS[kind]


def note_process(folder: Path, told: Tell) -> None:
    (folder / str(os.getpid())).write_text(str(threads()))


def threads() -> int:
    import torch

    return torch.get_num_threads()


@pytest.fixture(scope="module")
def pool() -> object:
    """Two processes for all tests here, as an experiment has them for all of its jobs."""
    with crew(2) as run:
        yield run


def heard(run: Callable[..., None], *jobs: object) -> list[tuple[int, int]]:
    news: list[tuple[int, int]] = []
    run(list(jobs), lambda job, done: news.append((job, done)))
    return news


def test_progress_of_every_job_arrives(pool: Callable[..., None]) -> None:
    news = heard(pool, *(partial(count, most) for most in (3, 1, 2)))
    for job, most in enumerate((3, 1, 2)):
        assert [done for number, done in news if number == job] == list(range(1, most + 1))


def test_alone_the_jobs_run_here_in_turn(tmp_path: Path) -> None:
    with crew(1) as run:
        assert heard(run, partial(count, 2), partial(count, 1)) == [(0, 1), (0, 2), (1, 1)]
        run([partial(note_process, tmp_path)], lambda job, done: None)
    assert [path.name for path in tmp_path.iterdir()] == [str(os.getpid())]


def test_each_process_has_one_thread_for_its_sums(pool: Callable[..., None], tmp_path: Path) -> None:
    pool([partial(note_process, tmp_path)] * 4, lambda job, done: None)
    noted = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert str(os.getpid()) not in noted
    assert set(noted.values()) == {"1"}
    assert 1 <= len(noted) <= 2


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_comes_back_whole(pool: Callable[..., None], kind: str) -> None:
    with pytest.raises(type(ERRORS[kind])) as caught:
        pool([partial(count, 1), partial(fail, kind)], lambda job, done: None)
    assert type(caught.value) is type(ERRORS[kind])
    assert str(caught.value) == str(ERRORS[kind])
    assert caught.value.args == ERRORS[kind].args
    assert {**vars(caught.value), "__notes__": None} == {**vars(ERRORS[kind]), "__notes__": None}


def test_the_crew_goes_on_after_an_error(pool: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match="what"):
        pool([partial(fail, "other")], lambda job, done: None)
    assert heard(pool, partial(count, 1)) == [(0, 1)]


def wait_for(path: Path, told: Tell) -> None:
    deadline = time.monotonic() + 20
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.exists()


def test_the_first_error_is_raised_before_the_others_are_done(
    pool: Callable[..., None], tmp_path: Path
) -> None:
    """The job before it runs on, and is let go only here."""
    try:
        with pytest.raises(PrivacyRefused):
            pool([partial(wait_for, tmp_path / "go"), partial(fail, "privacy")], lambda job, done: None)
    finally:
        assert not (tmp_path / "go").exists()
        (tmp_path / "go").touch()


def test_alone_the_first_error_ends_the_run() -> None:
    done: list[int] = []
    with crew(1) as run, pytest.raises(ConfigError):
        run([partial(fail, "config"), lambda told: done.append(1)], lambda job, done: None)
    assert done == []


def die(told: Tell) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_was_killed_is_told_as_a_lack_of_this_machine() -> None:
    with crew(2) as run, pytest.raises(HanseError, match="ended without a word") as caught:
        run([die], lambda job, done: None)
    assert caught.value.exit_code == 5


def test_as_many_processes_as_processors_but_no_more_than_memory_bears() -> None:
    assert 1 <= processors() <= min(4, len(os.sched_getaffinity(0)))


PARENT = """
import os, sys, time
from functools import partial
from pathlib import Path
from scenarios.experiments.jobs import crew
sys.path.insert(0, sys.argv[1])
import waiting
if __name__ == "__main__":
    with crew(2) as run:
        run([partial(waiting.job, Path(sys.argv[1]))] * 2, lambda job, done: None)
"""
WAITING = """
import os, time
def job(folder, told):
    (folder / f"{os.getpid()}.pid").touch()
    time.sleep(60)
"""


def ended(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.slow
def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "waiting.py").write_text(WAITING)
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
