"""ε of a history of releases: PRV is the figure, PLD a second opinion, RDP a bound that lies above both.

PRV and RDP are Opacus'. PRV: Gopi, Lee and Wutschitz, "Numerical Composition of Differential Privacy" (2021);
its upper bound is stated, error included. RDP: Mironov, Talwar and Zhang, "Rényi Differential Privacy of the
Sampled Gaussian Mechanism" (2019). PLD is dp-accounting's (:mod:`common.privacy.pld`). ε is always that of the
composed history, never a sum of the rounds' own ε.

A history with Skellam noise has no PRV: RDP's bound is its figure (:attr:`Epsilon.by`).

Where a figure is stated or decides, all three are computed and must agree (:func:`epsilon_of`). A search looks
at PRV alone (:func:`prv_of`), and what fits by RDP's bound needs no other (:func:`upper_bound`).
"""

import math
import threading
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from opacus.accountants import PRVAccountant
from opacus.accountants.analysis.rdp import compute_rdp, get_privacy_spent

from common.privacy.errors import AccountantsDisagree, PlanUnsound
from common.privacy.pld import pld_epsilon
from common.privacy.skellam import LARGEST_COUNT, ORDERS, SkellamMechanism

PRV_ERROR: Final = 0.01  # PRV adds it to its estimate to make it an upper bound
PLD_MARGIN: Final = (0.02, 0.02)  # how far PRV and PLD may lie apart: this, and this share of PLD's ε
_SMALLEST_DELTA: Final = 1e-10  # below, PRV's rounding errors make it claim less than the truth
_SMALLEST_NOISE: Final = 0.01
_LARGEST_LOSS: Final = 500.0
_ONE_AT_A_TIME: Final = threading.Lock()
_LARGEST_GRID: Final = 1 << 23  # PRV takes some 0.5 GB at this size
_FOR_FLAWS: Final = 1 / 16  # of δ: what noise as drawn may differ from noise as accounted


@dataclass(frozen=True, slots=True)
class Mechanism:
    """``steps`` releases of a Poisson-subsampled Gaussian sum.

    Each step draws every unit independently with probability ``sample_rate``, adds up vectors of at most one
    clipping norm C per unit, and adds Gaussian noise of standard deviation ``noise_multiplier`` · C. A rate
    of 1 is the plain Gaussian mechanism.

    Guarantee: every value of this type can be accounted.
    Refuses: a noise multiplier below 0.01 or infinite, a rate outside (0, 1], fewer than one step or more than
    2⁵³ (:class:`PlanUnsound`).
    """

    noise_multiplier: float
    sample_rate: float
    steps: int

    def __post_init__(self) -> None:
        if not _SMALLEST_NOISE <= self.noise_multiplier < math.inf:
            raise PlanUnsound("the noise multiplier must be finite and at least 0.01", where="mechanism")
        if not 0 < self.sample_rate <= 1:
            raise PlanUnsound("the sample rate must lie in (0, 1]", where="mechanism")
        if not 1 <= self.steps <= LARGEST_COUNT:
            raise PlanUnsound("a mechanism takes one step at least, and 2⁵³ at most", where="mechanism")

    def rdp(self) -> NDArray[np.float64]:
        """Bounds on the Rényi divergence of all steps together, one for each of :data:`ORDERS`.

        Guarantee: the curves of any mechanisms add up to the curve of their composition (Mironov, 2017).
        Refuses: nothing.
        """
        return self.steps * _rdp_of_one_step(float(self.noise_multiplier), float(self.sample_rate))


AnyMechanism = Mechanism | SkellamMechanism
"""Whatever can be charged and accounted."""


