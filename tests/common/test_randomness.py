"""Random numbers: uniform, normal, repeatable only by key, and secret otherwise."""

import os

import numpy as np
import pytest
from scipy import stats

from common.randomness import KeyedRandomness, OsRandomness, Randomness

MANY = 100_000


class Scripted(Randomness):
    """Gives the bytes it is told to."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def octets(self, count: int) -> bytes:
        return (self._octets * count)[:count]


def test_the_same_labels_give_the_same_numbers_and_they_are_frozen() -> None:
    assert KeyedRandomness("training", 7, "salt").octets(16).hex() == "205aad0d8893e77028b4086b97b88844"
    first, second = (KeyedRandomness("training", 7, "salt") for _ in range(2))
    assert np.array_equal(first.normal(5), second.normal(5))
    assert not np.array_equal(first.normal(5), first.normal(5))


@pytest.mark.parametrize(
    "labels", [("training", 7), ("training", 7, "sal"), ("training", 7, "salt", ""), ("training7", "salt")]
)
def test_other_labels_give_other_numbers(labels: tuple[str | int, ...]) -> None:
    assert KeyedRandomness(*labels).octets(16) != KeyedRandomness("training", 7, "salt").octets(16)


def test_where_one_label_ends_and_the_next_begins_counts() -> None:
    assert KeyedRandomness("ab", "c").octets(16) != KeyedRandomness("a", "bc").octets(16)


def test_how_the_calls_are_cut_does_not_matter() -> None:
    whole, parts = KeyedRandomness("x"), KeyedRandomness("x")
    assert whole.octets(40) == parts.octets(7) + parts.octets(33)


def test_the_systems_randomness_is_keyed_by_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def urandom(count: int) -> bytes:
        asked.append(count)
        return bytes(count)

    assert OsRandomness().octets(32) != OsRandomness().octets(32)
    monkeypatch.setattr(os, "urandom", urandom)
    assert OsRandomness().octets(32) == OsRandomness().octets(32)
    assert asked == [32, 32]


def test_nothing_shows_the_key() -> None:
    assert vars(OsRandomness()).keys() == {"_stream"}
    assert "0x" in repr(OsRandomness())


@pytest.mark.parametrize("octet", [b"\x00", b"\xff"])
def test_uniforms_lie_strictly_between_0_and_1(octet: bytes) -> None:
    """At the extremes of the generator too: a 1 would be an index past the end, a 0 an infinite normal."""
    (value,) = Scripted(octet).uniform(1)
    assert 0 < value < 1
    assert 0 <= Scripted(octet).integers(10, 1)[0] < 10
    assert np.isfinite(Scripted(octet).normal(2)).all()


def test_a_uniform_is_its_bits_plus_half_a_step_exactly() -> None:
    words = np.frombuffer(KeyedRandomness("bits").octets(8 * MANY), np.uint64) >> np.uint64(12)
    expected = (words.astype(np.float64) + 0.5) * 2.0**-52
    assert np.array_equal(KeyedRandomness("bits").uniform(MANY), expected)


def test_uniforms_are_uniform() -> None:
    assert stats.kstest(KeyedRandomness("uniform").uniform(MANY), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_as_many_normals_as_asked_for(count: int) -> None:
    assert KeyedRandomness("normal").normal(count).shape == (count,)


def test_normals_are_normal_and_their_halves_independent() -> None:
    draws = KeyedRandomness("normal").normal(MANY)
    assert stats.kstest(draws, "norm").pvalue > 1e-3
    assert abs(stats.pearsonr(draws[: MANY // 2], draws[MANY // 2 :]).statistic) < 0.02
    assert np.abs(draws).max() > 4


def test_a_pair_of_normals_is_the_point_that_its_two_uniforms_name() -> None:
    uniforms = KeyedRandomness("pairs").uniform(MANY)
    radius = np.sqrt(-2 * np.log(uniforms[: MANY // 2]))
    angle = 2 * np.pi * uniforms[MANY // 2 :]
    expected = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    assert np.abs(KeyedRandomness("pairs").normal(MANY) - expected).max() < 1e-14


def test_integers_reach_every_value_equally_often() -> None:
    draws = KeyedRandomness("integers").integers(7, MANY)
    assert draws.dtype == np.int64
    assert stats.chisquare(np.bincount(draws, minlength=7)).pvalue > 1e-3
    assert set(draws) == set(range(7))
