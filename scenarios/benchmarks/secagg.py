"""The figures of ``hanse bench secagg``: each beside its reference, in one run on one machine.

Client: from a float32 update to what is sent, quantising, all masks and the agreement of their keys included.
Server: from the released shares to the sum; ours checks every share and commitment, which Flower's does not.
Both sides take the same vectors. What Flower takes seconds for is measured in part; see :mod:`flower`.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from common.frame import encode
from common.randomness import keystream
from common.replies import answer
from common.secagg.masks import apply_masks
from common.secagg.parts import THREADS
from common.secagg.shamir import combine, interpolation, split
from scenarios.benchmarks import flower, memory
from scenarios.benchmarks.bars import Bar, as_text, machine, machine_note
from scenarios.benchmarks.convoy import Convoy, Round, hold, narrow, update, wide
from scenarios.benchmarks.timing import clocked, interleaved

Update = Callable[[int, int], None]

CACHED: Final = 1 << 16  # bytes of the cipher's buffer, which stay in the cache
TEN: Final = 10  # platforms, and so masks on a vector


@dataclass(frozen=True)
class Sizes:
    """How much is measured: the shorter and the longer vector, the larger cohort, and how often."""

    short: int = 1_000_000
    long: int = 10_000_000
    many: int = 50
    huge: int = 20_000_000
    secrets: int = 100
    repeats: int = 9  # a round of ten has ten platforms, and each masks once
    few: int = 5  # repeats of what takes Flower long


FULL: Final = Sizes()

BARS: Final = (
    Bar("masks against AES-256-CTR in cache, one thread", ("prg_fraction_of_aes",), 0.5),
    Bar("client, 10 platforms, 1 M, against Flower", ("client_speedup_vs_flower", "10x1M"), 6, unit=" ×"),
    Bar("client, 10 platforms, 10 M, against Flower", ("client_speedup_vs_flower", "10x10M"), 8, unit=" ×"),
    Bar(
        "unmasking, 10, 1 dropped, 1 M, against Flower",
        ("server_speedup_vs_flower", "10x1M_drop10"),
        15,
        unit=" ×",
    ),
    Bar(
        "unmasking, 50, 5 dropped, 1 M, against Flower",
        ("server_speedup_vs_flower", "50x1M_drop10"),
        40,
        unit=" ×",
    ),
    Bar(
        "upload against float32, lanes of 32 bits",
        ("upload_ratio_fp32", "u32"),
        1.001,
        most=True,
        unit=" ×",
        form=".4f",
    ),
    Bar(
        "upload against float32, lanes of 16 bits",
        ("upload_ratio_fp32", "u16"),
        0.51,
        most=True,
        unit=" ×",
        form=".4f",
    ),
    Bar("Shamir, 100 platforms, split", ("shamir_split_ms",), 5, most=True, unit=" ms"),
    Bar("Shamir, 100 platforms, combine", ("shamir_combine_ms",), 5, most=True, unit=" ms"),
    Bar("peak memory against the float32 vector", ("peak_memory_ratio",), 3, most=True, unit=" ×"),
)


def told(measured: dict[str, Any]) -> str:
    """The table of ``measured``."""
    cipher = f"AES {measured['aes_gb_per_s']:.1f} GB/s, memcpy {measured['memcpy_gb_per_s']:.1f} GB/s"
    part = "With 50 platforms Flower's unmasking is measured on a part of its secrets and masks, and scaled."
    return as_text(measured, BARS, machine_note(measured), cipher, part)


def measure(sizes: Sizes, update: Update) -> dict[str, Any]:
    """Everything, in ``sizes``; the names of the results say the sizes of ``FULL``."""
    steps: tuple[Callable[[Sizes], dict[str, Any]], ...] = (
        _cipher,
        _clients,
        _servers,
        _many,
        _uploads,
        _shamir,
        _memory,
    )
    begun, found = time.perf_counter(), dict[str, Any]()
    for done, step in enumerate(steps):
        update(done, len(steps))
        for name, value in step(sizes).items():
            found[name] = {**found[name], **value} if name in found else value
    update(len(steps), len(steps))
    about = {"machine": machine(threads=THREADS, numpy=np.__version__), "repeats": sizes.repeats}
    return {**found, "seconds": time.perf_counter() - begun, **about}


def _cipher(sizes: Sizes) -> dict[str, Any]:
    """Masks on one thread against the cipher alone, the same number of bytes; and a copy of memory."""
    keys, lanes = [os.urandom(32) for _ in range(TEN)], np.zeros(sizes.short, np.uint32)
    zeros, octets = bytes(CACHED), bytearray(CACHED)
    source, target = np.ones(sizes.long, np.uint32), np.ones(sizes.long, np.uint32)
    produced = TEN * lanes.nbytes

    def cipher() -> None:
        stream = keystream(os.urandom(32))
        for _ in range(produced // CACHED):
            stream.update_into(zeros, octets)

    def masks() -> None:
        apply_masks(lanes, keys[: TEN // 2], keys[TEN // 2 :], threads=1)

    actions = {"cipher": cipher, "masks": masks, "copy": lambda: np.copyto(target, source)}
    took = interleaved(sizes.repeats, {name: clocked(action) for name, action in actions.items()})
    aes = produced // CACHED * CACHED / took["cipher"]
    return {
        "prg_fraction_of_aes": produced / took["masks"] / aes,
        "aes_gb_per_s": aes / 1e9,
        "memcpy_gb_per_s": source.nbytes / took["copy"] / 1e9,
    }


def _clients(sizes: Sizes) -> dict[str, Any]:
    cases = {"10x1M": (sizes.short, sizes.repeats), "10x10M": (sizes.long, sizes.few)}
    took = {name: _client(*case) for name, case in cases.items()}
    return {
        "client_speedup_vs_flower": {name: case["flower"] / case["hanse"] for name, case in took.items()},
        "client_ms": {name: 1e3 * case["hanse"] for name, case in took.items()},
        "client_ms_flower": {name: 1e3 * case["flower"] for name, case in took.items()},
    }


def _client(dimension: int, repeats: int) -> dict[str, float]:
    convoy = Convoy(TEN, dimension, wide())
    ready, delta = list(convoy.open()[1].values()), update(dimension, convoy.ring)
    actions = {
        "flower": clocked(flower.masked(delta.values, convoy.weight, TEN - 1)),
        "hanse": clocked(lambda: encode(answer(convoy.mask(ready.pop(), delta)[1]))),
    }
    return interleaved(repeats, actions)


def _servers(sizes: Sizes) -> dict[str, Any]:
    convoy = Convoy(TEN, sizes.short, wide())
    held, dropped = hold(convoy, {0}), 1
    masks = flower.Unmasking(TEN, dropped, _threshold(held), sizes.short, seeds=TEN - 1, keys=1, masks=18)
    found = _unmasked("10x1M_drop10", held, masks, sizes.few)
    vectors = [flower.masked(update(sizes.short, convoy.ring).values, convoy.weight, 0)()] * (TEN - dropped)
    actions = {"flower": flower.collected(vectors), "hanse": lambda: held.mail.collect_masked(held.vectors)}
    took = interleaved(sizes.few, {name: clocked(action) for name, action in actions.items()})
    return {**found, "collect_speedup_vs_flower": {"10x1M_drop10": took["flower"] / took["hanse"]}}


def _many(sizes: Sizes) -> dict[str, Any]:
    dropped = sizes.many // 10
    held = hold(Convoy(sizes.many, sizes.short, wide()), set(range(dropped)))
    masks = flower.Unmasking(sizes.many, dropped, _threshold(held), sizes.short, seeds=1, keys=1, masks=20)
    return _unmasked("50x1M_drop10", held, masks, sizes.few)


def _threshold(held: Round) -> int:
    return held.mail.book.terms.threshold(held.mail.book.spec.size)


def _unmasked(name: str, held: Round, other: flower.Unmasking, repeats: int) -> dict[str, Any]:
    hanse = clocked(lambda: held.quorum.collect_releases(held.released).unmask())
    took = interleaved(repeats, {"flower": other.ready(), "hanse": hanse})
    return {
        "server_speedup_vs_flower": {name: took["flower"] / took["hanse"]},
        "server_ms": {name: 1e3 * took["hanse"]},
        "server_ms_flower": {name: 1e3 * took["flower"]},
    }


def _uploads(sizes: Sizes) -> dict[str, Any]:
    """All that a platform sends in a round of ten, by the bytes of its vector as float32."""
    rings = {"u32": wide(), "u16": narrow(sizes.short)}
    return {
        "upload_ratio_fp32": {name: _upload(Convoy(TEN, sizes.short, ring)) for name, ring in rings.items()}
    }


def _upload(convoy: Convoy) -> float:
    hold(convoy, ())
    return max(convoy.sent.values()) / (4 * convoy.dimension)


def _shamir(sizes: Sizes) -> dict[str, Any]:
    """One secret, for as many platforms as ``sizes.secrets``, a third of which may collude."""
    n, secret = sizes.secrets, os.urandom(32)
    threshold, places = (n + n // 3) // 2 + 1, range(1, sizes.secrets + 1)
    shares = split(secret, threshold, places)[:threshold]
    actions = {
        "split": clocked(lambda: split(secret, threshold, places)),
        "combine": clocked(lambda: combine(interpolation(places[:threshold]), shares)),
    }
    took = interleaved(sizes.repeats, actions)
    return {f"shamir_{name}_ms": 1e3 * seconds for name, seconds in took.items()}


def _memory(sizes: Sizes) -> dict[str, Any]:
    sides = {f"u{width}": memory.peak_ratios(sizes.huge, width) for width in (32, 16)}
    highest = max(ratio for side in sides.values() for ratio in side.values())
    return {"peak_memory_ratio": highest, "peak_memory": sides, "peak_memory_parameters": sizes.huge}
