"""Plans of shared noise: what they state, what they refuse, and that every sum holds enough."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from common.privacy.accountant import Mechanism, epsilon_of, upper_bound
from common.privacy.errors import PlanUnsound
from common.privacy.noise import LARGEST_VARIANCE
from common.privacy.plan import Plan
from common.privacy.shared import SharedNoisePlan, draft_shared, if_aggregation_fails, integer_sensitivity
from common.privacy.skellam import SkellamMechanism
from common.secagg.terms import fewest_platforms

CONSTANTS = Plan(
    epsilon=3.0,
    delta=1e-5,
    sample_rate=0.1,
    denominator=50.0,
    clip=1.0,
    rounds=20,
    local_steps=1,
    bucket=500,
)
NORM = integer_sensitivity(1 / 50, 1.0, 8.0, 1 << 21, 1000)


def drafted(**changes: Any) -> SharedNoisePlan:
    constants = CONSTANTS.model_copy(update=changes)
    return draft_shared({"salt": constants}, {"salt": NORM}, 1000, 2)["salt"]


def test_it_spends_what_it_claims_and_little_less() -> None:
    plan = drafted()
    spent = plan.forecast()
    assert 0.99 * 3.0 < spent.prv <= 3.0
    assert spent.by == "RDP"
    assert spent.prv == spent.rdp == upper_bound([plan.whole], 1e-5)
    assert plan.whole == replace(plan.per_round, steps=20)


def test_it_states_what_is_left_if_aggregation_fails() -> None:
    plan = drafted()
    alone = if_aggregation_fails([plan.whole], 1e-5)
    assert alone == epsilon_of([replace(plan.whole, shares=1)], 1e-5).prv
    assert plan.epsilon < alone <= plan.epsilon_alone < alone + 0.001
    with pytest.raises(PlanUnsound, match="without aggregation spends"):
        plan.model_copy(update={"epsilon_alone": alone - 0.01}).forecast()


def test_what_is_released_besides_training_counts_in_both_figures() -> None:
    plan, statistics = drafted(), Mechanism(4.0, 1.0, 1)
    assert plan.forecast([Mechanism(1e4, 1.0, 1)]).prv <= 3.0
    with pytest.raises(PlanUnsound, match="claims 3"):
        plan.forecast([statistics])
    rich = plan.model_copy(update={"epsilon": 10.0})
    with pytest.raises(PlanUnsound, match="without aggregation"):
        rich.forecast([statistics])


def test_a_figure_of_no_use_is_infinite() -> None:
    assert if_aggregation_fails([SkellamMechanism(10, 10**6, 50.0, 10**6, 1.0, 100)], 1e-5) == math.inf
    assert (
        if_aggregation_fails([Mechanism(4.0, 1.0, 1)], 1e-5) == epsilon_of([Mechanism(4.0, 1.0, 1)], 1e-5).prv
    )


def test_a_plan_that_spends_more_than_it_claims_is_refused() -> None:
    plan = drafted()
    with pytest.raises(PlanUnsound, match="claims"):
        plan.model_copy(update={"share_variance": int(0.9 * plan.share_variance)}).forecast()


@pytest.mark.parametrize("steps", [2, 5])
def test_two_local_steps_are_refused_with_the_reason(steps: int) -> None:
    with pytest.raises(PlanUnsound, match="one share of the noise alone"):
        SharedNoisePlan(**{**drafted().model_dump(), "local_steps": steps})


def test_a_share_that_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(PlanUnsound, match="too large to draw"):
        SharedNoisePlan(**{**drafted().model_dump(), "share_variance": LARGEST_VARIANCE + 1})
    with pytest.raises(PlanUnsound, match="no share"):
        drafted(epsilon=1e-4)


def test_one_share_serves_the_platform_that_needs_most() -> None:
    small = CONSTANTS.model_copy(update={"sample_rate": 0.5, "epsilon": 1.0})
    plans = draft_shared({"salt": CONSTANTS, "amber": small}, {"salt": NORM, "amber": NORM}, 1000, 2)
    assert len({plan.share_variance for plan in plans.values()}) == 1
    assert 0.99 < plans["amber"].forecast().prv <= 1.0
    assert plans["salt"].forecast().prv < 1.0


def test_every_admitted_number_of_survivors_has_the_noise_that_is_claimed() -> None:
    """All cohorts of up to 40, all numbers of colluders and all drop-outs that leave max(t, n_min)."""
    plan, seen = drafted(), 0
    for colluders in range(12):
        n_min = fewest_platforms(colluders)
        shares = n_min - colluders
        for cohort in range(n_min, 41):
            least = max((cohort + colluders) // 2 + 1, n_min)
            for survivors in range(least, cohort + 1):
                honest = (survivors - colluders) * plan.share_variance
                assert honest >= SkellamMechanism(plan.share_variance, shares, 1.0, 1, 1.0, 1).variance
                seen += 1
    assert seen > 3000


@pytest.mark.parametrize("bits", [0, 1])
def test_no_user_moves_the_integers_further_than_the_sensitivity(bits: int) -> None:
    """Coordinates just under and just over a unit, which rounding moves apart; in float32 as they are sent."""
    draw = np.random.default_rng(5)
    top, clip, weight, size = 1 << 21, 0.25, 0.75, 4000
    bound = integer_sensitivity(0.01, weight, clip, top, size)
    sizes = []
    for _ in range(50):
        user = draw.normal(size=size)
        user *= 0.01 / np.linalg.norm(user)
        before = draw.uniform(-0.2, 0.2, size)
        dither = draw.uniform(size=size) * bits
        after, before = (
            x.astype(np.float32) * (weight * top / clip) + dither for x in (before + user, before)
        )
        sizes.append(np.linalg.norm(np.floor(after) - np.floor(before)))
    assert max(sizes) <= bound
    assert bound < 1.02 * 0.01 * weight * top / clip


def test_fine_units_cost_nothing_against_the_gaussian_bound() -> None:
    """Without sampling, which Gaussian noise is amplified better by, a thousandth more noise than RDP asks for."""
    plan = drafted(sample_rate=1.0)
    gaussian = upper_bound([Mechanism(plan.whole.noise_multiplier, 1.0, 20)], 1e-5)
    assert gaussian <= plan.forecast().prv < 1.02 * gaussian


def test_flaws_of_the_draw_that_would_pass_delta_are_refused() -> None:
    loud = SkellamMechanism(10, 1, 50.0, 10**6, 1.0, 100)
    assert math.isfinite(loud.rdp()[0])
    with pytest.raises(PlanUnsound, match="finely"):
        upper_bound([loud], 1e-5)


def test_gaussian_rows_and_skellam_rows_compose_by_rdp() -> None:
    plan, other = drafted(), Mechanism(5.0, 0.1, 20)
    both = epsilon_of([plan.whole, other], 1e-5)
    assert both.by == "RDP"
    assert max(plan.forecast().prv, epsilon_of([other], 1e-5).rdp) < both.prv
    assert both.prv < plan.forecast().prv + epsilon_of([other], 1e-5).rdp
