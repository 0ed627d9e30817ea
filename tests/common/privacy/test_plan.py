"""Plans: the noise table, what is refused, and that a plan survives being written down."""

import math
from typing import Any

import pytest
from pydantic import ValidationError

from common.privacy import accountant
from common.privacy.accountant import Mechanism, epsilon_of
from common.privacy.errors import AccountantsDisagree, PlanUnsound
from common.privacy.plan import PrivacyPlan, calibrate, draft_plan, rounds_within

# users, expected batch, epochs → noise multiplier for ε = 1, 3, 8 at δ = 1e-5
NOISE = [
    (943, 64, 20, (4.54, 1.85, 1.00)),
    (10_000, 256, 20, (2.84, 1.26, 0.78)),
    (100_000, 1024, 10, (1.44, 0.82, 0.59)),
]
SOUND: dict[str, Any] = {
    "epsilon": 8.0,
    "delta": 1e-5,
    "noise_multiplier": 1.0,
    "sample_rate": 0.125,
    "denominator": 256.0,
    "clip": 0.5,
    "rounds": 10,
    "local_steps": 8,
    "bucket": 2048,
}


@pytest.mark.parametrize(("users", "batch", "epochs", "noise"), NOISE)
def test_noise_for_three_epsilons(users: int, batch: int, epochs: int, noise: tuple[float, ...]) -> None:
    steps = math.ceil(epochs * users / batch)
    for epsilon, expected in zip((1.0, 3.0, 8.0), noise, strict=True):
        assert calibrate(epsilon, 1e-5, batch / users, steps) == pytest.approx(expected, rel=0.02)


def test_a_calibrated_noise_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(accountant, "_pld", lambda *history: asked.append(history) or 2.99)
    calibrate(3.0, 1e-5, 0.11, 21)
    assert len(asked) == 1
    monkeypatch.setattr(accountant, "_pld", lambda *_: 2.8)
    with pytest.raises(AccountantsDisagree):
        calibrate(3.0, 1e-5, 0.11, 22)


def test_a_drafted_plan_spends_what_it_says_and_hardly_less() -> None:
    plan = draft_plan(8.0, 1e-5, bucket=2048, expected_batch=256, rounds=10, local_steps=8, clip=0.5)
    assert (plan.sample_rate, plan.denominator) == (0.125, 256)
    assert 7.95 < plan.forecast().prv <= 8.0
    assert epsilon_of([plan.per_round] * plan.rounds, plan.delta) == plan.forecast()


@pytest.mark.parametrize("epsilon", [0.05, 0.3, 40.0])
def test_drafts_reach_far_epsilons(epsilon: float) -> None:
    noise = calibrate(epsilon, 1e-5, 0.1, 20)
    assert calibrate(epsilon, 1e-5, 0.1, 20) == noise
    assert (
        PrivacyPlan(
            **{
                **SOUND,
                "noise_multiplier": noise,
                "sample_rate": 0.1,
                "rounds": 1,
                "local_steps": 20,
                "epsilon": epsilon,
            }
        )
        .forecast()
        .prv
        >= 0.98 * epsilon
    )


def test_a_plan_says_its_unit() -> None:
    plan = PrivacyPlan(**SOUND)
    assert plan.unit == "all records of one account on one platform"
    assert plan.adjacency == "add/remove one user"


def test_a_plan_survives_json_bit_for_bit() -> None:
    plan = PrivacyPlan(**{**SOUND, "noise_multiplier": 0.1 + 0.2})
    assert PrivacyPlan.model_validate_json(plan.model_dump_json()) == plan


def test_a_plan_that_understates_its_spending_is_refused() -> None:
    with pytest.raises(PlanUnsound, match="claims 1"):
        PrivacyPlan(**{**SOUND, "epsilon": 1.0}).forecast()


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("value", [0, -1])
def test_values_that_are_not_positive_are_refused(name: str, value: int) -> None:
    with pytest.raises(PlanUnsound, match=name):
        PrivacyPlan(**{**SOUND, name: value})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sample_rate": 1.001}, "above 1"),
        ({"delta": 2.4e-4}, "δ"),
        ({"noise_multiplier": math.nan}, "noise_multiplier"),
        ({"epsilon": math.inf}, "epsilon"),
    ],
)
def test_unsound_values_are_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(PlanUnsound, match=reason) as refused:
        PrivacyPlan(**{**SOUND, **change})
    assert refused.value.exit_code == 3


def test_the_largest_delta_is_accepted() -> None:
    assert PrivacyPlan(**{**SOUND, "delta": 2048**-1.1}).delta == 2048**-1.1


def test_an_unknown_key_is_no_plan() -> None:
    with pytest.raises(ValidationError, match="sample_size"):
        PrivacyPlan(**SOUND, sample_size=64)


@pytest.mark.parametrize(
    ("epsilon", "bucket", "batch"), [(8.0, 0, 64), (8.0, 100, 200), (1e-4, 2048, 256), (0.0, 2048, 256)]
)
def test_drafts_without_a_sound_plan_are_refused(epsilon: float, bucket: int, batch: float) -> None:
    with pytest.raises(PlanUnsound):
        draft_plan(epsilon, 1e-5, bucket, batch, rounds=2, local_steps=2, clip=1.0)


@pytest.mark.parametrize("rounds", [1, 6, 13])
def test_rounds_that_fit_are_those_the_figure_allows(rounds: int) -> None:
    one, past = Mechanism(1.0, 0.125, 8), [Mechanism(2.0, 1.0, 1)]
    ceiling = epsilon_of([*past, *[one] * rounds], 1e-5).prv
    assert rounds_within(ceiling, 1e-5, past, one) == rounds
    assert rounds_within(0.999 * ceiling, 1e-5, past, one) == rounds - 1


def test_no_round_fits_where_nothing_is_left() -> None:
    one = Mechanism(1.0, 0.125, 8)
    assert rounds_within(0.5, 1e-5, [one], one) == 0
    assert rounds_within(1.0, 1e-5, [], Mechanism(0.01, 1.0, 1)) == 0


def test_beside_another_release_a_plan_carries_more_noise_and_keeps_its_claim() -> None:
    plan = draft_plan(3.0, 1e-5, 2048, 256, 4, 3, 1.0)
    statistics = (Mechanism(4.0, 1.0, 1),)
    with pytest.raises(PlanUnsound, match="claims 3"):
        plan.forecast(statistics)
    beside = plan.beside(statistics)
    assert 2.9 < beside.forecast(statistics).prv <= 3.0
    assert beside.noise_multiplier > plan.noise_multiplier
    assert plan.beside(()) is plan


def test_beside_releases_that_take_all_there_is_no_plan() -> None:
    with pytest.raises(PlanUnsound, match="no noise gives"):
        draft_plan(1.0, 1e-5, 2048, 256, 4, 3, 1.0).beside((Mechanism(3.0, 1.0, 1),))
