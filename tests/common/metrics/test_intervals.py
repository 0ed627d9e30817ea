"""Bootstrap intervals cover the truth as often as they claim, and repeat."""

import numpy as np
import pytest

from common.errors import DataError
from common.metrics.intervals import bootstrap_interval, bootstrap_means, holm, paired_interval


def test_coverage_is_what_the_level_says() -> None:
    rng, covered, trials = np.random.default_rng(0), 0, 400
    for trial in range(trials):
        found = bootstrap_interval(rng.exponential(1.0, 120), resamples=400, seed=trial)
        covered += found.low <= 1.0 <= found.high
    assert 0.90 <= covered / trials <= 0.98


def test_the_spread_is_the_standard_error() -> None:
    values = np.random.default_rng(1).normal(0.1, 0.3, 1500)
    means = bootstrap_means(values, resamples=4000)
    assert means.std() == pytest.approx(values.std() / np.sqrt(1500), rel=0.05)
    assert means.mean() == pytest.approx(values.mean(), abs=1e-3)


def test_pairing_removes_what_users_have_in_common() -> None:
    rng = np.random.default_rng(2)
    users = rng.normal(0, 1, 500)
    found = paired_interval(users + 0.05 + rng.normal(0, 0.01, 500), users)
    assert 0.045 < found.low < found.mean < found.high < 0.055
    assert found.p < 0.01


def test_no_difference_is_exactly_none() -> None:
    values = np.random.default_rng(3).random(300)
    found = paired_interval(values, values)
    assert (found.mean, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_the_same_seed_repeats_and_another_does_not() -> None:
    values = np.random.default_rng(4).random(200)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)


def test_many_users_are_resampled_in_parts() -> None:
    values = np.random.default_rng(5).random(9000)
    means = bootstrap_means(values, resamples=1000)  # more cells than are held at once
    assert means.shape == (1000,)
    assert len(np.unique(means)) == 1000
    assert means.std() == pytest.approx(values.std() / np.sqrt(9000), rel=0.1)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")]])
def test_no_user_or_nan_is_refused(values: list[float]) -> None:
    with pytest.raises(DataError):
        bootstrap_interval(np.array(values))


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
