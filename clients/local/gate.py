"""The do-no-harm gate: the shared model is used only where validation says it does not hurt."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.metrics.intervals import paired_interval

LEVEL: Final = 0.90
"""Two-sided: the gate opens where one can be 95 % sure that the gain is not negative."""

FEWEST_USERS: Final = 30

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Gate:
    """``weight``: λ given to the shared model, 0 where closed.

    ``gain``, ``low``, ``high``: what the proposed λ changed, in absolute NDCG@10, for validation users who
    took no part in choosing it.
    """

    weight: float
    gain: float
    low: float
    high: float
    reason: str

    @property
    def open(self) -> bool:
        """Whether the shared model is used at all."""
        return self.weight > 0


def decide(ours: Doubles, theirs: Doubles, weight: float, seed: int = 0) -> Gate:
    """Open where mean(``ours`` − ``theirs``), NDCG@10 per held-out user (users,), has a lower bound ≥ 0."""
    if len(ours) < FEWEST_USERS:
        return Gate(0.0, 0.0, 0.0, 0.0, f"closed: {len(ours)} validation users are too few to tell")
    found = paired_interval(ours, theirs, level=LEVEL, seed=seed)
    figures = (found.mean, found.low, found.high)
    if weight == 0:
        return Gate(0.0, *figures, "closed: no weight above 0 was better on validation")
    if found.low < 0:
        return Gate(0.0, *figures, "closed: a loss cannot be excluded on validation")
    return Gate(weight, *figures, "open: no loss on validation")


def ungated(ours: Doubles, theirs: Doubles, weight: float, seed: int = 0) -> Gate:
    """The proposed weight whatever the bounds: for references that nobody would deploy unseen."""
    gate = decide(ours, theirs, weight, seed)
    return Gate(weight, gate.gain, gate.low, gate.high, "not gated")
