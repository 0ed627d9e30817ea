"""The bound against published figures, and how often it is wrong."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from scenarios.privacy_audit.bound import lower_bound, p_value


@pytest.mark.parametrize(
    ("canaries", "guesses", "right", "delta", "published"),
    [
        (1000, 100, 75, 1e-4, 0.673),  # arXiv:2305.08846, appendix D
        (100_000, 1510, 1439, 1e-5, 2.675),  # section 7
    ],
)
def test_the_published_figures_come_out(
    canaries: int, guesses: int, right: int, delta: float, published: float
) -> None:
    assert lower_bound(canaries, guesses, right, delta, 0.95) == pytest.approx(published, abs=1e-3)


def test_a_thousand_perfect_guesses_show_at_most_five_point_eight() -> None:
    # All right with probability (1 + e^−ε)^−1000, which is 0.05 at this ε.
    closed = -np.log(0.05 ** (-1 / 1000) - 1)
    assert lower_bound(1000, 1000, 1000, 0.0, 0.95) == pytest.approx(closed, abs=1e-9)
    assert 5.7 < lower_bound(1000, 1000, 1000, 1e-5, 0.95) < closed < 5.81


def test_guesses_no_better_than_a_coin_show_nothing() -> None:
    assert lower_bound(1000, 1000, 500, 1e-5, 0.95) == 0
    assert lower_bound(1000, 0, 0, 1e-5, 0.95) == 0
    assert p_value(1000, 1000, 0, 0.0, 1e-5) == 1


def test_more_right_guesses_show_more_and_more_delta_or_confidence_less() -> None:
    by_right = [lower_bound(500, 200, right, 1e-5, 0.95) for right in range(110, 201, 10)]
    by_delta = [lower_bound(500, 200, 190, delta, 0.95) for delta in (0, 1e-6, 1e-5, 1e-4, 1e-3)]
    by_confidence = [lower_bound(500, 200, 190, 1e-5, c) for c in (0.5, 0.9, 0.95, 0.99, 0.999)]
    by_canaries = [lower_bound(canaries, 200, 190, 1e-4, 0.95) for canaries in (200, 400, 800)]
    assert by_right == sorted(by_right)
    assert by_right[0] < by_right[-1]
    for falling in (by_delta, by_confidence, by_canaries):
        assert all(later < earlier for earlier, later in pairwise(falling))


@cache
def bound(guesses: int, right: int, delta: float) -> float:
    return lower_bound(guesses, guesses, right, delta, 0.95)


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 1.0, 3.0])
def test_against_randomised_response_the_bound_is_too_high_at_most_once_in_twenty(epsilon: float) -> None:
    # The best that pure ε-DP allows. 4000 audits: 0.05 has a standard error of 0.0034.
    guesses = 400
    right = np.random.default_rng(2023).binomial(guesses, 1 / (1 + np.exp(-epsilon)), 4000)
    too_high = np.mean([bound(guesses, int(v), 0.0) > epsilon for v in right])
    assert 0.02 < too_high < 0.05 + 3 * 0.0034


def test_delta_is_paid_for() -> None:
    # Each coin is told outright with probability δ, and otherwise nothing: (0, δ)-DP.
    guesses, delta = 200, 0.1
    right = np.random.default_rng(2023).binomial(guesses, 0.5 + delta / 2, 2000)
    assert np.mean([bound(guesses, int(v), delta) > 0 for v in right]) <= 0.05
    assert np.mean([bound(guesses, int(v), 0.0) > 0 for v in right]) > 0.2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((10, 5, 6, 1e-5, 0.95), "6 right of 5"),
        ((10, 11, 6, 1e-5, 0.95), "6 right of 11 guesses on 10"),
        ((10, 5, -1, 1e-5, 0.95), "-1 right"),
        ((10, 5, 5, 1.5, 0.95), "δ lie in"),
        ((10, 5, 5, 1e-5, 1.0), "confidence"),
    ],
)
def test_what_is_no_audit_is_refused(arguments: tuple[int, int, int, float, float], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        lower_bound(*arguments)
