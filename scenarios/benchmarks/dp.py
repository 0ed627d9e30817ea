"""The figures of ``hanse bench dp``: what privacy costs in time, and whether its gradients are what it says.

Time: whole epochs on one thread, by the processor's clock; in every turn all ways train on the batches that ours
drew. Exactness: each user's gradient against a batch of one in double precision, and how far one user made for
the purpose moves the sum that is noised.
"""

import ctypes
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch

from scenarios.benchmarks import exactness
from scenarios.benchmarks.bars import Bar, as_text, machine, machine_note
from scenarios.benchmarks.steps import Bench, Case
from scenarios.benchmarks.timing import clocked, ratios, turns

Update = Callable[[int, int], None]

HEADLINE: Final = Case("small", steps=10)
OTHERS: Final = {
    "tiny": Case("tiny"),
    "base": Case("base"),
    "small, 20 positions": Case("small", length=20),
    "small, 20 positions, batches of 256": Case("small", length=20, batch=256, steps=3),
}


@dataclass(frozen=True)
class Sizes:
    """How much is measured: the case that all ways train, those that two train, and how often."""

    headline: Case = HEADLINE
    others: tuple[tuple[str, Case], ...] = tuple(OTHERS.items())
    repeats: int = 7
    few: int = 3


FULL: Final = Sizes()

BARS: Final = (
    Bar("an epoch, against the same without privacy", ("ratio_to_nonprivate",), 1.30, most=True, unit=" ×"),
    Bar(
        "a user's gradient, against a batch of one",
        ("max_relative_gradient_error",),
        1e-5,
        most=True,
        form=".1e",
    ),
    Bar("one more user, against the clip", ("sensitivity_over_C",), 1.000001, most=True, form=".7f"),
)


def measure(sizes: Sizes, update: Update) -> dict[str, Any]:
    """Everything, in ``sizes``, on one of torch's threads."""
    begun, found, done = time.perf_counter(), dict[str, Any](), 0
    total = len(sizes.others) + 2
    with _one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Opacus' hooks and torch.func announce what we measure them for
        update(done, total)
        headline = _headline(sizes)
        for name, case in sizes.others:
            update(done := done + 1, total)
            found[name] = _ratio(case, sizes.few)
        update(done := done + 1, total)
        exact = exactness.measure()
    update(total, total)
    return {
        **headline,
        "ratio_by_case": found,
        **exact,
        "seconds": time.perf_counter() - begun,
        "machine": machine(threads=1, torch=torch.__version__),
        "repeats": sizes.repeats,
    }


def told(measured: dict[str, Any]) -> str:
    """The table of ``measured``."""
    others = {
        "Opacus' hooks": "opacus_hooks",
        "torch.func": "vmap",
        "Opacus' ghost clipping": "opacus_ghost",
    }
    beside = ", ".join(f"{name} {measured[f'ratio_{key}']:.2f}" for name, key in others.items())
    cases = ", ".join(f"{name} {ratio:.2f}" for name, ratio in measured["ratio_by_case"].items())
    what = "Size small, 384 features, batches of 64, 50 positions, 512 negatives; processor time, one thread."
    return as_text(
        measured, BARS, f"The same epoch by {beside}.", f"Ours for {cases}.", what, machine_note(measured)
    )


def _headline(sizes: Sizes) -> dict[str, Any]:
    bench = Bench(sizes.headline)
    ways = {
        "hanse": bench.hanse(),  # first: the others train on the batches that it draws
        "plain": bench.epoch(bench.plain()),
        "hooks": bench.epoch(bench.hooks()),
        "ghost": bench.epoch(bench.ghost()),
        "vmap": bench.epoch(bench.vmap()),
    }
    counted = turns(sizes.repeats, {name: clocked(way, time.process_time) for name, way in ways.items()})
    against = ratios(counted, "plain")
    each = sorted(turn["hanse"] / turn["plain"] for turn in counted)
    return {
        "ratio_to_nonprivate": against["hanse"],
        "ratio_to_nonprivate_range": [each[0], each[-1]],
        "ratio_opacus_hooks": against["hooks"],
        "ratio_opacus_ghost": against["ghost"],
        "ratio_vmap": against["vmap"],
    }


def _ratio(case: Case, repeats: int) -> float:
    bench = Bench(case)
    ways = {"hanse": bench.hanse(), "plain": bench.epoch(bench.plain())}
    counted = turns(repeats, {name: clocked(way, time.process_time) for name, way in ways.items()})
    return ratios(counted, "plain")["hanse"]


@contextmanager
def _one_thread() -> Iterator[None]:
    """One of torch's threads, and an allocator that keeps what is freed.

    Whether it gives memory back and takes it again, at a page fault each, would otherwise depend on the order
    of what is compared, and outweigh the differences.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    if hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for option in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of glibc's malloc.h
            libc.mallopt(option, 1 << 30)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