@dataclass(frozen=True, slots=True)
class Epsilon:
    """ε at ``delta``: ``prv`` is the figure to state; ``pld`` and ``rdp`` are what it was checked against.

    ``by``: the accountant of the figure. Where a mechanism has only an RDP curve it is RDP's bound, all three
    are equal, and nothing was checked against anything.
    """

    prv: float
    pld: float
    rdp: float
    delta: float
    by: Literal["PRV", "RDP"] = "PRV"

    def __str__(self) -> str:
        checks = f"PRV; PLD says {self.pld:.3f}; RDP bounds it by {self.rdp:.3f}"
        return f"ε = {self.prv:.3f} at δ = {self.delta:g} ({checks if self.by == 'PRV' else 'an RDP bound'})"


def epsilon_of(history: Iterable[AnyMechanism], delta: float) -> Epsilon:
    """ε of everything in ``history`` together, at ``delta``. Memoised; the first call takes some 0.3 s.

    Guarantee: the composed history is (``prv``, ``delta``)-DP for the unit its mechanisms clip and sample; with
    Gaussian noise alone, three accountants of two libraries agree on it.
    Refuses: PRV and PLD further apart than 0.02 + 2 %, or an RDP bound more than 0.01 below PRV
    (:class:`AccountantsDisagree`); a loss too large to compute or a δ outside [1e-10, 1) (:class:`PlanUnsound`).
    """
    merged = _merged(history)
    if not merged:
        return Epsilon(0.0, 0.0, 0.0, _checked(delta))
    rdp, gaussian = _rdp(merged, _checked(delta)), _all_gaussian(merged)
    if gaussian is None:
        return Epsilon(rdp, rdp, rdp, delta, by="RDP")
    prv, pld = _prv(gaussian, delta), _pld(gaussian, delta)
    if not rdp >= prv - PRV_ERROR:
        raise _disagree(
            f"RDP gives ε = {rdp:.4f}", prv, "an upper bound cannot lie below the figure it bounds"
        )
    if not abs(pld - prv) <= PLD_MARGIN[0] + PLD_MARGIN[1] * pld:
        raise _disagree(f"PLD gives ε = {pld:.4f}", prv, "both compute the same loss, to 0.02 and 2 %")
    return Epsilon(prv, pld, rdp, delta)


def prv_of(history: Iterable[AnyMechanism], delta: float) -> float:
    """The figure unchecked: for a search, whose result :func:`epsilon_of` then checks. Memoised.

    Guarantee: what it returns is the ``prv`` of :func:`epsilon_of` for the same arguments.
    Refuses: a loss too large to compute or a δ outside [1e-10, 1) (:class:`PlanUnsound`).
    """
    merged = _merged(history)
    return _figure(merged, _checked(delta)) if merged else 0.0


def upper_bound(history: Iterable[AnyMechanism], delta: float) -> float:
    """RDP's bound on ε, in microseconds once a (noise, rate) is known; 9–40 % above PRV for a training run.

    Guarantee: the composed history is (result, ``delta``)-DP.
    Refuses: a δ outside [1e-10, 1), or Skellam noise too coarse for so large an ε (:class:`PlanUnsound`).
    """
    merged = _merged(history)
    return _rdp(merged, _checked(delta)) if merged else 0.0


def joint_epsilon(histories: Iterable[Iterable[AnyMechanism]], delta: float) -> Epsilon:
    """ε for a person who has an account on every platform whose history is given.

    Guarantee: all their releases together are (``prv``, ``delta``)-DP for one account on each platform.
    Refuses: what :func:`epsilon_of` refuses.
    """
    return epsilon_of((mechanism for history in histories for mechanism in history), delta)


def _disagree(other: str, prv: float, why: str) -> AccountantsDisagree:
    hint = "release nothing, and report the versions of opacus, dp-accounting, numpy and scipy"
    return AccountantsDisagree(f"{other} where PRV gives {prv:.4f}", where="accountant", why=why, hint=hint)


def _all_gaussian(history: tuple[AnyMechanism, ...]) -> tuple[Mechanism, ...] | None:
    """The same history, if PRV and PLD know every mechanism of it."""
    gaussian = tuple(one for one in history if isinstance(one, Mechanism))
    return gaussian if len(gaussian) == len(history) else None


