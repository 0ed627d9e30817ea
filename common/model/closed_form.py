"""Ridge regression from a history's text to the next item's text, from one noisy sum over all users.

Item texts are public, so only sums over users' pairs (h, y) of history query and next item need noise:
A = Σ w_u Σ h hᵀ and B = Σ w_u Σ h yᵀ. From them W = (A + λI)⁻¹(B + λcI), the least squares solution that is
pulled towards cI, the text recommender that nothing was fitted to. As a scale of all scores changes no ranking,
what is kept is W / c = I + (A + λI)⁻¹(B − cA) / c: the identity and a correction of low rank.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt

from common.deltas import Floats
from common.whole_sum import WholeSumTerms

Doubles = NDArray[np.float64]


class Ridge(BaseModel):
    """Public constants of the solution, never fitted to a platform's rows.

    ``ridge``: λ for each user of the declared buckets. ``scale``: c, how alike a history and the next item are in
    text. ``rank``: of the correction.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    ridge: PositiveFloat = 0.01
    scale: PositiveFloat = 0.05
    rank: PositiveInt = 32


class StatisticsTerms(Ridge, WholeSumTerms):
    """What the charter says of the statistics."""


def packed_size(features: int) -> int:
    """How many numbers the pair (A, B) takes: A's upper triangle and B."""
    return features * (features + 1) // 2 + features**2


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """A and B as above, float64, (F, F) each; A is symmetric."""

    history: Doubles = field(repr=False)
    next: Doubles = field(repr=False)

    @classmethod
    def of_users(cls, queries: Doubles, targets: Doubles) -> "Moments":
        """The sum over users of their pairs, each user's part of norm 1. Both: (U, L, F), zero where no pair is.

        Guarantee: adding or removing one user changes :meth:`packed` by a vector of L2 norm 1, or 0 if the user
        has no pair; so the release has sensitivity 1. Proof: the sum's u-th term is v_u / ‖v_u‖, where v_u is
        the packed pair (Σ h hᵀ, Σ h yᵀ) of that user alone, and depends on no other user. ‖v_u‖ is the norm of
        what is packed: entries of A above the diagonal count once, since the noise on them is drawn once.
        ‖Σ h hᵀ‖² over the whole matrix is Σ (h·h')², so once it is (Σ (h·h')² + Σ_i (Σ h_i²)²) / 2; and
        ‖Σ h yᵀ‖² is Σ (h·h')(y·y').
        Refuses: nothing.
        """
        among = queries @ queries.transpose(0, 2, 1)  # (U, L, L)
        diagonal = np.square(queries).sum(axis=1)  # (U, F)
        squares = (np.square(among).sum(axis=(1, 2)) + np.square(diagonal).sum(axis=1)) / 2
        squares += (among * (targets @ targets.transpose(0, 2, 1))).sum(axis=(1, 2))
        norms = np.sqrt(squares)  # (U,)
        weights = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
        weighted = (weights[:, None, None] * queries).reshape(-1, queries.shape[2])
        flat = (part.reshape(-1, part.shape[2]) for part in (queries, targets))
        return cls(*(weighted.T @ part for part in flat))

    def packed(self) -> Doubles:
        """The upper triangle of A, its diagonal included, then B; row by row, (:func:`packed_size`,)."""
        return np.concatenate([self.history[np.triu_indices(len(self.history))], self.next.ravel()])

    @classmethod
    def unpacked(cls, vector: Doubles, features: int) -> "Moments":
        """The pair in ``vector``; what stood above A's diagonal is mirrored below it."""
        triangle = packed_size(features) - features**2
        upper = np.zeros((features, features))
        upper[np.triu_indices(features)] = vector[:triangle]
        return cls(upper + np.triu(upper, 1).T, vector[triangle:].reshape(features, features))

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.history + other.history, self.next + other.next)


def solve(moments: Moments, terms: Ridge, users: int, noise: float) -> tuple[Floats, Floats]:
    """The correction as two factors, (F, rank) and (rank, F), float32: W / c = I + first @ second.

    ``users``: of all buckets in the sum; ``noise``: its standard deviation per packed number. Pure
    post-processing: it costs no privacy.

    A matrix of F × F such numbers has singular values up to 2σ√F by itself, the noise edge. Nothing below it
    can be told from noise; above it, s becomes √(s² − edge²), which is the least squared error (Gavish and
    Donoho, "Optimal Shrinkage of Singular Values", 2017). The same goes for A's eigenvalues, and what is
    negative among them is noise as well.
    """
    count, prior = len(moments.history), terms.scale
    edge = 2 * noise * math.sqrt(count)
    values, vectors = np.linalg.eigh(moments.history)
    values = _shrunk(np.maximum(values, 0.0), edge)
    # B − cA: its noise is B's, and c times A's.
    left, found, right = np.linalg.svd(moments.next - prior * moments.history)
    gain = (left * _shrunk(found, edge * math.hypot(1.0, prior))) @ right
    damped = (vectors / (values + terms.ridge * users)) @ (vectors.T @ gain)
    left, found, right = np.linalg.svd(damped / prior)
    roots = np.sqrt(found[: terms.rank])
    first, second = left[:, : terms.rank] * roots, roots[:, None] * right[: terms.rank]
    return first.astype(np.float32), second.astype(np.float32)


def _shrunk(values: Doubles, edge: float) -> Doubles:
    return np.sqrt(np.maximum(np.square(values) - edge**2, 0.0))
