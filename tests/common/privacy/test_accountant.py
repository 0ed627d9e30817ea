"""ε against a closed form, another library's figures, and the two accountants' own order."""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opacus.accountants import RDPAccountant
from scipy.optimize import brentq
from scipy.stats import norm

from common.privacy import accountant
from common.privacy.accountant import Mechanism, epsilon_of, joint_epsilon, upper_bound
from common.privacy.errors import AccountantsDisagree, PlanUnsound

DELTA = 1e-5
RATE = 64 / 943

# (history, ε by PLD of dp-accounting 0.6.0 with add-or-remove-one neighbours, δ = 1e-5)
PLD = [
    ([(1.0, RATE, 295)], 8.0032),
    ([(4.54, RATE, 295)], 0.9885),
    ([(1.26, 0.0256, 782)], 2.9760),
    ([(0.59, 0.01024, 977)], 7.9288),
    ([(1.0, 0.9, 10)], 16.5255),
    ([(0.7, 0.7, 1)], 6.1778),
    ([(3.0, 0.5, 80)], 7.3622),
    ([(1.0, 1.0, 3)], 8.3854),
    ([(0.8, 0.125, 80), (5.0, 1.0, 3)], 12.3655),
]


@pytest.mark.parametrize(("history", "pld"), PLD)
def test_prv_agrees_with_pld(history: list[tuple[float, float, int]], pld: float) -> None:
    spent = epsilon_of([Mechanism(*mechanism) for mechanism in history], DELTA)
    assert pld <= spent.prv <= 1.02 * pld + 0.02
    assert spent.rdp >= spent.prv - 0.01


@pytest.mark.parametrize(("noise", "steps"), [(1.0, 1), (5.0, 1), (5.0, 30), (40.0, 100), (0.045, 1)])
def test_prv_agrees_with_the_closed_form_of_the_gaussian_mechanism(noise: float, steps: int) -> None:
    """Balle and Wang (2018), theorem 8; n Gaussians compose to one of σ/√n."""
    sigma = noise / math.sqrt(steps)

    def excess(epsilon: float) -> float:
        near, far = 1 / (2 * sigma), epsilon * sigma
        return float(norm.cdf(near - far) - math.exp(epsilon) * norm.cdf(-near - far)) - DELTA

    exact = brentq(excess, 0.0, 600.0)
    assert exact <= epsilon_of([Mechanism(noise, 1.0, steps)], DELTA).prv <= exact + 0.025


def test_rdp_is_the_record_accountants() -> None:
    history = [(1.5, 0.1, 40), (3.0, 1.0, 2)]
    record = RDPAccountant()
    record.history = history
    ours = upper_bound([Mechanism(*mechanism) for mechanism in history], DELTA)
    assert ours == pytest.approx(record.get_epsilon(DELTA), rel=1e-12)


def test_rounds_compose_instead_of_adding_up() -> None:
    one, ten = (epsilon_of([Mechanism(1.5, RATE, steps)], DELTA).prv for steps in (10, 100))
    assert one < ten < 10 * one
    assert epsilon_of([Mechanism(1.5, RATE, 10)] * 10, DELTA).prv == ten


def test_an_account_on_three_platforms_composes() -> None:
    history = [Mechanism(1.0, RATE, 295)]
    alone, joint = epsilon_of(history, DELTA), joint_epsilon([history] * 3, DELTA)
    assert joint == epsilon_of(history * 3, DELTA)
    assert 14.0 < joint.prv < 15.2 < 3 * alone.prv


def test_nothing_released_costs_nothing() -> None:
    assert epsilon_of([], DELTA).prv == upper_bound([], DELTA) == 0.0


def test_prv_is_computed_once_however_the_history_is_ordered(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    class Counting(accountant.PRVAccountant):  # type: ignore[misc]  # the record library is untyped
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(accountant, "PRVAccountant", Counting)
    first, second = Mechanism(2.125, 0.2, 3), Mechanism(4.125, 0.2, 5)
    figures = {
        epsilon_of(history, DELTA)
        for history in ([first, second], [second, first], [first, *[Mechanism(4.125, 0.2, 1)] * 5])
    }
    assert len(made) == len(figures) == 1


def test_contradicting_accountants_stop_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accountant, "_prv", lambda *_: 9.0)
    with pytest.raises(AccountantsDisagree) as refused:
        epsilon_of([Mechanism(1.0, RATE, 295)], DELTA)
    assert refused.value.exit_code == 3


@pytest.mark.parametrize(
    "values",
    [
        (0, 0.1, 1),
        (-1, 0.1, 1),
        (math.nan, 0.1, 1),
        (math.inf, 0.1, 1),
        (1, 0, 1),
        (1, 1.01, 1),
        (1, math.nan, 1),
        (1, 0.1, 0),
    ],
)
def test_a_mechanism_without_a_guarantee_is_refused(values: tuple[Any, ...]) -> None:
    with pytest.raises(PlanUnsound):
        Mechanism(*values)


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-5, math.nan, 9e-11])
def test_an_impossible_delta_is_refused(delta: float) -> None:
    for account in (epsilon_of, upper_bound):
        with pytest.raises(PlanUnsound):
            account([Mechanism(1.0, 0.1, 1)], delta)


def test_prv_still_agrees_with_pld_at_the_smallest_delta() -> None:
    """At δ = 1e-13 the same history gives 16.63 by PRV and 16.88 by PLD: hence the smallest δ."""
    assert 13.4317 <= epsilon_of([Mechanism(0.6, 0.01, 977)], 1e-10).prv <= 13.4617


@pytest.mark.parametrize(
    "mechanism", [(0.01, 0.01, 1), (0.03, 1.0, 1), (0.02, 0.5, 10**6), (1.0, 1e-9, 10**9)]
)
def test_a_loss_beyond_prv_is_refused(mechanism: tuple[float, float, int]) -> None:
    """The first spends some 5,500; PRV overflows and would say 705. The last two would fill the memory."""
    with pytest.raises(PlanUnsound, match="too large"):
        epsilon_of([Mechanism(*mechanism)], DELTA)


def test_threads_may_account_at_once() -> None:
    with ThreadPoolExecutor(8) as threads:
        spent = threads.map(lambda noise: epsilon_of([Mechanism(noise, 1.0, 1)], DELTA).prv, range(30, 46))
    assert all(0.01 < epsilon < 0.2 for epsilon in spent)


@settings(max_examples=8, deadline=None)
@given(noise=st.floats(0.8, 20), rate=st.floats(0.001, 1), steps=st.integers(1, 60))
def test_prv_stays_below_rdp_and_grows_with_steps(noise: float, rate: float, steps: int) -> None:
    fewer, more = (epsilon_of([Mechanism(noise, rate, count)], DELTA) for count in (steps, 2 * steps))
    assert fewer.prv - 0.01 <= fewer.rdp
    assert fewer.prv <= more.prv + 0.001
