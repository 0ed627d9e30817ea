"""The Skellam mechanism's published bounds, against divergences computed from the distribution itself."""

import math
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from opacus.accountants.analysis.rdp import compute_rdp
from scipy.special import ive, logsumexp

from common.privacy.errors import PlanUnsound
from common.privacy.skellam import FLAW, ORDERS, SkellamMechanism, skellam_rdp

PLAIN = SkellamMechanism(2000, 2, 50.0, 24, 1.0, 1)


def log_probabilities(variance: float, shift: int, reach: int) -> NDArray[np.float64]:
    return np.asarray(np.log(ive(np.abs(np.arange(-reach, reach + 1) - shift), variance)))


def divergence(order: int, p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """Rényi's, from logarithms of two distributions."""
    return float(logsumexp(order * p - (order - 1) * q)) / (order - 1)


@pytest.mark.parametrize(("variance", "shifts"), [(4, (1,)), (30, (3, 1)), (30, (-4, 2, 1)), (500, (20, 20))])
def test_the_bound_lies_above_the_exact_divergence(variance: int, shifts: tuple[int, ...]) -> None:
    reach = int(14 * variance**0.5) + 60 + max(map(abs, shifts))
    for order in (2, 3, 5, 8):
        exact = sum(
            divergence(
                order, log_probabilities(variance, 0, reach), log_probabilities(variance, shift, reach)
            )
            for shift in shifts
        )
        norm = math.sqrt(sum(shift**2 for shift in shifts))
        (bound,) = skellam_rdp(np.array([order]), variance, norm, len(shifts))
        assert exact <= bound < 3 * exact


@pytest.mark.parametrize("rate", [0.01, 0.2, 0.9])
@pytest.mark.parametrize(("variance", "shift"), [(60, 6), (4, 1), (9, 4), (200, 10)])
def test_the_sampled_bound_lies_above_the_exact_divergence_both_ways(
    rate: float, variance: int, shift: int
) -> None:
    without, with_ = (log_probabilities(variance, at, int(14 * variance**0.5) + 60) for at in (0, shift))
    mixed = np.logaddexp(math.log(1 - rate) + without, math.log(rate) + with_)
    curve = SkellamMechanism(variance, 1, float(shift), 1, rate, 1).rdp()
    plain = SkellamMechanism(variance, 1, float(shift), 1, 1.0, 1).rdp()
    for order in (2, 3, 5, 8):
        bound = curve[ORDERS.index(order)]
        assert max(divergence(order, mixed, without), divergence(order, without, mixed)) <= bound
        assert bound <= plain[ORDERS.index(order)]
    if rate < 0.5:
        assert curve[0] < 0.5 * plain[0]


@pytest.mark.parametrize("order", [2, 3, 7, 40])
def test_the_sampled_bound_is_the_published_sum(order: int) -> None:
    """Steinke (2022), term by term."""
    q, mechanism = 0.05, replace(PLAIN, sample_rate=0.05)

    def plain(at: int) -> float:
        return float(skellam_rdp(np.array([at]), 4000, 50.0, 24)[0])

    total = (1 - q) ** (order - 1) * (1 + (order - 1) * q)
    for drawn in range(2, order + 1):
        chance = math.comb(order, drawn) * (1 - q) ** (order - drawn) * q**drawn
        total += chance * math.exp((drawn - 1) * plain(drawn))
    wanted = min(plain(order), math.log(total) / (order - 1))
    assert mechanism.rdp()[ORDERS.index(order)] == pytest.approx(wanted, rel=1e-10)


def test_between_mirror_images_the_expanded_direction_is_the_larger() -> None:
    """Mironov, Talwar and Zhang (2019), theorem 5, for a pair of points with densities (1, r) and (r, 1)."""
    for order in (2, 3, 10, 40):
        for q in np.linspace(0.01, 0.99, 25):
            for r in np.exp(np.linspace(-8, 8, 65)):
                here, there = 1 - q + q * r, (1 - q) * r + q
                expanded = here**order + there**order * r ** (1 - order)
                other = here ** (1 - order) + r**order * there ** (1 - order)
                assert expanded >= other * (1 - 1e-12)


def test_sampled_it_is_the_sampled_gaussian_mechanism_once_integers_are_fine() -> None:
    fine = SkellamMechanism(10**10, 2, 1e5, 10**5, 0.1, 1)
    sigma, whole = math.sqrt(2), [order for order in ORDERS if order == int(order)]
    gaussian = compute_rdp(q=0.1, noise_multiplier=sigma, steps=1, orders=whole)
    ours = [fine.rdp()[ORDERS.index(order)] for order in whole]
    assert (np.asarray(ours) >= gaussian * (1 - 1e-9)).all()
    assert np.allclose(ours, gaussian, rtol=2e-3)


def test_the_plain_bound_is_the_published_formula() -> None:
    for order, variance, norm, coordinates in product((2, 5), (3.0, 4000.0), (1.0, 50.0), (1, 24, 10**6)):
        absolute = min(math.sqrt(coordinates) * norm, norm**2)
        published = order * norm**2 / (2 * variance) + min(
            ((2 * order - 1) * norm**2 + 6 * absolute) / (4 * variance**2), 3 * absolute / (2 * variance)
        )
        (ours,) = skellam_rdp(np.array([order]), variance, norm, coordinates)
        assert ours == pytest.approx(published, rel=1e-12)


def test_with_fine_integers_it_is_the_gaussian_mechanism() -> None:
    fine = SkellamMechanism(10**10, 2, 1e5, 10**5, 1.0, 1)
    for order, bound in zip(ORDERS, fine.rdp(), strict=True):
        gaussian = math.ceil(order) * 1e10 / (2 * 2e10)
        assert gaussian <= bound < 1.001 * gaussian


def test_an_order_between_integers_has_the_next_ones_bound() -> None:
    curve = PLAIN.rdp()
    assert curve[ORDERS.index(1.1)] == curve[ORDERS.index(2.0)]
    assert curve[ORDERS.index(2.1)] == curve[ORDERS.index(3.0)]
    assert (np.diff(curve) >= 0).all()


def test_steps_add_up_and_shares_are_one_noise() -> None:
    assert np.allclose(replace(PLAIN, steps=7).rdp(), 7 * PLAIN.rdp(), rtol=1e-15)
    assert np.array_equal(replace(PLAIN, share_variance=4000, shares=1).rdp(), PLAIN.rdp())
    assert PLAIN.alone == replace(PLAIN, shares=1)
    assert PLAIN.variance == 4000 == 2 * PLAIN.alone.variance


def test_what_the_draws_are_off_by_grows_with_steps_and_coordinates() -> None:
    assert replace(PLAIN, steps=3).flaw == 3 * 24 * FLAW


@pytest.mark.parametrize(
    "wrong",
    [
        {"sensitivity": 0.0},
        {"sensitivity": math.inf},
        {"sensitivity": math.nan},
        {"sample_rate": 0.0},
        {"sample_rate": 1.01},
        {"share_variance": 0},
        {"shares": 0},
        {"coordinates": 0},
        {"steps": 0},
        *({name: 10**400} for name in ("share_variance", "shares", "coordinates", "steps")),
    ],
)
def test_a_mechanism_without_a_guarantee_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PlanUnsound):
        replace(PLAIN, **wrong)