def _figure(history: tuple[AnyMechanism, ...], delta: float) -> float:
    gaussian = _all_gaussian(history)
    return _rdp(history, delta) if gaussian is None else _prv(gaussian, delta)


def _merged(history: Iterable[AnyMechanism]) -> tuple[AnyMechanism, ...]:
    """Composition knows no order: equal mechanisms merge, and the memo hits more often."""
    steps = Counter[AnyMechanism]()
    for mechanism in history:
        steps[replace(mechanism, steps=1)] += int(mechanism.steps)
    return tuple(replace(one, steps=steps[one]) for one in sorted(steps, key=repr))


def _gaussian(history: tuple[Mechanism, ...]) -> list[tuple[float, float, int]]:
    return [(float(one.noise_multiplier), float(one.sample_rate), one.steps) for one in history]


def _checked(delta: float) -> float:
    if not _SMALLEST_DELTA <= delta < 1:
        raise PlanUnsound("δ must lie in [1e-10, 1)", where="accountant")
    return delta


@lru_cache(maxsize=4096)
def _rdp_of_one_step(noise_multiplier: float, sample_rate: float) -> NDArray[np.float64]:
    return np.asarray(compute_rdp(q=sample_rate, noise_multiplier=noise_multiplier, steps=1, orders=ORDERS))


def _rdp(history: tuple[AnyMechanism, ...], delta: float) -> float:
    curve = sum((mechanism.rdp() for mechanism in history), np.zeros(len(ORDERS)))
    flaws = math.fsum(one.flaw for one in history if isinstance(one, SkellamMechanism))
    kept = delta * (1 - _FOR_FLAWS) if flaws else delta
    with _quietly():
        epsilon = max(0.0, float(get_privacy_spent(orders=ORDERS, rdp=curve, delta=kept)[0]))
    # Drawn within η of what is (ε, δ)-DP in total variation is (ε, δ + (1 + e^ε) η)-DP.
    if flaws and not math.log(flaws) + float(np.logaddexp(0, epsilon)) <= math.log(delta * _FOR_FLAWS):
        raise PlanUnsound(
            f"ε is about {epsilon:.3g}: the noise is not drawn finely enough for that",
            where="accountant",
            hint="lower ε or the number of rounds",
        )
    return epsilon


@lru_cache(maxsize=1024)
def _prv(history: tuple[Mechanism, ...], delta: float) -> float:
    _refuse_beyond_prv(history, delta)
    accountant = PRVAccountant()
    accountant.history = _gaussian(history)
    try:
        with _quietly():
            epsilon = float(accountant.get_epsilon(delta, eps_error=PRV_ERROR))
    except (RuntimeError, ValueError) as error:
        raise PlanUnsound("PRV cannot compute ε", where="accountant", why=str(error)) from error
    if not math.isfinite(epsilon):
        raise PlanUnsound("PRV gives no finite ε", where="accountant")
    return max(0.0, epsilon)


@lru_cache(maxsize=1024)
def _pld(history: tuple[Mechanism, ...], delta: float) -> float:
    return pld_epsilon(_gaussian(history), delta, _prv_mesh(history, delta))


def _prv_mesh(history: tuple[Mechanism, ...], delta: float) -> float:
    """The mesh on which PRV keeps its error (Gopi, Lee and Wutschitz, 2021), as Opacus chooses it."""
    steps = sum(mechanism.steps for mechanism in history)
    return PRV_ERROR / math.sqrt(steps * math.log(12 / (delta / 1000)) / 2)


def _refuse_beyond_prv(history: tuple[Mechanism, ...], delta: float) -> None:
    """PRV's grid spans the largest loss: past 709, where exp does, it overflows silently, or fills memory."""
    span = _rdp(history, delta / 1000 / 4) + 3
    if not (span < _LARGEST_LOSS and 2 * span / _prv_mesh(history, delta) < _LARGEST_GRID):
        raise PlanUnsound(
            f"ε is about {_rdp(history, delta):.3g}: too large, or over too many steps, to compute",
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
