"""Poisson sampling: every user alone, at the rate that is accounted."""

import math

import numpy as np
import pytest

from common.privacy.errors import PlanUnsound
from common.privacy.sampling import poisson_sample
from common.randomness import KeyedRandomness, OsRandomness


def test_each_user_is_drawn_at_the_rate_and_alone() -> None:
    population, rate, draws = 40, 0.2, 4000
    drawn = np.zeros((draws, population))
    randomness = KeyedRandomness("poisson", 1)
    for row in drawn:
        row[poisson_sample(population, rate, randomness)] = 1
    deviation = math.sqrt(rate * (1 - rate) / draws)
    assert np.abs(drawn.mean(axis=0) - rate).max() < 5 * deviation
    correlation = np.corrcoef(drawn.T)
    assert np.abs(correlation[~np.eye(population, dtype=bool)]).max() < 6 / math.sqrt(draws)
    # Batches of a fixed size would have variance 0; independent draws have n q (1 − q).
    assert drawn.sum(axis=1).var() == pytest.approx(population * rate * (1 - rate), rel=0.15)


def test_indices_ascend_and_may_be_none_at_all() -> None:
    chosen = poisson_sample(1000, 0.5, OsRandomness())
    assert chosen.dtype == np.int64
    assert (np.diff(chosen) > 0).all()
    assert poisson_sample(5, 1e-12, KeyedRandomness("rare")).size == 0
    assert poisson_sample(0, 0.5, OsRandomness()).size == 0


def test_a_rate_of_one_draws_everybody() -> None:
    assert poisson_sample(7, 1.0, OsRandomness()).tolist() == list(range(7))


def test_a_key_repeats_and_the_operating_system_does_not() -> None:
    keyed = [poisson_sample(400, 0.5, KeyedRandomness("s", 3)).tolist() for _ in range(2)]
    assert keyed[0] == keyed[1]
    assert (
        poisson_sample(400, 0.5, OsRandomness()).tolist() != poisson_sample(400, 0.5, OsRandomness()).tolist()
    )


@pytest.mark.parametrize(
    ("population", "rate"), [(10, 0.0), (10, 1.5), (10, -0.1), (10, math.nan), (-1, 0.5)]
)
def test_impossible_draws_are_refused(population: int, rate: float) -> None:
    with pytest.raises(PlanUnsound):
        poisson_sample(population, rate, OsRandomness())
