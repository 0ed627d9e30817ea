"""One sum over all of a platform's users, each of norm 1 at most, with all the noise it needs."""

import numpy as np
from numpy.typing import NDArray

from common.deltas import AdapterDelta
from common.privacy.accountant import AnyMechanism, Mechanism
from common.privacy.errors import PlanUnsound
from common.randomness import OsRandomness


def released(exact: NDArray[np.float64], mechanism: AnyMechanism | None) -> AdapterDelta:
    """The sum with Gaussian noise on every number, as ``mechanism`` says, float32; as it is where there is none.

    Guarantee: the Gaussian mechanism of sensitivity 1, if no user moves ``exact`` by more than that; noise comes
    from the operating system. Rounding to float32 and to the ring comes after the noise.
    Refuses: a share of noise (:class:`PlanUnsound`): this sum would be protected in aggregate alone.
    """
    if mechanism is None:
        return AdapterDelta(exact.astype(np.float32))
    if not isinstance(mechanism, Mechanism):
        raise PlanUnsound("one sum over all users under a share of noise", where="release")
    noise = mechanism.noise_multiplier * OsRandomness().normal(exact.size)
    return AdapterDelta((exact + noise).astype(np.float32))
