"""``make mutants``: break common/secagg in every place, one at a time; its tests must notice each time.

Each mutant lives in a forked process: the heavy packages are imported once, before; ``common.secagg`` is
imported anew in each, with one file broken. A mutant that the tests cannot notice, because it behaves like the
original, is listed in equivalent_mutants.toml with the reason; one that is listed and no longer exists, or that
the tests do notice, is a mistake in the list.
"""

import argparse
import os
import resource
import signal
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType, ModuleType

import hypothesis.configuration
import pytest

from audits.places import Mutant, mutants

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "common" / "secagg"
TESTS = ROOT / "tests" / "common" / "secagg"
LIST = Path(__file__).with_name("equivalent_mutants.toml")
FIRST = ("test_vectors", "test_attacks", "test_protocol")
"""After the file's own tests: they notice most."""
PLUGINS = ("_hypothesis_pytestplugin", "pytest_timeout")
PRELOADED = (
    *PLUGINS,
    "hypothesis.stateful",
    "hypothesis.extra.numpy",
    "cryptography.hazmat.primitives.kdf.hkdf",
)
"""What the tests import, but for the package under test: a fork then has it already."""
SECONDS = 60
"""Of processor time, for one mutant: others may need the machine as well."""
PATIENCE = 600
"""Seconds on the clock: a mutant that waits for what never comes uses no processor time."""
MEMORY = 4 << 30


class Broken(MetaPathFinder, Loader):
    """Imports one module of the package from other code than its file holds."""

    def __init__(self, module: str, code: CodeType) -> None:
        self._module, self._code = module, code

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Itself, for this module."""
        return spec_from_loader(name, self) if name == self._module else None

    def exec_module(self, module: ModuleType) -> None:
        """Runs the broken code."""
        exec(self._code, module.__dict__)  # noqa: S102 - that is what importing is


def order(file: str) -> list[list[str]]:
    """The test files, those first that are likely to notice."""
    stems = sorted(path.stem for path in TESTS.glob("test_*.py"))
    first = [stem for stem in (f"test_{file.removesuffix('.py')}", *FIRST) if stem in stems]
    # Two sessions: most mutants do not outlive the first, which then collects no more than it needs.
    groups = (first, [stem for stem in stems if stem not in first])
    return [[str(TESTS / f"{stem}.py") for stem in group] for group in groups]


def survives(mutant: Mutant | None) -> bool:
    """Whether every test passes; for a child process, which it changes for good."""
    if mutant:
        sys.meta_path.insert(0, Broken(f"common.secagg.{mutant.file.removesuffix('.py')}", mutant.code))
    # As little as it takes to start: no other plugin, no rewritten asserts.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    options = ["-x", "-q", "--assert=plain", f"--confcutdir={TESTS}", "-p", "no:cacheprovider"]
    options += ["-p", PLUGINS[0], "--hypothesis-seed=0"]
    options += ["-p", PLUGINS[1], "--timeout=0"]
    # How fast masks are says nothing on a machine that runs other mutants at the same time; and tests of the
    # state machine itself break the protocol by their own hand.
    options += ["-m", "not slow", "-k", "not own_speed and not it_notices"]
    sessions = order(mutant.file if mutant else "")
    return all(pytest.main([*options, *files]) == pytest.ExitCode.OK for files in sessions)


def fork(mutant: Mutant | None, scratch: Path) -> int:
    """The process that lives with the mutant; it exits with 1 if it survives."""
    if pid := os.fork():
        return pid
    try:
        os.setpgid(0, 0)
        # No test catches a signal's default.
        signal.alarm(PATIENCE)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        hypothesis.configuration.set_hypothesis_home_dir(scratch / str(os.getpid()))
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silence, stream)
        os._exit(survives(mutant))
    finally:
        os._exit(0)


def survivors(todo: Sequence[Mutant], workers: int) -> Iterator[Mutant]:
    """The mutants that no test notices, as they are found."""
    running: dict[int, Mutant] = {}
    with TemporaryDirectory() as scratch:
        for at, mutant in enumerate(todo):
            running[fork(mutant, Path(scratch))] = mutant
            if len(running) == workers:
                yield from _finished(running)
            if at % 100 == 99:
                sys.stderr.write(f"{at + 1} of {len(todo)}\n")
        while running:
            yield from _finished(running)


def _finished(running: dict[int, Mutant]) -> Iterator[Mutant]:
    pid, status = os.wait()
    mutant = running.pop(pid)
    if os.waitstatus_to_exitcode(status) == 1:
        yield mutant


def listed() -> dict[tuple[str, str, str, str], str]:
    """The mutants that behave like the original, and why."""
    rows = tomllib.loads(LIST.read_text())["mutant"]
    return {(row["file"], row["function"], row["original"], row["mutated"]): row["reason"] for row in rows}


def entry(mutant: Mutant) -> str:
    """A mutant as the list has it."""
    names = ("file", "function", "original", "mutated")
    rows = [f"{name} = '''{value}'''" for name, value in zip(names, mutant.key, strict=True)]
    return "\n".join(["[[mutant]]", *rows, 'reason = ""', ""])


def main() -> int:
    """Try them all, or those of one file."""
    options = argparse.ArgumentParser(prog="python -m audits.mutants", description=__doc__)
    options.add_argument("--file", default="*", help="this file of the package alone, such as shamir")
    options.add_argument("--workers", type=int, default=2, help="how many at a time")
    asked = options.parse_args()
    os.chdir(ROOT)
    for package in PRELOADED:
        import_module(package)
    start, files = time.monotonic(), sorted(PACKAGE.glob(f"{asked.file}.py"))
    todo = [mutant for path in files for mutant in mutants(path.name, path.read_text())]
    known = {key: why for key, why in listed().items() if key[0] in {path.name for path in files}}
    with TemporaryDirectory() as scratch:
        if os.waitstatus_to_exitcode(os.waitpid(fork(None, Path(scratch)), 0)[1]) != 1:
            sys.stderr.write("error: the tests fail with nothing broken\nhint: pytest tests/common/secagg\n")
            return 1
    alive = {}
    for mutant in survivors(todo, asked.workers):
        alive[mutant.key] = mutant
        if mutant.key not in known:
            sys.stderr.write(f"survives: {' | '.join(mutant.key)}\n")
    unknown = [mutant for key, mutant in alive.items() if key not in known]
    wrong = [key for key, why in known.items() if key not in alive or not why]
    for mutant in unknown:
        sys.stdout.write(f"# survives\n{entry(mutant)}\n")
    for key in wrong:
        sys.stdout.write(f"# listed, but noticed, gone, or without a reason\n{' | '.join(key)}\n")
    minutes, killed = (time.monotonic() - start) / 60, len(todo) - len(alive)
    sys.stdout.write(
        f"{len(todo)} mutants, {killed} noticed, {len(alive) - len(unknown)} equivalent,"
        f" {len(unknown)} survivors, {len(wrong)} mistakes in the list, {minutes:.1f} minutes\n"
    )
    return 1 if unknown or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
