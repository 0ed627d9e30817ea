"""The plan of ``shared-noise``: each platform adds a share of the noise, and only the sum is protected in full.

One clipped sum a round. A platform rounds its own to the ring's integers and adds Skellam noise of
``share_variance`` before it masks them. Every sum that can be unmasked holds the shares of at least ``shares``
platforms that keep theirs secret, and these together are the noise that ε is stated for. What a platform's masked
vector would say without its masks has its own share alone, and a larger ε, which the plan states beside the first.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final, Self

from pydantic import model_validator

from common.privacy.accountant import AnyMechanism, Epsilon, epsilon_of, upper_bound
from common.privacy.errors import PlanUnsound
from common.privacy.noise import LARGEST_VARIANCE
from common.privacy.plan import Plan
from common.privacy.skellam import SkellamMechanism

_ARITHMETIC: Final = 1e-6  # relative: by how much a norm in floating point may pass the clip
_ONE_STEP: Final = (
    "a step between them would start from a trajectory that carries one share of the noise alone"
)


class SharedNoisePlan(Plan):
    """One clipped sum a round, under a share of the noise; variances and norms in units of the ring.

    ``epsilon`` holds if aggregation is honest and no more platforms than the charter assumes join forces;
    ``epsilon_alone`` if that fails altogether and the platform's own share is all there is. ``sensitivity`` is the
    L2 norm by which one user can move the platform's integers, rounding included, over ``coordinates`` of them.

    Guarantee: once :meth:`forecast` has accepted it, ``rounds`` sums are (``epsilon``, ``delta``)-DP in aggregate
    and (``epsilon_alone``, ``delta``)-DP each by itself, for one :attr:`unit` under :attr:`adjacency`.
    Refuses: what :class:`Plan` refuses; more than one local step; a share that cannot be drawn
    (:class:`PlanUnsound`).
    """

    epsilon_alone: float
    share_variance: int
    shares: int
    sensitivity: float
    coordinates: int

    @model_validator(mode="after")
    def _refuse_shared(self) -> Self:
        if self.local_steps != 1:
            what = f"{self.local_steps} local steps under a shared noise"
            raise PlanUnsound(what, where="privacy plan", why=_ONE_STEP, hint="take one step, or local noise")
        if self.share_variance > LARGEST_VARIANCE:
            hint = "widen the ring's clip, so that its units are larger"
            raise PlanUnsound("a share of the noise is too large to draw", where="privacy plan", hint=hint)
        return self

    @property
    def per_round(self) -> SkellamMechanism:
        """What one round releases, if aggregation is honest."""
        return self._of(1)

    @property
    def whole(self) -> SkellamMechanism:
        """What all rounds together release, if aggregation is honest."""
        return self._of(self.rounds)

    def forecast(self, besides: Iterable[AnyMechanism] = ()) -> Epsilon:
        """ε of the whole plan and of what is released ``besides`` training, with honest aggregation.

        Guarantee: from public constants alone; at most the plan's ``epsilon``, and at most ``epsilon_alone`` if
        aggregation fails.
        Refuses: a plan that would spend more than it claims (:class:`PlanUnsound`).
        """
        history = [self.whole, *besides]
        spent = epsilon_of(history, self.delta)
        for what, figure, claim in (
            ("spends", spent.prv, self.epsilon),
            ("without aggregation spends", if_aggregation_fails(history, self.delta), self.epsilon_alone),
        ):
            if not figure <= claim:
                raise PlanUnsound(f"{what} ε = {figure:.3f}, claims {claim:g}", where="privacy plan")
        return spent

    def _of(self, steps: int) -> SkellamMechanism:
        return SkellamMechanism(
            self.share_variance, self.shares, self.sensitivity, self.coordinates, self.sample_rate, steps
        )


def if_aggregation_fails(history: Iterable[AnyMechanism], delta: float) -> float:
    """ε of the same releases with what is left of their noise where every mask is known.

    Guarantee: holds against whoever sees each platform's own contributions; infinite where no figure is of use.
    Refuses: nothing.
    """
    try:
        return epsilon_of(
            (one.alone if isinstance(one, SkellamMechanism) else one for one in history), delta
        ).prv
    except PlanUnsound:
        return math.inf


def integer_sensitivity(norm: float, weight: float, clip: float, top: int, coordinates: int) -> float:
    """How far one user can move a platform's integers, in L2 norm.

    ``norm``: by how much one user moves the update, weighted by ``weight`` afterwards; an update of ``clip`` and
    weight 1 is the integer ``top``. Rounding adds less than one unit for each coordinate, whatever its random
    bits, and float32 a part of one.

    Guarantee: holds for every value of the rounding's bits, so they need not be secret.
    Refuses: nothing.
    """
    float32 = weight * top * 2.0**-23  # a coordinate of at most clip is off by 2⁻²⁴ of itself, on either side
    return norm * weight * top / clip * (1 + _ARITHMETIC) + math.sqrt(coordinates) * (1 + float32)


def draft_shared(
    constants: Mapping[str, Plan],
    sensitivities: Mapping[str, float],
    coordinates: int,
    shares: int,
    besides: Sequence[AnyMechanism] = (),
) -> dict[str, SharedNoisePlan]:
    """Plans of least noise by platform, one share for all: the largest that any platform's ``epsilon`` asks for.

    ``besides``: what each platform releases beside training, within the same ``epsilon``.

    Guarantee: :meth:`SharedNoisePlan.forecast` accepts each with ``besides``.
    Refuses: an ε that no share reaches; what :class:`SharedNoisePlan` refuses (:class:`PlanUnsound`).
    """

    def mechanism(name: str, share: int) -> SkellamMechanism:
        plan = constants[name]
        return SkellamMechanism(
            share, shares, sensitivities[name], coordinates, plan.sample_rate, plan.rounds
        )

    def spent(name: str, share: int) -> float:
        return upper_bound([mechanism(name, share), *besides], constants[name].delta)

    share = 1
    for name, plan in constants.items():
        share = _least_share(partial(spent, name), plan.epsilon, share)
    return {
        name: SharedNoisePlan(
            **plan.model_dump(include=set(Plan.model_fields)),
            epsilon_alone=_stated(if_aggregation_fails([mechanism(name, share), *besides], plan.delta)),
            share_variance=share,
            shares=shares,
            sensitivity=sensitivities[name],
            coordinates=coordinates,
        )
        for name, plan in constants.items()
    }


def _stated(figure: float) -> float:
    """Rounded up, so that another processor's last bit does not pass the claim."""
    if math.isinf(figure):
        hint = "plan for a lower ε, or fewer rounds"
        raise PlanUnsound("no figure holds if aggregation fails", where="privacy plan", hint=hint)
    return math.ceil(1000 * figure) / 1000


def _least_share(spent: Callable[[int], float], epsilon: float, least: int) -> int:
    """The least variance, to 0.1 % and from ``least`` on, at which no more than ``epsilon`` is spent."""

    def enough(share: int) -> bool:
        try:
            return spent(share) <= epsilon
        except PlanUnsound:  # so little noise that its own flaws would count
            return False

    if enough(least):
        return least
    low, high = least, 2 * least
    while not enough(high):
        low, high = high, 2 * high
        if low > LARGEST_VARIANCE:
            raise PlanUnsound(f"no share of noise gives ε = {epsilon:g}", where="privacy plan")
    while high - low > max(1, high >> 10):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
