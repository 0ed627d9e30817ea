"""ε of a history of releases: PRV is the figure, RDP the bound that must lie above it.

Both are Opacus'. PRV: Gopi, Lee and Wutschitz, "Numerical Composition of Differential Privacy" (2021); its
upper bound is stated, error included. RDP: Mironov, Talwar and Zhang, "Rényi Differential Privacy of the
Sampled Gaussian Mechanism" (2019). ε is always that of the composed history, never a sum of the rounds' own
ε.
"""

import math
import threading
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from opacus.accountants import PRVAccountant, RDPAccountant
from opacus.accountants.analysis.rdp import compute_rdp, get_privacy_spent

from common.privacy.errors import AccountantsDisagree, PlanUnsound

PRV_ERROR: Final = 0.01  # PRV adds it to its estimate to make it an upper bound
_SMALLEST_DELTA: Final = 1e-10  # below, PRV's rounding errors make it claim less than the truth
_SMALLEST_NOISE: Final = 0.01
_LARGEST_LOSS: Final = 500.0
_ONE_AT_A_TIME: Final = threading.Lock()
_ORDERS: Final = RDPAccountant.DEFAULT_ALPHAS
_LARGEST_GRID: Final = 1 << 23  # PRV takes some 0.5 GB at this size

Steps = tuple[tuple[float, float, int], ...]  # (noise multiplier, sample rate, steps), merged and sorted


@dataclass(frozen=True, slots=True)
class Mechanism:
    """``steps`` releases of a Poisson-subsampled Gaussian sum.

    Each step draws every unit independently with probability ``sample_rate``, adds up vectors of at most one
    clipping norm C per unit, and adds Gaussian noise of standard deviation ``noise_multiplier`` · C. A rate
    of 1 is the plain Gaussian mechanism.

    Guarantee: every value of this type can be accounted.
    Refuses: a noise multiplier below 0.01 or infinite, a rate outside (0, 1], fewer than one step
    (:class:`PlanUnsound`).
    """

    noise_multiplier: float
    sample_rate: float
    steps: int

    def __post_init__(self) -> None:
        if not _SMALLEST_NOISE <= self.noise_multiplier < math.inf:
            raise PlanUnsound("the noise multiplier must be finite and at least 0.01", where="mechanism")
        if not 0 < self.sample_rate <= 1:
            raise PlanUnsound("the sample rate must lie in (0, 1]", where="mechanism")
        if self.steps < 1:
            raise PlanUnsound("a mechanism takes at least one step", where="mechanism")


@dataclass(frozen=True, slots=True)
class Epsilon:
    """ε at ``delta``: ``prv`` is the figure to state, ``rdp`` the bound it was checked against."""

    prv: float
    rdp: float
    delta: float


def epsilon_of(history: Iterable[Mechanism], delta: float) -> Epsilon:
    """ε of everything in ``history`` together, at ``delta``. Memoised; the first call takes some 0.2 s.

    Guarantee: the composed history is (``prv``, ``delta``)-DP for the unit its mechanisms clip and sample.
    Refuses: accountants that contradict each other by more than PRV's error (:class:`AccountantsDisagree`); a
    loss too large to compute or a δ outside [1e-10, 1) (:class:`PlanUnsound`).
    """
    steps = _merged(history)
    if not steps:
        return Epsilon(0.0, 0.0, _checked(delta))
    rdp, prv = _rdp(steps, _checked(delta)), _prv(steps, delta)
    if not rdp >= prv - PRV_ERROR:
        raise AccountantsDisagree(
            f"RDP gives ε = {rdp:.4f} where PRV gives {prv:.4f}",
            why="an upper bound cannot lie below the figure it bounds",
            hint="release nothing, and report the versions of opacus, numpy and scipy",
        )
    return Epsilon(prv, rdp, delta)


def upper_bound(history: Iterable[Mechanism], delta: float) -> float:
    """RDP's bound on ε, in microseconds once a (noise, rate) is known; 9–40 % above PRV for a training run.

    Guarantee: the composed history is (result, ``delta``)-DP.
    Refuses: a δ outside [1e-10, 1) (:class:`PlanUnsound`).
    """
    steps = _merged(history)
    return _rdp(steps, _checked(delta)) if steps else 0.0


def joint_epsilon(histories: Iterable[Iterable[Mechanism]], delta: float) -> Epsilon:
    """ε for a person who has an account on every platform whose history is given.

    Guarantee: all their releases together are (``prv``, ``delta``)-DP for one account on each platform.
    Refuses: what :func:`epsilon_of` refuses.
    """
    return epsilon_of((mechanism for history in histories for mechanism in history), delta)


def _merged(history: Iterable[Mechanism]) -> Steps:
    """Composition knows no order: equal mechanisms merge, and the memo hits more often."""
    steps: Counter[tuple[float, float]] = Counter()
    for mechanism in history:
        steps[float(mechanism.noise_multiplier), float(mechanism.sample_rate)] += int(mechanism.steps)
    return tuple(sorted((noise, rate, count) for (noise, rate), count in steps.items()))


def _checked(delta: float) -> float:
    if not _SMALLEST_DELTA <= delta < 1:
        raise PlanUnsound("δ must lie in [1e-10, 1)", where="accountant")
    return delta


@lru_cache(maxsize=4096)
def _rdp_of_one_step(noise_multiplier: float, sample_rate: float) -> NDArray[np.float64]:
    return np.asarray(compute_rdp(q=sample_rate, noise_multiplier=noise_multiplier, steps=1, orders=_ORDERS))


def _rdp(steps: Steps, delta: float) -> float:
    rdp = sum((count * _rdp_of_one_step(noise, rate) for noise, rate, count in steps), np.zeros(len(_ORDERS)))
    with _quietly():
        return max(0.0, float(get_privacy_spent(orders=_ORDERS, rdp=rdp, delta=delta)[0]))


@lru_cache(maxsize=1024)
def _prv(steps: Steps, delta: float) -> float:
    _refuse_beyond_prv(steps, delta)
    accountant = PRVAccountant()
    accountant.history = list(steps)
    try:
        with _quietly():
            epsilon = float(accountant.get_epsilon(delta, eps_error=PRV_ERROR))
    except (RuntimeError, ValueError) as error:
        raise PlanUnsound("PRV cannot compute ε", where="accountant", why=str(error)) from error
    if not math.isfinite(epsilon):
        raise PlanUnsound("PRV gives no finite ε", where="accountant")
    return max(0.0, epsilon)


def _refuse_beyond_prv(steps: Steps, delta: float) -> None:
    """PRV's grid spans the largest loss: past 709, where exp does, it overflows silently, or fills memory."""
    delta_error = delta / 1000
    span = _rdp(steps, delta_error / 4) + 3
    mesh = PRV_ERROR / math.sqrt(sum(count for *_, count in steps) * math.log(12 / delta_error) / 2)
    if not (span < _LARGEST_LOSS and 2 * span / mesh < _LARGEST_GRID):
        raise PlanUnsound(
            f"ε is about {_rdp(steps, delta):.3g}: too large, or over too many steps, to compute",
            where="accountant",
            hint="raise the noise multiplier, or lower the sample rate or the number of steps",
        )


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the accountants' warnings, none of which touches the bound.

    They say that more orders would be tighter, and meet log 0 at a rate of 1 and underflow in the far tail, where
    both limits are exact. Python's warning filters are global, hence the lock.
    """
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
