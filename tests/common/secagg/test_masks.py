"""Masks: their key, their seek, and that adding and subtracting cancel."""

import time

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from common.secagg import masks
from common.secagg.masks import apply_masks
from common.secagg.parts import BLOCK, PART

KEY = bytes(range(32))


def mask(size, key=KEY, first=0, kind=np.uint32):
    lanes = np.zeros(size, kind)
    apply_masks(lanes, [key], [], first=first)
    return lanes


@pytest.mark.parametrize("size", [1, 3, 4, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5, PART, PART + 3])
@pytest.mark.parametrize("kind", ["<u4", "<u2"])
def test_a_mask_is_one_unbroken_keystream(size, kind):
    octets = np.dtype(kind).itemsize * size
    stream = Cipher(algorithms.AES256(KEY), modes.CTR(bytes(16))).encryptor().update(bytes(octets))
    assert np.array_equal(mask(size, kind=kind), np.frombuffer(stream, kind))


def test_the_first_lanes_of_either_width_are_frozen():
    assert [f"{lane:08x}" for lane in mask(4)] == ["b60090f2", "d09f492a", "6a9af3a9", "80772edd"]
    assert [f"{lane:04x}" for lane in mask(8, kind=np.uint16)] == [
        "90f2",
        "b600",
        "492a",
        "d09f",
        "f3a9",
        "6a9a",
        "2edd",
        "8077",
    ]


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 50))
def test_a_slice_seeks_to_its_place(quarter, size):
    assert np.array_equal(mask(4 * quarter + size)[4 * quarter :], mask(size, first=4 * quarter))
    whole, place = mask(8 * quarter + size, kind=np.uint16), 8 * quarter
    assert np.array_equal(whole[place:], mask(size, first=place, kind=np.uint16))


@settings(deadline=None)
@given(st.lists(st.binary(min_size=32, max_size=32), max_size=4, unique=True), st.integers(1, 40))
def test_what_is_added_can_be_taken_off(keys, size):
    plain = np.arange(size, dtype=np.uint32) * np.uint32(2654435761)
    lanes = plain.copy()
    apply_masks(lanes, keys, [])
    apply_masks(lanes, [], keys)
    assert np.array_equal(lanes, plain)


@pytest.mark.parametrize("size", [9, PART + 9])
def test_plus_and_minus_are_opposite_modulo_the_ring(size):
    down = np.zeros(size, np.uint32)
    apply_masks(down, [], [KEY])
    assert not (down + mask(size)).any()


def test_masks_are_put_on_by_as_many_threads_as_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(masks, "in_parts", lambda work, buffers, size, threads: asked.append(threads))
    apply_masks(np.zeros(9, np.uint32), [KEY], [], threads=3)
    assert asked == [3]


@pytest.mark.parametrize("bit", range(256))
def test_every_bit_of_the_key_matters(bit):
    flipped = bytearray(KEY)
    flipped[bit // 8] ^= 1 << bit % 8
    assert not np.array_equal(mask(8, bytes(flipped)), mask(8))


@pytest.mark.parametrize("length", [0, 4, 16, 24, 31, 33])
def test_only_256_bit_keys(length):
    for plus, minus in (([bytes(length)], [KEY]), ([KEY], [bytes(length)])):
        with pytest.raises(ValueError, match="32 bytes"):
            apply_masks(np.zeros(8, np.uint32), plus, minus)


def test_no_seek_into_an_aes_block():
    with pytest.raises(ValueError, match="where an AES block does"):
        mask(8, first=2)
    with pytest.raises(ValueError, match="where an AES block does"):
        mask(8, first=4, kind=np.uint16)


def test_a_mask_looks_uniform():
    counts = np.bincount(mask(1 << 18).view(np.uint8), minlength=256)
    expected = counts.sum() / 256
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert abs(chi_squared - 255) < 6 * np.sqrt(2 * 255)


def fastest(action):
    def seconds():
        start = time.perf_counter()
        action()
        return time.perf_counter() - start

    return min(seconds() for _ in range(9))


def test_masking_reaches_half_of_the_ciphers_own_speed():
    keys, lanes, octets = (
        [bytes([i] * 32) for i in range(4)],
        np.zeros(16 * BLOCK, np.uint32),
        bytearray(4 * BLOCK),
    )

    def bare():
        for key in keys:
            stream = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor()
            for _ in range(16):
                stream.update_into(bytes(4 * BLOCK), octets)

    assert fastest(bare) / fastest(lambda: apply_masks(lanes, keys, [], threads=1)) >= 0.5
