"""ε against a closed form, another library's figures, and what three accountants must agree on."""

import ast
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
from dp_accounting.pld import PLDAccountant
from hypothesis import given, settings
from hypothesis import strategies as st
from opacus.accountants import RDPAccountant
from opacus.accountants.analysis import gdp
from scipy.optimize import brentq
from scipy.stats import norm

from common.privacy import accountant
from common.privacy.accountant import Mechanism, epsilon_of, joint_epsilon, prv_of, upper_bound
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
    assert spent.pld == pytest.approx(pld, abs=0.001)
    assert pld <= spent.prv <= 1.02 * pld + 0.02
    assert spent.rdp >= spent.prv - 0.01


@pytest.mark.parametrize(
    "history", [PLD[0][0], PLD[8][0], [(30.0, 0.02, 200), (2.0, 1.0, 1), (1.0, 0.25, 4)]]
)
def test_pld_is_the_record_accountants(history: list[tuple[float, float, int]]) -> None:
    """dp-accounting's own accountant on a mesh ten times finer; at a rate of 1 without any sampling."""
    record = PLDAccountant()
    for noise, rate, steps in history:
        step = GaussianDpEvent(noise) if rate == 1 else PoissonSampledDpEvent(rate, GaussianDpEvent(noise))
        record.compose(SelfComposedDpEvent(step, steps))
    ours = epsilon_of([Mechanism(*mechanism) for mechanism in history], DELTA).pld
    assert ours == pytest.approx(record.get_epsilon(DELTA), abs=0.002)


@pytest.mark.parametrize("delta", [1e-10, 1e-5])
def test_the_accountants_agree_over_a_grid(delta: float) -> None:
    """From one step of hardly any loss to thousands; PRV lies above PLD by its own error, and never below."""
    for noise, rate, steps in product((0.7, 1.5, 20.0), (0.003, 0.06, 1.0), (1, 30, 900)):
        history = [Mechanism(noise, rate, steps), Mechanism(8.0, 1.0, 1)][: 1 + steps % 2]
        if upper_bound(history, delta) < 40:
            spent = epsilon_of(history, delta)
            assert spent.pld - 0.001 <= spent.prv <= 1.02 * spent.pld + 0.02, history
            assert spent.prv <= spent.rdp + 0.01, history


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
    assert epsilon_of([], DELTA) == accountant.Epsilon(0.0, 0.0, 0.0, DELTA)
    assert upper_bound([], DELTA) == prv_of([], DELTA) == 0.0


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


@pytest.mark.parametrize(
    ("faulty", "says", "told"),
    [
        ("_prv", 9.0, "RDP gives"),
        ("_prv", 7.7, "PLD gives"),
        ("_prv", 8.3, "PLD gives"),
        ("_prv", math.nan, "RDP gives"),
        ("_pld", 7.6, "PLD gives ε = 7.6"),
        ("_pld", 8.3, "PLD gives ε = 8.3"),
        ("_pld", math.nan, "PLD gives ε = nan"),
        ("_rdp", 8.0, "RDP gives ε = 8.0"),
        ("_rdp", math.nan, "RDP gives ε = nan"),
    ],
)
def test_one_accountant_that_is_wrong_stops_everything(
    faulty: str, says: float, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The true figures are PRV 8.014, PLD 8.003, RDP 8.858."""
    monkeypatch.setattr(accountant, faulty, lambda *_: says)
    with pytest.raises(AccountantsDisagree, match=told) as refused:
        epsilon_of([Mechanism(1.0, RATE, 295)], DELTA)
    assert refused.value.exit_code == 3


def test_differences_within_the_rule_are_no_disagreement(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, says in (("_pld", 7.85), ("_pld", 8.19), ("_rdp", 8.005)):
        with monkeypatch.context() as patched:
            patched.setattr(accountant, name, lambda *_, says=says: says)
            assert epsilon_of([Mechanism(1.0, RATE, 295)], DELTA).prv == pytest.approx(8.0136, abs=0.001)


def test_the_central_limit_would_claim_less_than_is_spent() -> None:
    """Why there is no such accountant here: its figure is no bound, and others' figures say by how much."""
    claimed = gdp.compute_eps_poisson(steps=295, noise_multiplier=1.0, sample_rate=RATE, delta=DELTA)
    assert claimed == pytest.approx(7.21, abs=0.01)
    assert claimed < 0.91 * epsilon_of([Mechanism(1.0, RATE, 295)], DELTA).pld


ROOT = Path(__file__).parents[3]


def imported(at_import: bool) -> Iterator[tuple[str, str]]:
    """(file, dotted name) of every import in the sources; with ``at_import`` those of module level alone."""
    for path in (
        path for part in ("common", "clients", "server", "scenarios") for path in (ROOT / part).rglob("*.py")
    ):
        tree = ast.parse(path.read_text())
        for node in tree.body if at_import else ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from ((path.name, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((path.name, f"{node.module}.{alias.name}") for alias in node.names)


def test_no_source_uses_a_central_limit_accountant() -> None:
    names = dict.fromkeys(name for _, name in imported(at_import=False))
    assert "opacus.accountants.PRVAccountant" in names
    forbidden = ("gdp", "gaussianaccountant", "create_accountant", "privacyengine")
    assert [name for name in names if any(word in name.lower() for word in forbidden)] == []


def test_pld_is_loaded_where_a_figure_is_stated_and_not_before() -> None:
    assert ("pld.py", "dp_accounting.pld.privacy_loss_distribution.from_gaussian_mechanism") in set(
        imported(at_import=False)
    )
    assert [file for file, name in imported(at_import=True) if name.startswith("dp_accounting")] == []


def test_a_search_and_a_bound_ask_no_second_opinion(monkeypatch: pytest.MonkeyPatch) -> None:
    history = [Mechanism(1.0, RATE, 295)]
    figure = epsilon_of(history, DELTA).prv
    monkeypatch.setattr(accountant, "_pld", lambda *_: pytest.fail("PLD was asked"))
    assert prv_of(history, DELTA) == figure < upper_bound(history, DELTA)


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
        (1, 0.1, 10**400),
    ],
)
def test_a_mechanism_without_a_guarantee_is_refused(values: tuple[Any, ...]) -> None:
    with pytest.raises(PlanUnsound):
        Mechanism(*values)


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-5, math.nan, 9e-11])
def test_an_impossible_delta_is_refused(delta: float) -> None:
    for account in (epsilon_of, prv_of, upper_bound):
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
