"""A sum of metrics that one user moves by one at most, and the figures that its noisy version gives."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.evaluation import METRICS, SIZE, SYSTEMS, MetricsTerms, ReleasedMetrics, packed
from common.privacy.accountant import Mechanism

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


def rows(count: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(size=(count, SIZE - 1))


@given(st.lists(NUMBERS, min_size=SIZE - 1, max_size=SIZE - 1))
def test_whatever_one_user_brings_moves_the_sum_by_one_at_most(one: list[float]) -> None:
    others = rows(5)
    moved = packed(np.vstack([others, one])) - packed(others)
    assert np.linalg.norm(moved) <= 1 + 1e-9


def test_a_perfectly_served_user_moves_it_by_exactly_one() -> None:
    """The bound is used up: less noise would not do."""
    moved = packed(np.ones((1, SIZE - 1)))
    assert np.linalg.norm(moved) == pytest.approx(1)


def test_without_noise_the_figures_are_the_means() -> None:
    values = rows(200)
    found = ReleasedMetrics.of(packed(values), 0.0)
    assert found.users == pytest.approx(200)
    means = np.array([[found.means[system][metric] for metric in METRICS] for system in SYSTEMS])
    assert np.allclose(means.ravel(), values.mean(axis=0))
    assert all(error == 0 for by_metric in found.errors.values() for error in by_metric.values())


def test_the_errors_are_the_spread_that_the_noise_gives() -> None:
    """Over a thousand draws of the noise, to first order."""
    exact, noise, draw = packed(rows(5000)), 20.0, np.random.default_rng(1)
    found = [ReleasedMetrics.of(exact + noise * draw.normal(size=SIZE), noise) for _ in range(1000)]
    for system in SYSTEMS:
        for metric in METRICS:
            spread = np.std([one.means[system][metric] for one in found])
            told = np.mean([one.errors[system][metric] for one in found])
            assert spread == pytest.approx(told, rel=0.1)


@pytest.mark.parametrize("users", [-40.0, 0.0, 9.0])
def test_too_few_users_give_no_figure(users: float) -> None:
    total = np.full(SIZE, users / math.sqrt(SIZE))
    found = ReleasedMetrics.of(total, 1.0)
    assert (found.means, found.errors) == ({}, {})
    assert found.users == pytest.approx(users)


def test_what_is_charged_is_one_gaussian_sum_over_everybody() -> None:
    assert MetricsTerms(noise_multiplier=4.0).mechanism == Mechanism(4.0, 1.0, 1)
    assert MetricsTerms(noise_multiplier=None).mechanism is None
    assert MetricsTerms(noise_multiplier=4.0).ring_clip(100) == 132
