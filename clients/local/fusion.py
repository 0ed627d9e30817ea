"""Fusion: one ranking out of several heads, with weights chosen on validation users."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clients.local.heads import standardise
from common.deltas import Floats

Objective = Callable[[Floats], float]
"""Quality of scores (users, items) on validation users; higher is better."""

WEIGHTS: Final = (0.0, 0.1, 0.2, 0.35, 0.6, 1.0, 1.7, 3.0)
"""Weights tried: of a head relative to the best single head, of the shared model relative to its base."""

_PASSES: Final = 3
_HALF_TRUST: Final = 8.0


def fuse(heads: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
    """Σ weight · head, (users, items), standardised per user: what is added next then has a known scale."""
    return standardise(_weighted(heads, weights))


def choose_weights(heads: Mapping[str, Floats], objective: Objective) -> dict[str, float]:
    """Coordinate ascent from the best single head, whose weight stays 1; ``heads`` are standardised.

    A weight changes only where that is strictly better, so that a head which adds nothing keeps 0.
    """
    alone = {name: objective(head) for name, head in heads.items()}
    anchor = max(alone, key=alone.__getitem__)
    weights = {name: float(name == anchor) for name in heads}
    best = alone[anchor]
    for _ in range(_PASSES):
        before = dict(weights)
        for name in (name for name in heads if name != anchor):
            rest = _weighted(heads, {**weights, name: 0.0})
            weights[name], best = choose_weight(rest, heads[name], objective, (weights[name], best))
        if weights == before:
            break
    return weights


def choose_weight(
    base: Floats, addition: Floats, objective: Objective, start: tuple[float, float] | None = None
) -> tuple[float, float]:
    """The best weight λ of ``addition`` on ``base`` and its objective; ``start``: a pair to beat."""
    best = start or (0.0, objective(base))
    tried = np.empty_like(base)
    for weight in WEIGHTS:
        np.multiply(addition, np.float32(weight), out=tried)
        tried += base
        value = objective(tried)
        if value > best[1]:
            best = (weight, value)
    return best


def back_off(fused: Floats, popularity: Floats, met: NDArray[np.int64]) -> Floats:
    """Popularity for those of whom little is known, ``fused`` for the others: (users, items), both standardised.

    Trust in a user's own history is n² / (n² + 8²) with n = ``met`` (users,) different items met. Weights are
    chosen for everyone, which is for those with long histories; without this, people with one or two items
    were served worse than by popularity alone.
    """
    squared = np.square(met.astype(np.float64))
    trust: Floats = (squared / (squared + _HALF_TRUST**2)).astype(np.float32)[:, None]
    return standardise(popularity + trust * (fused - popularity))


def _weighted(heads: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
    used = [(np.float32(weight), heads[name]) for name, weight in weights.items() if weight]
    total = used[0][0] * used[0][1]
    for weight, head in used[1:]:
        total += weight * head
    return total
