"""What a run may spend: the privacy constants a charter fixes before any private row is read."""

import math
from functools import lru_cache
from typing import ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, model_validator

from common.privacy.accountant import Epsilon, Mechanism, epsilon_of, upper_bound
from common.privacy.errors import PlanUnsound

UNIT: Final = "all records of one account on one platform"
ADJACENCY: Final = "add/remove one user"
_DELTA_EXPONENT: Final = 1.1


class PrivacyPlan(BaseModel):
    """User-level DP-SGD of one platform in one run; every value is public and independent of private data.

    ``bucket`` is the declared size class standing in for the private number of users; ``sample_rate`` the probability
    with which each user is drawn per step; ``denominator`` the constant every noisy sum is divided by; ``clip`` the
    L2 norm one user's gradient is clipped to; ``noise_multiplier`` the noise's standard deviation in units of ``clip``.

    Guarantee: if training follows it, ``rounds`` × ``local_steps`` steps are (``epsilon``, ``delta``)-DP per
    :attr:`unit` under :attr:`adjacency`; :meth:`forecast` proves it.
    Refuses: values that are not positive and finite, a rate above 1, δ above bucket^−1.1 (:class:`PlanUnsound`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: ClassVar[str] = UNIT
    adjacency: ClassVar[str] = ADJACENCY

    epsilon: float
    delta: float
    noise_multiplier: float
    sample_rate: float
    denominator: float
    clip: float
    rounds: int
    local_steps: int
    bucket: int

    @model_validator(mode="after")
    def _refuse_unsound(self) -> Self:
        for name, value in self:
            if not 0 < value < math.inf:
                raise PlanUnsound(f"{name} must be positive and finite", where="privacy plan")
        if self.sample_rate > 1:
            raise PlanUnsound("the sample rate is above 1", where="privacy plan", hint="lower expected_batch")
        largest = self.bucket**-_DELTA_EXPONENT
        if self.delta > largest:
            raise PlanUnsound(
                f"δ = {self.delta:g} is too large for {self.bucket} users",
                where="privacy plan",
                why="a mechanism may publish a share δ of the users outright",
                hint=f"use δ ≤ {largest:.1e}",
            )
        return self

    @property
    def per_round(self) -> Mechanism:
        """What one round releases: all its local steps."""
        return Mechanism(self.noise_multiplier, self.sample_rate, self.local_steps)

    @property
    def whole(self) -> Mechanism:
        """What all rounds together release."""
        return Mechanism(self.noise_multiplier, self.sample_rate, self.rounds * self.local_steps)

    def forecast(self) -> Epsilon:
        """ε of the whole plan, from public constants alone.

        Guarantee: the result's ``prv`` does not exceed the plan's ``epsilon``.
        Refuses: a plan that would spend more than it claims (:class:`PlanUnsound`).
        """
        spent = epsilon_of([self.whole], self.delta)
        if spent.prv > self.epsilon:
            raise PlanUnsound(f"spends ε = {spent.prv:.3f}, claims {self.epsilon:g}", where="privacy plan")
        return spent


def draft_plan(
    epsilon: float,
    delta: float,
    bucket: int,
    expected_batch: float,
    rounds: int,
    local_steps: int,
    clip: float,
) -> PrivacyPlan:
    """The plan with the least noise whose PRV ε is at most ``epsilon``; ``expected_batch`` users a step on average.

    Guarantee: ``plan.forecast().prv <= epsilon``; rate and denominator come from ``bucket``, not from the users.
    Refuses: what :class:`PrivacyPlan` refuses, and an ε no noise multiplier up to 10⁴ reaches (:class:`PlanUnsound`).
    """
    shape = PrivacyPlan(
        epsilon=epsilon,
        delta=delta,
        noise_multiplier=1.0,
        sample_rate=expected_batch / bucket if bucket > 0 else math.nan,
        denominator=expected_batch,
        clip=clip,
        rounds=rounds,
        local_steps=local_steps,
        bucket=bucket,
    )
    noise = calibrate(epsilon, delta, shape.sample_rate, shape.whole.steps)
    return shape.model_copy(update={"noise_multiplier": noise})


@lru_cache(maxsize=256)
def calibrate(epsilon: float, delta: float, sample_rate: float, steps: int) -> float:
    """The least noise multiplier, to 0.1 %, at which ``steps`` steps spend at most ``epsilon`` by PRV.

    Guarantee: ``epsilon_of([Mechanism(result, sample_rate, steps)], delta).prv <= epsilon``.
    Refuses: an ε that no noise multiplier up to 10⁴ reaches (:class:`PlanUnsound`).
    """
    high = 1.0
    while upper_bound([Mechanism(high, sample_rate, steps)], delta) > epsilon:
        high *= 2
        if high > 1e4:
            break
    if _prv(high, sample_rate, steps, delta) > epsilon:
        raise PlanUnsound(f"ε = {epsilon:g} at δ = {delta:g} is out of reach", where="privacy plan")
    low = high / 2
    while upper_bound([Mechanism(low, sample_rate, steps)], delta) <= 1.5 * epsilon + 0.1:
        low /= 2
    while high > 1.001 * low:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if _prv(middle, sample_rate, steps, delta) <= epsilon else (middle, high)
    return high


def _prv(noise: float, sample_rate: float, steps: int, delta: float) -> float:
    return epsilon_of([Mechanism(noise, sample_rate, steps)], delta).prv
