"""The terminal: results on stdout, talk on stderr, and no more than was asked for."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from common.errors import ConfigError, HanseError, Problem

Update = Callable[[int, int], None]
"""Called as ``update(done, total)``."""


def quiet() -> bool:
    """Whether ``--quiet`` was given, here or to the process that started this one."""
    return bool(os.environ.get("HANSE_QUIET"))


def debug() -> bool:
    """Whether ``--debug`` was given, here or to the process that started this one."""
    return bool(os.environ.get("HANSE_DEBUG"))


def show(text: str) -> None:
    """A result, on stdout."""
    sys.stdout.write(text + "\n")


def show_json(value: Any) -> None:
    """A result for programs, on stdout."""
    show(json.dumps(value, indent=2, ensure_ascii=False))


def say(text: str) -> None:
    """What is going on, on stderr, unless quiet."""
    if not quiet():
        _talk(text)


def warn(text: str, hint: str = "") -> None:
    """Something worth knowing that stops nothing; quiet does not silence it."""
    _talk(f"{_painted('warning:', '33')} {text}")
    _hint(hint)


def complain(error: HanseError) -> None:
    """An error as a compiler prints it: every problem on its own line, followed by its hint."""
    if isinstance(error, ConfigError):
        problems = error.problems
    else:
        what = f"{error.what}: {error.why}" if error.why else error.what
        problems = (Problem(error.where, what, error.hint),)
    for problem in problems:
        where = f"{problem.where}: " if problem.where else ""
        _talk(f"{where}{_painted('error:', '31;1')} {problem.what}")
        _hint(problem.hint)


@contextmanager
def resumable(command: str) -> Iterator[None]:
    """Say, where what is inside is interrupted, what goes on with it; quiet does not silence it."""
    try:
        yield
    except KeyboardInterrupt:
        _talk(f"interrupted; what is finished is kept; go on with {command}")
        raise


@contextmanager
def progress(label: str) -> Iterator[Update]:
    """A bar on a terminal; elsewhere a line at the start and one at the end with the seconds it took."""
    if quiet():
        yield lambda done, total: None
    elif sys.stderr.isatty():
        with _bar(label) as update:
            yield update
    else:
        _talk(f"{label} ...")
        began = time.monotonic()
        yield lambda done, total: None
        _talk(f"{label}: {time.monotonic() - began:.1f} s")


@contextmanager
def _bar(label: str) -> Iterator[Update]:
    from rich.console import Console  # noqa: PLC0415  # only where a bar is drawn
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=False) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _talk(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _hint(text: str) -> None:
    if text:
        _talk(f"{_painted('hint:', '36')} {text}")


def _painted(text: str, code: str) -> str:
    plain = os.environ.get("NO_COLOR") or not sys.stderr.isatty()
    return text if plain else f"\x1b[{code}m{text}\x1b[0m"
