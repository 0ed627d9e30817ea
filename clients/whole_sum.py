"""One sum over all of a platform's users, each of norm 1 at most, with all the noise it needs."""

import numpy as np
from numpy.typing import NDArray

from common.deltas import AdapterDelta
from common.privacy.accountant import Mechanism
from common.randomness import OsRandomness


def released(exact: NDArray[np.float64], mechanism: Mechanism | None) -> AdapterDelta:
    """The sum with Gaussian noise on every number, as ``mechanism`` says, float32; as it is where there is none.

    Guarantee: the Gaussian mechanism of sensitivity 1, if no user moves ``exact`` by more than that; noise comes
    from the operating system. Rounding to float32 and to the ring comes after the noise.
    Refuses: nothing.
    """
    if mechanism is None:
        return AdapterDelta(exact.astype(np.float32))
    noise = mechanism.noise_multiplier * OsRandomness().normal(exact.size)
    return AdapterDelta((exact + noise).astype(np.float32))
