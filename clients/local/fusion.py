"""Fusion: one ranking out of several heads, with weights chosen on validation users."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from clients.local.heads import standardise
from common.deltas import Floats

Objective = Callable[[Floats], float]
"""Quality of scores (users, items) on validation users; higher is better."""

WEIGHTS: Final = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 4.0)
"""Weights tried: of a head relative to the best single head, of the shared model relative to its base."""

_PASSES: Final = 3


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
    for weight in WEIGHTS:
        value = objective(base + np.float32(weight) * addition)
        if value > best[1]:
            best = (weight, value)
    return best


def _weighted(heads: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
    total = np.zeros_like(next(iter(heads.values())))
    for name, weight in weights.items():
        if weight:
            total += np.float32(weight) * heads[name]
    return total
