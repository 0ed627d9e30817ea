"""Which users take part in a step: Poisson sampling, the only sampling the accountants account."""

import math

import numpy as np
from numpy.typing import NDArray

from common.privacy.errors import PlanUnsound
from common.randomness import Randomness


def poisson_sample(population: int, rate: float, randomness: Randomness) -> NDArray[np.int64]:
    """Indices, ascending, of the users drawn: each of ``population`` independently with probability ``rate``.

    The result may be empty, and its length is private: an empty batch is a step like any other, is noised and
    accounted, and no sum is ever divided by the length.

    Guarantee: independent draws with probability within 2⁻⁵³ of ``rate``, as Mironov, Talwar and Zhang (2019)
    assume; unpredictable if ``randomness`` is an :class:`~common.randomness.OsRandomness`.
    Refuses: a rate outside (0, 1] or a negative population (:class:`PlanUnsound`).
    """
    if population < 0 or not (math.isfinite(rate) and 0 < rate <= 1):
        raise PlanUnsound("a rate must lie in (0, 1] and a population be at least 0", where="sampling")
    return np.flatnonzero(randomness.uniform(population) < rate).astype(np.int64, copy=False)
