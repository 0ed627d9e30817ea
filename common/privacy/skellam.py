"""The Skellam mechanism on sums of integers: what it releases and its Rényi curve.

Skellam noise of variance μ is the difference of two Poisson draws of mean μ / 2. Sums of it are Skellam again, so
that platforms can each add a share and what the sum holds is still a mechanism with a published bound: Agarwal,
Kairouz and Liu, "The Skellam Mechanism for Differentially Private Federated Learning" (2021), for integer
orders. Drawing users amplifies it by the sum over how often the one user counts, which for one direction is exact.
The other direction is never larger, since noise and shifted noise are mirror images of each other (Mironov, Talwar
and Zhang, 2019, theorem 5); Steinke, "Composition of Differential Privacy & Privacy Amplification by Subsampling"
(2022), has the same sum for all mechanisms, Zhu and Wang (2019), who need no symmetry, thrice its higher terms.
There is no PRV for it.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from opacus.accountants import RDPAccountant
from scipy.special import gammaln, logsumexp

from common.privacy.errors import PlanUnsound

ORDERS: Final = RDPAccountant.DEFAULT_ALPHAS
_NEXT_WHOLE: Final = np.maximum(2, np.ceil(ORDERS)).astype(np.int64)
LARGEST_COUNT: Final = 1 << 53
"""Of steps, and of whatever else is counted: further on, floats cannot tell one from the next."""

FLAW: Final = 2.0**-90
"""Of each coordinate of a sum: how far the noise drawn is from Skellam, in total variation.

A draw is within 2⁻¹⁰⁰ (:mod:`common.privacy.noise`), its cut tails included, and a sum holds up to 1000 of them.
"""


@dataclass(frozen=True, slots=True)
class SkellamMechanism:
    """``steps`` releases of a Poisson-subsampled sum of integers, ``coordinates`` long, plus Skellam noise.

    Each step draws every unit with probability ``sample_rate``. One unit moves the integers by at most
    ``sensitivity`` in L2 norm, rounding included. The sum holds at least ``shares`` independent noises of
    ``share_variance`` each that nobody who looks at it knows.

    Guarantee: every value of this type can be accounted.
    Refuses: anything not positive and finite, a rate above 1, a variance below 1, a count above 2⁵³
    (:class:`PlanUnsound`).
    """

    share_variance: int
    shares: int
    sensitivity: float
    coordinates: int
    sample_rate: float
    steps: int

    def __post_init__(self) -> None:
        if not (0 < self.sensitivity < math.inf and 0 < self.sample_rate <= 1):
            why = "sensitivity and rate must be positive, the rate at most 1"
            raise PlanUnsound(why, where="Skellam mechanism")
        for name in ("share_variance", "shares", "coordinates", "steps"):
            if not 1 <= getattr(self, name) <= LARGEST_COUNT:
                raise PlanUnsound(f"{name} must lie between 1 and 2⁵³", where="Skellam mechanism")

    @property
    def variance(self) -> int:
        """Of the noise that is sure to be in each coordinate of the sum."""
        return self.shares * self.share_variance

    @property
    def noise_multiplier(self) -> float:
        """The noise's standard deviation in units of ``sensitivity``."""
        return math.sqrt(self.variance) / self.sensitivity

    @property
    def alone(self) -> "SkellamMechanism":
        """What is left where aggregation fails: one platform's own share on its own integers."""
        return replace(self, shares=1)

    @property
    def flaw(self) -> float:
        """Total variation between all steps as drawn and as accounted; it belongs to δ."""
        return FLAW * self.coordinates * self.steps

    def rdp(self) -> NDArray[np.float64]:
        """Bounds on the Rényi divergence of all steps together, one for each of :data:`ORDERS`.

        The divergence never falls with the order, so an order between integers has the next integer's bound.

        Guarantee: the curves of any mechanisms add up to the curve of their composition (Mironov, 2017).
        Refuses: nothing.
        """
        terms = float(self.variance), float(self.sensitivity), int(self.coordinates), float(self.sample_rate)
        return np.asarray(self.steps * _subsampled(*terms)[_NEXT_WHOLE - 2])


def skellam_rdp(
    orders: NDArray[np.int64], variance: float, sensitivity: float, coordinates: int
) -> NDArray[np.float64]:
    """The mechanism's Rényi divergence at integer ``orders`` above 1, without sampling.

    The L1 sensitivity that the bound needs follows from the L2 one: at most √d times it, and, between vectors of
    integers, at most its square.

    Guarantee: an upper bound in both directions (Agarwal, Kairouz and Liu, 2021, corollary of theorem 3.5).
    Refuses: nothing.
    """
    square = sensitivity**2
    absolute = sensitivity * min(math.sqrt(coordinates), sensitivity)
    fine = ((2 * orders - 1) * square + 6 * absolute) / (4 * variance**2)
    coarse = 3 * absolute / (2 * variance)
    return np.asarray(orders * square / (2 * variance) + np.minimum(fine, coarse))


@lru_cache(maxsize=1024)
def _subsampled(variance: float, sensitivity: float, coordinates: int, rate: float) -> NDArray[np.float64]:
    """Bounds at the orders from 2 on with each unit drawn with probability ``rate``."""
    orders = np.arange(2, _NEXT_WHOLE.max() + 1)
    plain = skellam_rdp(orders, variance, sensitivity, coordinates)
    if rate == 1:
        return plain
    # E (1 − q + q P/Q)^α, expanded: logarithms of the terms ℓ = 2 … α; ℓ = 0 and 1 are ``none``.
    terms = (orders - 1) * plain + orders * math.log(rate) - gammaln(orders + 1)
    amplified = np.empty(len(orders))
    for place, order in enumerate(orders):
        drawn = orders[: place + 1]
        others = (order - drawn) * math.log1p(-rate) + gammaln(order + 1) - gammaln(order - drawn + 1)
        none = (order - 1) * math.log1p(-rate) + math.log1p((order - 1) * rate)
        amplified[place] = logsumexp([none, *(terms[: place + 1] + others)]) / (order - 1)
    return np.asarray(np.minimum(plain, amplified))
