"""``make audit``: millions of damaged messages, each within its time and memory, none with a surprise.

Input n of a target follows from (seed, target, n), so what is printed of a fault is enough to repeat it.
"""

import argparse
import resource
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from types import FrameType
from typing import Final

from flwr.supercore.task_identity import TaskIdentity

from audits.certificates import certificates
from audits.parsers import parsers
from audits.states import machines
from audits.target import Target, printable
from audits.wires import wires

INPUTS: Final = 2_000_000
SEED: Final = 1
WORKERS: Final = 2
CHUNK: Final = 2_000
SECONDS: Final = 2.0
"""Of processor time, for one input: a loop that a length field drives takes longer."""
MEMORY: Final = 192 << 20
"""Of address space, above what the process had before: a frame may announce five times as much."""


class TooSlow(BaseException):
    """An input took longer than :data:`SECONDS`. No ``except Exception`` can swallow it."""


@dataclass(frozen=True)
class Part:
    """``count`` inputs of one target, from ``first`` on."""

    target: str
    seed: int
    first: int
    count: int

    def __str__(self) -> str:
        """How to try them again."""
        return (
            f"python -m audits.fuzz --target '{self.target}'"
            f" --seed {self.seed} --first {self.first} --count {self.count}"
        )


@dataclass(frozen=True)
class Found:
    """What came of one part; ``faults`` say what is wrong and how to see it again."""

    part: Part
    accepted: int
    seconds: float
    faults: tuple[str, ...]


@cache
def targets() -> dict[str, Target]:
    """All of them by name."""
    # Flower names the sender of every message after the task that runs.
    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 1
    return {target.name: target for target in (*parsers(), *wires(), *certificates(), *machines())}


def parts(inputs: int, seed: int) -> list[Part]:
    """At least so many inputs, divided among the targets by their shares."""
    shares = sum(target.share for target in targets().values())
    plan = []
    for name, target in targets().items():
        count = -(-inputs * target.share // shares)
        plan += [Part(name, seed, at, min(CHUNK, count - at)) for at in range(0, count, CHUNK)]
    return plan


def explore(part: Part) -> Found:
    """Try every input of the part."""
    target, start, accepted, faults = targets()[part.target], time.process_time(), 0, list[str]()
    with bounded():
        for number in range(part.first, part.first + part.count):
            refused, fault = tried(target, number, part.seed)
            accepted += not refused
            if fault:
                faults.append(f"{fault}\n  {Part(part.target, part.seed, number, 1)}")
    return Found(part, accepted, time.process_time() - start, tuple(faults))


def tried(target: Target, number: int, seed: int) -> tuple[bool, str]:
    """Whether an input is refused, and what is wrong with that; mostly nothing."""
    value = target.input(number, seed)
    try:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            target.check(value)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    except target.allowed as error:
        return True, "a valid input is refused" if number < len(target.seeds) else _text_fault(error)
    except (Exception, TooSlow) as error:
        return True, f"{type(error).__name__}: {str(error)[:200]}"
    return False, ""


def _text_fault(error: Exception) -> str:
    try:
        printable(error)
    except AssertionError as payload:
        return f"{type(error).__name__}: {str(payload)[:200]}"
    return ""


@contextmanager
def bounded() -> Iterator[None]:
    """In here the time of an input and the memory of this process are limited."""
    before, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    old = signal.signal(signal.SIGPROF, _too_slow)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, hard))
        signal.signal(signal.SIGPROF, old)


def _too_slow(_: int, __: FrameType | None) -> None:
    raise TooSlow(f"more than {SECONDS:g} s")


def report(found: Iterable[Found]) -> tuple[str, int]:
    """A table by target, then the faults; and how many faults."""
    rows: dict[str, list[float]] = {}
    faults: list[str] = []
    for each in found:
        row = rows.setdefault(each.part.target, [0, 0, 0.0])
        row[0], row[1], row[2] = row[0] + each.part.count, row[1] + each.accepted, row[2] + each.seconds
        faults += [f"{each.part.target}: {fault}" for fault in each.faults]
    lines = [f"{'target':<20} {'inputs':>9} {'accepted':>9} {'seconds':>8}"]
    lines += [f"{name:<20} {row[0]:>9} {row[1]:>9} {row[2]:>8.1f}" for name, row in rows.items()]
    lines.append(f"{sum(row[0] for row in rows.values()):.0f} inputs, {len(faults)} faults")
    return "\n".join([*lines, *faults[:20]]), len(faults)


def main() -> int:
    """Explore what the command line asks for; by default everything."""
    options = argparse.ArgumentParser(prog="python -m audits.fuzz", description=__doc__)
    options.add_argument("--inputs", type=int, default=INPUTS, help="how many inputs in all")
    options.add_argument("--seed", type=int, default=SEED, help="another sequence of inputs")
    options.add_argument("--target", choices=sorted(targets()), help="this target alone, in this process")
    options.add_argument("--first", type=int, default=0, help="with --target: from this input on")
    options.add_argument("--count", type=int, default=1, help="with --target: so many inputs")
    asked = options.parse_args()
    if asked.target:
        found = [explore(Part(asked.target, asked.seed, asked.first, asked.count))]
    else:
        # A process that dies breaks the pool, which raises: nothing is lost without a word.
        with ProcessPoolExecutor(WORKERS, mp_context=get_context("fork")) as pool:
            found = list(pool.map(explore, parts(asked.inputs, asked.seed)))
    text, faults = report(found)
    sys.stdout.write(text + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
