"""Rounding: a value's word is that of its place, and the dither lies evenly about 0 and never reaches a half."""

import numpy as np
import pytest

from common.secagg import rounding
from common.secagg.parts import BLOCK
from common.secagg.rounding import Limits, Rounding

KEY = bytes(range(32))
ONE = Limits(bound=1.0, clip=1.0, scale=1.0)


def rounded(values, limits, place=0, key=KEY):
    out = np.empty(len(values), np.int32)
    rounds = Rounding(key)
    rounds.begin(place)
    rounds.apply(np.asarray(values, np.float32), limits, out)
    return out


class Words:
    """A keystream that gives these words, over and over."""

    def __init__(self, *words):
        self._words = words

    def update_into(self, zeros, octets):
        count = len(zeros) // 4
        octets[: len(zeros)] = np.resize(np.array(self._words, "<i4"), count).tobytes()


@pytest.mark.parametrize("place", [4, 8, 64, 1024])
def test_a_word_depends_on_its_place_alone(place):
    limits = Limits(1.0, 1.0, 1000.0)
    values = np.random.default_rng(0).uniform(-1, 1, 4096)
    assert np.array_equal(rounded(values, limits)[place:], rounded(values[place:], limits, place))
    assert not np.array_equal(rounded(values, limits), rounded(values, limits, place))


def test_one_run_goes_on_where_the_last_one_ended():
    limits, values = Limits(1.0, 1.0, 1000.0), np.random.default_rng(1).uniform(-1, 1, 2 * BLOCK)
    values = values.astype(np.float32)
    out, rounds = np.empty(2 * BLOCK, np.int32), Rounding(KEY)
    rounds.begin(0)
    for start in (0, BLOCK):
        rounds.apply(values[start : start + BLOCK], limits, out[start : start + BLOCK])
    whole = rounded(values[BLOCK:], limits, BLOCK)
    assert np.array_equal(out[BLOCK:], whole)


@pytest.mark.parametrize("word", [-(2**31), -(2**31) + 1, -1, 0, 1, 2**31 - 1])
def test_a_whole_number_stays_what_it_is_whatever_the_word(monkeypatch, word):
    monkeypatch.setattr(rounding, "keystream", lambda key, octet: Words(word))
    assert rounded([-1, 0, 1], Limits(1.0, 1.0, 3.0)).tolist() == [-3, 0, 3]


def test_words_that_differ_in_their_last_bit_alone_are_one_odd_word(monkeypatch):
    """0 and 1 lift a value by one unit of 2⁻³², −1 and −2 lower it by as much: the mean of all is none."""
    unit = 2.0**-32
    lifted = {}
    for word in (0, 1, -1, -2):
        monkeypatch.setattr(rounding, "keystream", lambda key, octet, word=word: Words(word))
        # Just below a half, by one and a half units and by a half: which of them does the word lift above it?
        lifted[word] = [
            int(rounded([1], Limits(1.0, 1.0, 0.5 + off * unit))[0]) for off in (-1.5, -0.5, 0.5, 1.5)
        ]
    assert lifted == {0: [0, 1, 1, 1], 1: [0, 1, 1, 1], -1: [0, 0, 0, 1], -2: [0, 0, 0, 1]}
