"""Paths that are broken on purpose: an audit that does not catch them proves nothing about one that is not.

Each trains by another plan than the ledger was charged for, as a slip in the trainer would.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from common.privacy.plan import PrivacyPlan

Sabotage = Callable[[PrivacyPlan], PrivacyPlan]
"""From the plan that is charged to the one that is followed."""

# Not zero: a trainer in which a layer stands still refuses by itself.
_NEXT_TO_NOTHING: Final = 1e-3
_BEYOND_ANY_NORM: Final = 1e6
_TIMES: Final = 10


@dataclass(frozen=True, slots=True)
class Control:
    """A broken path. ``what``: what is wrong with it."""

    name: str
    what: str
    sabotage: Sabotage


def _noise_off(plan: PrivacyPlan) -> PrivacyPlan:
    return plan.model_copy(update={"noise_multiplier": plan.noise_multiplier * _NEXT_TO_NOTHING})


def _clipping_off(plan: PrivacyPlan) -> PrivacyPlan:
    clip, noise = plan.clip * _BEYOND_ANY_NORM, plan.noise_multiplier / _BEYOND_ANY_NORM
    return plan.model_copy(update={"clip": clip, "noise_multiplier": noise})


def _wrong_sampling(plan: PrivacyPlan) -> PrivacyPlan:
    return plan.model_copy(update={"sample_rate": _TIMES * plan.sample_rate})


NOISE_OFF: Final = Control("noise off", "a thousandth of the noise", _noise_off)
CLIPPING_OFF: Final = Control(
    "clipping off", "noise as for C, gradients of any norm; the canaries' is 10 C", _clipping_off
)
WRONG_SAMPLING: Final = Control("wrong sampling", "ten times the rate that is charged", _wrong_sampling)
