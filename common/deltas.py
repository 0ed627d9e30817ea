"""A model update, one type per protection step, so that an unprotected one cannot be sent by mistake.

AdapterDelta → ClippedDelta → QuantizedDelta → MaskedDelta at a platform; AggregateDelta at the coordinator.
None of them prints its numbers: a traceback or a log line must not tell an update.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Lanes = NDArray[np.uint32] | NDArray[np.uint16]

WEIGHT_LANE, COUNT_LANE = -2, -1
EXTRA_LANES = 2


@dataclass(frozen=True, slots=True)
class AdapterDelta:
    """What local training changed. ``values``: float32, shape (d,). Who clips it takes them over, in place."""

    values: Floats = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClippedDelta:
    """An update whose every coordinate lies within ±``bound``. ``values``: float32, shape (d,)."""

    values: Floats = field(repr=False)
    bound: float


@dataclass(frozen=True, slots=True)
class QuantizedDelta:
    """Weighted integers on the ring. ``lanes``: uint32 or uint16, shape (d + 2,): values, weight, count.

    Who masks it takes them over, in place: afterwards they are the masked vector's.
    """

    lanes: Lanes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MaskedDelta:
    """Uniformly random to anyone without the masks. ``lanes``: uint32 or uint16, shape (d + 2,)."""

    lanes: Lanes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AggregateDelta:
    """The weighted mean over the survivors. ``mean``: float32, shape (d,); ``weight``: their total weight."""

    mean: Floats = field(repr=False)
    weight: float
    platforms: int
