"""A model update, one type per protection step, so that an unprotected one cannot be sent by mistake.

AdapterDelta → ClippedDelta → QuantizedDelta → MaskedDelta at a platform; AggregateDelta at the coordinator.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Lanes = NDArray[np.uint32]

WEIGHT_LANE, COUNT_LANE = -2, -1
EXTRA_LANES = 2


@dataclass(frozen=True, slots=True)
class AdapterDelta:
    """What local training changed. ``values``: float32, shape (d,)."""

    values: Floats


@dataclass(frozen=True, slots=True)
class ClippedDelta:
    """An update whose every coordinate lies within ±``bound``. ``values``: float32, shape (d,)."""

    values: Floats
    bound: float


@dataclass(frozen=True, slots=True)
class QuantizedDelta:
    """Weighted integers on the ring. ``lanes``: uint32, shape (d + 2,): values, weight, count."""

    lanes: Lanes


@dataclass(frozen=True, slots=True)
class MaskedDelta:
    """Uniformly random to anyone without the masks. ``lanes``: uint32, shape (d + 2,)."""

    lanes: Lanes


@dataclass(frozen=True, slots=True)
class AggregateDelta:
    """The weighted mean over the survivors. ``mean``: float32, shape (d,); ``weight``: their total weight."""

    mean: Floats
    weight: float
    platforms: int
