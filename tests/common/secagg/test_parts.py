"""The hot path in parts: bit for bit the same on any number of threads, wherever parts and blocks end."""

import hashlib
import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from common.cores import CORES
from common.deltas import ClippedDelta
from common.randomness import KeyedRandomness
from common.secagg.errors import NotFinite, OutOfBound
from common.secagg.masks import apply_masks, masked_parts
from common.secagg.parts import BLOCK, PART, in_parts
from common.secagg.parts import THREADS as THREADS_BY_DEFAULT
from common.secagg.ring import Ring, Tensor
from common.secagg.rules import lanes_hash, part_hash, parts_digest
from common.secagg.transcript import digest

SIZES = [1, 4, BLOCK - 1, BLOCK, BLOCK + 1, PART - 1, PART, PART + 1, 2 * PART + BLOCK + 3]
KEYS = [bytes([place] * 32) for place in range(5)]
THREADS = (2, 3, 8)


def ring_of(width, size):
    if width == 32:
        return Ring(1.0)
    cut = max(1, size // 3)
    tensors = [Tensor(cut, 1.0)] + [Tensor(size - cut, 0.5)] * (size > cut)
    return Ring(1.0, 16, 16, tuple(tensors))


def values(size):
    return np.random.default_rng(size).uniform(-1, 1, size).astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("width", [16, 32])
def test_quantising_is_the_same_on_any_number_of_threads(width, size):
    ring, delta = ring_of(width, size), ClippedDelta(values(size), 1.0)
    alone = ring.quantise(delta, 0.25, KeyedRandomness("parts"), threads=1).lanes
    for threads in THREADS:
        assert np.array_equal(
            ring.quantise(delta, 0.25, KeyedRandomness("parts"), threads=threads).lanes, alone
        )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", [np.uint16, np.uint32])
def test_masking_is_the_same_on_any_number_of_threads(kind, size):
    plain = np.arange(size).astype(kind)
    alone = plain.copy()
    apply_masks(alone, KEYS[:2], KEYS[2:], threads=1)
    assert size < 8 or not np.array_equal(alone, plain)
    for threads in THREADS:
        lanes = plain.copy()
        hashes = masked_parts(lanes, KEYS[:2], KEYS[2:], part_hash, threads=threads)
        assert np.array_equal(lanes, alone)
        assert parts_digest(hashes) == lanes_hash(alone) == lanes_hash(alone, threads)


def test_the_last_value_of_a_tensor_in_a_later_part_is_scaled_by_its_own_clip():
    size = PART + 2 * BLOCK
    ring = Ring(1.0, 16, 16, (Tensor(PART + 5, 1.0), Tensor(2 * BLOCK - 5, 0.5)))
    lanes = ring.quantise(
        ClippedDelta(np.full(size, 0.5, np.float32), 1.0), 1.0, KeyedRandomness("ends")
    ).lanes
    signed = lanes[:-2].view(np.int16)
    assert np.abs(signed[: PART + 5] - ring.top / 2).max() < 1
    assert (signed[PART + 5 :] == ring.top).all()
    assert np.allclose(ring.dequantise(lanes).mean, 0.5, atol=1 / ring.top)


def test_rounding_words_differ_from_part_to_part():
    lanes = Ring(1.0, 8).quantise(
        ClippedDelta(np.full(2 * PART, 0.3, np.float32), 1.0), 1.0, KeyedRandomness("x")
    )
    first, second = lanes.lanes[:PART], lanes.lanes[PART : 2 * PART]
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize(("wrong", "reason"), [(np.nan, NotFinite), (np.inf, NotFinite), (1.5, OutOfBound)])
def test_the_last_value_of_the_last_part_is_looked_at(threads, wrong, reason):
    vector = values(2 * PART + 3)
    vector[-1] = wrong
    with pytest.raises(reason):
        Ring(1.0).quantise(ClippedDelta(vector, 1.0), 1.0, KeyedRandomness("x"), threads=threads)


@pytest.mark.parametrize("kind", ["<u4", "<u2"])
def test_the_hash_of_a_vector_is_one_over_its_parts_of_262144_lanes(kind):
    lanes = np.arange(2 * 262_144 + 3).astype(kind)
    pieces = [lanes[start : start + 262_144].tobytes() for start in range(0, lanes.size, 262_144)]
    expected = digest("lanes", *(hashlib.sha256(piece).digest() for piece in pieces))
    assert len(pieces) == 3
    assert lanes_hash(lanes) == expected
    assert lanes_hash(lanes.astype(lanes.dtype.newbyteorder(">"))) == expected
    assert lanes_hash(np.repeat(lanes, 2)[::2]) == expected


@pytest.mark.parametrize("threads", [1, 3, 9])
def test_results_come_in_order_and_an_error_comes_out(threads):
    def ranges(size):
        return in_parts(lambda start, stop, none: (start, stop), lambda: None, size, threads)

    assert ranges(2 * PART + 1) == [(0, PART), (PART, 2 * PART), (2 * PART, 2 * PART + 1)]
    assert ranges(0) == []
    for wrong in range(3):
        with pytest.raises(ZeroDivisionError):
            in_parts(lambda start, stop, none: 1 // (start - wrong * PART), lambda: None, 3 * PART, threads)  # noqa: B023


@pytest.mark.parametrize(("threads", "parts"), [(1, 3), (2, 3), (3, 2), (8, 1), (2, 2)])
def test_as_many_threads_as_asked_for_and_no_more_than_there_are_parts(threads, parts):
    made = []
    meeting = threading.Barrier(min(threads, parts), timeout=60)

    def work(start, stop, own):
        if start < min(threads, parts) * PART:
            meeting.wait()  # so many are in here at once

    in_parts(work, lambda: made.append(threading.get_ident()), parts * PART, threads)
    assert len(made) == min(threads, parts)


def test_after_an_error_no_further_part_begins():
    begun = []
    failed = threading.Event()

    def work(start, stop, own):
        begun.append(start)
        if threading.current_thread() is threading.main_thread():
            failed.set()
            raise ZeroDivisionError
        failed.wait(60)
        time.sleep(0.2)  # the caller is told of the error meanwhile

    with pytest.raises(ZeroDivisionError):
        in_parts(work, lambda: None, 50 * PART, 2)
    assert len(begun) <= 3


def test_no_more_threads_by_default_than_there_are_processors():
    assert 1 <= THREADS_BY_DEFAULT <= CORES


def test_every_thread_works_with_buffers_of_its_own():
    meeting = threading.Barrier(3, timeout=60)

    def work(start, stop, own):
        meeting.wait()  # three threads are in here at once
        own.append(start)
        meeting.wait()
        return id(own), threading.get_ident()

    found = in_parts(work, list, 3 * PART, 3)
    assert len({own for own, _ in found}) == len({thread for _, thread in found}) == 3
    assert threading.get_ident() in {thread for _, thread in found}


@pytest.mark.parametrize("width", [16, 32])
def test_reusing_the_lanes_gives_the_same_mean(width):
    size = PART + 7
    ring = ring_of(width, size)
    lanes = ring.quantise(ClippedDelta(values(size), 1.0), 0.5, KeyedRandomness("x")).lanes
    kept = lanes.copy()
    mean = ring.dequantise(lanes).mean
    assert np.array_equal(lanes, kept)
    again = ring.dequantise(lanes, reuse=True).mean
    assert np.array_equal(again, mean)
    assert np.shares_memory(again, lanes) == (width == 32)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel for the peak")
@pytest.mark.parametrize("width", [16, 32])
def test_ten_million_parameters_need_at_most_three_vectors_of_memory(width):
    command = [sys.executable, "-m", "scenarios.benchmarks.memory", "10000000", str(width)]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert set(told) == {"site", "coordinator"}
    for side, ratio in told.items():
        assert 1 < ratio <= 3, side
