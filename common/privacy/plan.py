"""What a run may spend: the privacy constants a charter fixes before any private row is read."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, model_validator
from scipy.optimize import brentq

from common.privacy.accountant import AnyMechanism, Epsilon, Mechanism, epsilon_of, prv_of, upper_bound
from common.privacy.errors import PlanUnsound

_PRECISION: Final = 1e-3  # relative, of a calibrated noise multiplier
_STRIDE: Final = 0.2  # in log noise
_LOG_NOISE_RANGE: Final = (-4.0, 10.0)
_MOST_ROUNDS: Final = 1 << 20


class Plan(BaseModel):
    """What plans of either mode say of one platform; every value is public and independent of private data.

    ``bucket`` is the declared size class that stands in for the private number of users; ``sample_rate`` the
    probability with which each user is drawn in a step; ``denominator`` the constant every sum is divided by;
    ``clip`` the L2 norm a user's gradient is clipped to.

    Guarantee: none by itself.
    Refuses: values that are not positive and finite, a rate above 1, a δ above bucket^−1.1
    (:class:`PlanUnsound`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: ClassVar[str] = "all records of one account on one platform"
    adjacency: ClassVar[str] = "add/remove one user"

    epsilon: float
    delta: float
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
        if self.delta > largest_delta(self.bucket):
            raise PlanUnsound(
                f"δ = {self.delta:g} is too large for {self.bucket} users",
                where="privacy plan",
                why="a mechanism may expose a share δ of the users entirely",
                hint=f"use a δ of at most {largest_delta(self.bucket):.1e}",
            )
        return self


class PrivacyPlan(Plan):
    """User-level DP-SGD of one platform in one run, all of its noise the platform's own.

    ``noise_multiplier``: the noise's standard deviation in units of ``clip``.

    Guarantee: training that follows it for ``rounds`` × ``local_steps`` steps is (``epsilon``, ``delta``)-DP
    for one :attr:`unit` under :attr:`adjacency`, once :meth:`forecast` has accepted it.
    Refuses: what :class:`Plan` refuses.
    """

    noise_multiplier: float

    @property
    def per_round(self) -> Mechanism:
        """What one round releases: all its local steps."""
        return Mechanism(self.noise_multiplier, self.sample_rate, self.local_steps)

    @property
    def whole(self) -> Mechanism:
        """What all rounds together release."""
        return Mechanism(self.noise_multiplier, self.sample_rate, self.rounds * self.local_steps)

    def forecast(self, besides: Iterable[AnyMechanism] = ()) -> Epsilon:
        """ε of the whole plan and of what is released ``besides`` training, from public constants alone.

        Guarantee: the result's ``prv`` is that of the composed releases, and at most the plan's ``epsilon``.
        Refuses: a plan that would spend more than it claims (:class:`PlanUnsound`).
        """
        spent = epsilon_of([self.whole, *besides], self.delta)
        if not spent.prv <= self.epsilon:
            raise PlanUnsound(f"spends ε = {spent.prv:.3f}, claims {self.epsilon:g}", where="privacy plan")
        return spent

    def beside(self, others: tuple[Mechanism, ...]) -> Self:
        """The same plan with the least noise at which it and ``others`` together spend at most its ``epsilon``.

        Guarantee: :meth:`forecast` accepts it with ``others``.
        Refuses: what :func:`calibrate` refuses, others that alone spend ``epsilon`` first of all
        (:class:`PlanUnsound`).
        """
        if not others:
            return self
        noise = calibrate(self.epsilon, self.delta, self.sample_rate, self.whole.steps, others)
        return self.model_copy(update={"noise_multiplier": noise})


def largest_delta(bucket: int) -> float:
    """bucket^−1.1: above it a mechanism could expose somebody outright and still keep its promise.

    Guarantee: less than one person in ``bucket`` is expected to be exposed.
    Refuses: nothing.
    """
    return float(bucket**-1.1)


def draft_plan(
    epsilon: float,
    delta: float,
    bucket: int,
    expected_batch: float,
    rounds: int,
    local_steps: int,
    clip: float,
) -> PrivacyPlan:
    """The plan of least noise within ``epsilon``; a step draws ``expected_batch`` of ``bucket`` users.

    Guarantee: :meth:`PrivacyPlan.forecast` accepts it; rate and denominator come from ``bucket``, not from
    users.
    Refuses: what :class:`PrivacyPlan` and :func:`calibrate` refuse (:class:`PlanUnsound`).
    """
    plan = PrivacyPlan(
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
    noise = calibrate(epsilon, delta, plan.sample_rate, plan.whole.steps)
    return plan.model_copy(update={"noise_multiplier": noise})


@lru_cache(maxsize=256)
def calibrate(
    epsilon: float, delta: float, sample_rate: float, steps: int, besides: tuple[Mechanism, ...] = ()
) -> float:
    """The least noise multiplier, to 0.1 %, at which ``steps`` steps and ``besides`` spend ``epsilon`` by PRV.

    Guarantee: ``epsilon_of([Mechanism(result, sample_rate, steps), *besides], delta).prv <= epsilon``, on which
    all accountants agree.
    Refuses: an ε that no noise multiplier between e⁻⁴ and e¹⁰ brackets (:class:`PlanUnsound`);
    :class:`AccountantsDisagree`.
    """

    target = math.log1p(epsilon)  # log ε is nearly linear in log noise: few steps; log1p bears ε = 0

    def mechanism(log_noise: float) -> list[Mechanism]:
        return [Mechanism(math.exp(log_noise), sample_rate, steps), *besides]

    def bound(log_noise: float) -> float:
        return math.log1p(upper_bound(mechanism(log_noise), delta)) - target

    def excess(log_noise: float) -> float:
        return math.log1p(prv_of(mechanism(log_noise), delta)) - target

    # RDP finds the neighbourhood: PRV is slow, and with far too little noise cannot be computed at all.
    _, near = _bracket(bound, 0.0)
    low, high = _bracket(excess, near)
    if not excess(low) > 0 >= excess(high):
        raise PlanUnsound(f"no noise gives ε = {epsilon:g} at δ = {delta:g}", where="privacy plan")
    log_noise = float(brentq(excess, low, high, xtol=_PRECISION / 2))
    while excess(log_noise) > 0:
        log_noise += _PRECISION / 2
    epsilon_of(mechanism(log_noise), delta)  # the search looked at PRV alone
    return math.exp(log_noise)


def rounds_within(
    ceiling: float, delta: float, history: Sequence[AnyMechanism], per_round: AnyMechanism
) -> int:
    """How many rounds of ``per_round`` fit under ``ceiling`` on top of ``history``; 0 where none does.

    Guarantee: that many compose with ``history`` to at most ``ceiling``, by PRV where it knows them all.
    Refuses: a δ outside [1e-10, 1) (:class:`PlanUnsound`).
    """

    def fits(rounds: int, epsilon: Callable[[Iterable[AnyMechanism], float], float]) -> bool:
        try:
            return epsilon([*history, replace(per_round, steps=per_round.steps * rounds)], delta) <= ceiling
        except PlanUnsound:  # too large a loss for PRV
            return False

    rounds = _most(lambda rounds: fits(rounds, upper_bound), 0)
    return _most(lambda rounds: fits(rounds, prv_of), rounds)


def _most(fits: Callable[[int], bool], known: int) -> int:
    """The largest number that fits, by steps that double and then halve; ``known`` does."""
    step = 1
    while fits(known + step) and known < _MOST_ROUNDS:
        known, step = known + step, 2 * step
    while step > 1:
        step //= 2
        known += step if fits(known + step) else 0
    return known


def _bracket(excess: Callable[[float], float], start: float) -> tuple[float, float]:
    """Neighbouring log noise multipliers, near ``start``, that spend too much and not too much."""
    high = start
    while excess(high) > 0 and high < _LOG_NOISE_RANGE[1]:
        high += _STRIDE
    low = high - _STRIDE
    while excess(low) <= 0 and low > _LOG_NOISE_RANGE[0]:
        low, high = low - _STRIDE, low
    return low, high
