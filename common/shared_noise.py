"""What a charter with ``shared-noise`` must hold, so that the ε of its plans is that of the sums it releases."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from common.model.training import LocalTraining
from common.privacy.shared import SharedNoisePlan, integer_sensitivity
from common.secagg.ring import Ring

_FINENESS: Final = 32  # a user's units for each unit that rounding moves a coordinate: some 4 % more noise


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one platform adds to a round's sum: the step of its ``training``, times its ``weight``."""

    training: LocalTraining
    weight: float

    def reach(self, clip: float, denominator: float) -> float:
        """By how much one user moves the platform's step, in the update's own units."""
        return self.training.learning_rate * clip / denominator

    def sensitivity(self, clip: float, denominator: float, ring: Ring, dimension: int) -> float:
        """How far one user whose gradient is clipped to ``clip`` moves the platform's integers, in L2 norm.

        The update is the clipped sum, times the learning rate, through the public denominator; on a ring with a
        clip for each tensor the finest of its grids counts.
        """
        norm = self.reach(clip, denominator)
        finest = min((tensor.clip for tensor in ring.tensors), default=ring.clip)
        return integer_sensitivity(norm, self.weight, finest, ring.top, dimension)


def ring_clip_for(reach: float, dimension: int) -> float:
    """A ring's clip at which rounding adds little to what one user of the least ``reach`` moves.

    Finer units would cost headroom and time and save next to nothing. It is some hundred times ``reach``, so that
    sums of users are not cut off.
    """
    return float(f"{reach * Ring(1.0).top / (_FINENESS * math.sqrt(dimension)):.3g}")


def noise_fault(
    platforms: Sequence[tuple[Contribution, SharedNoisePlan]], ring: Ring, dimension: int, honest: int
) -> str:
    """Why these plans carry no guarantee; empty if they do.

    ``honest``: how many platforms are sure to be in each sum and to keep their share of the noise secret.
    """
    if len({plan.share_variance for _, plan in platforms}) > 1:
        return "the platforms add different shares of noise: what a sum holds would depend on who dropped out"
    for own, plan in platforms:
        least = own.sensitivity(plan.clip, plan.denominator, ring, dimension)
        if own.training.optimizer != "sgd":
            return (
                f"{own.training.optimizer} would undo the clip: with shared noise the one step is a plain one"
            )
        if plan.shares > honest:
            return (
                f"a plan counts on {plan.shares} shares of noise: only {honest} are sure to be in every sum"
            )
        if plan.coordinates != dimension or plan.sensitivity < least:
            return f"one user moves a platform's integers by up to {least:.6g}, more than a plan accounts for"
    return ""
