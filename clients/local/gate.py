"""The do-no-harm gate: the shared model is used only where validation says it does not hurt."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from common.metrics.intervals import paired_interval

LEVEL: Final = 0.90
"""Two-sided: the gate opens where one can be 95 % sure that the gain is not negative."""

FEWEST_USERS: Final = 30

_NOTHING_KNOWN: Final = (0.0, -1.0, 1.0)  # NDCG lies in [0, 1]: no difference is larger

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Gate:
    """``weight``: λ given to the shared model, 0 where closed.

    ``gain``, ``low``, ``high``: what the proposed λ changed, in absolute NDCG@10, for validation users who
    took no part in choosing it; from −1 to 1 where they are too few to tell. ``users``: how many they were.
    """

    open: bool
    weight: float
    gain: float
    low: float
    high: float
    reason: str
    users: int


def decide(ours: Doubles, theirs: Doubles, weight: float, seed: int = 0) -> Gate:
    """Open where mean(``ours`` − ``theirs``), NDCG@10 per held-out user (users,), has a lower bound ≥ 0."""
    if len(ours) < FEWEST_USERS:
        return _gate(0.0, _NOTHING_KNOWN, _too_few(len(ours)), len(ours))
    figures = _figures(ours, theirs, seed)
    if weight == 0:
        return _gate(0.0, figures, "closed: no weight above 0 was better on validation", len(ours))
    if figures[1] < 0:
        return _gate(0.0, figures, "closed: a loss cannot be excluded on validation", len(ours))
    return _gate(weight, figures, "open: no loss on validation", len(ours))


def ungated(ours: Doubles, theirs: Doubles, weight: float, seed: int = 0) -> Gate:
    """The proposed weight whatever the bounds: for references that nobody would deploy unseen."""
    figures = _figures(ours, theirs, seed) if len(ours) else (0.0, 0.0, 0.0)
    return _gate(weight, figures, "not gated", len(ours))


def _too_few(users: int) -> str:
    if users == 0:
        return "closed: there is no validation user to judge by"
    return f"closed: {users} validation user{'s are' if users > 1 else ' is'} too few to tell"


def _figures(ours: Doubles, theirs: Doubles, seed: int) -> tuple[float, float, float]:
    found = paired_interval(ours, theirs, level=LEVEL, seed=seed)
    return found.mean, found.low, found.high


def _gate(weight: float, figures: tuple[float, float, float], reason: str, users: int) -> Gate:
    gain, low, high = figures
    return Gate(weight > 0, weight, gain, low, high, reason, users)
