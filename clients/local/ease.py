"""EASE, the linear item-item model with a zero diagonal, in closed form; item-kNN where that is too large."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import lapack

from common.deltas import Floats

LARGEST_INVERSE: Final = 10_000
"""Rows of the largest matrix inverted here: 400 MB, about a minute on one core."""

_BLOCK: Final = 250
_NEIGHBOURS: Final = 100
_SHRINKAGE: Final = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class DualEase:
    """EASE through the users' Gram matrix, for fewer users than items.

    With M = (X Xᵀ + λI)⁻¹, Woodbury gives P = (XᵀX + λI)⁻¹ = (I − Xᵀ M X) / λ and X P = M X, so the scores
    of the users it was fitted on are X − (M X) / diag P: nothing of size items² is ever built.
    """

    history: Any  # scipy CSR, float32 (users, items)
    inverse: Floats  # M, (users, users)
    precision: Floats  # diag P, (items,)

    @classmethod
    def fit(cls, history: Any, penalty: float) -> "DualEase":
        """From binary ``history`` (CSR, users × items) with ridge ``penalty`` λ."""
        inverse = _inverse((history @ history.T).toarray(), penalty)
        explained = np.zeros(history.shape[1])  # diag(Xᵀ M X)
        for start in range(0, len(inverse), _BLOCK):
            block = slice(start, start + _BLOCK)
            product = history.T @ np.ascontiguousarray(inverse[:, block])  # (items, block)
            explained += np.asarray(history[block].T.multiply(product).sum(axis=1)).ravel()
        return cls(history, inverse, ((1.0 - explained) / penalty).astype(np.float32))

    @property
    def name(self) -> str:
        """As reports call it."""
        return "ease"

    def scores(self, users: NDArray[np.int64]) -> Floats:
        """float32 (len(users), items)."""
        own: Floats = self.history[users].toarray()
        product = (self.history.T @ np.ascontiguousarray(self.inverse[:, users])).T  # M X, M being symmetric
        own -= product / self.precision
        return own


@dataclass(frozen=True, slots=True, eq=False)
class ItemWeights:
    """A linear item-item model: score = history · weights."""

    history: Any  # scipy CSR, float32 (users, items)
    weights: Any  # float32 (items, items), dense or CSR

    @classmethod
    def ease(cls, history: Any, penalty: float) -> "ItemWeights":
        """EASE (Steck, WWW 2019): B = I − P / diag P with P = (XᵀX + λI)⁻¹."""
        inverse = _inverse((history.T @ history).toarray(), penalty)
        weights = -inverse / np.diag(inverse)
        np.fill_diagonal(weights, 0.0)
        return cls(history, weights)

    @classmethod
    def neighbours(cls, history: Any) -> "ItemWeights":
        """Item-kNN: shrunk cosine of co-occurrence, 100 neighbours of each item (Sarwar et al., WWW 2001)."""
        together = (history.T @ history).tocsr().astype(np.float32)
        norms = np.sqrt(together.diagonal())
        rows = np.repeat(np.arange(together.shape[0]), np.diff(together.indptr))
        together.data /= norms[rows] * norms[together.indices] + _SHRINKAGE
        together.setdiag(0.0)
        return cls(history, _strongest(together, _NEIGHBOURS))

    @property
    def name(self) -> str:
        """As reports call it: item-kNN keeps few neighbours of each item, EASE weighs all."""
        return "item-knn" if sparse.issparse(self.weights) else "ease"

    def scores(self, users: NDArray[np.int64]) -> Floats:
        """float32 (len(users), items)."""
        found = self.history[users] @ self.weights
        return np.asarray(found.toarray() if sparse.issparse(found) else found, np.float32)


ItemModel = DualEase | ItemWeights


def fit_item_model(history: Any, penalty: float) -> ItemModel:
    """EASE in whichever form inverts less; item-kNN where both users and items exceed LARGEST_INVERSE."""
    users, items = history.shape
    if min(users, items) > LARGEST_INVERSE:
        return ItemWeights.neighbours(history)
    return DualEase.fit(history, penalty) if users < items else ItemWeights.ease(history, penalty)


def _inverse(gram: Floats, penalty: float) -> Floats:
    """(gram + penalty · I)⁻¹ of a symmetric matrix, by Cholesky."""
    gram[np.diag_indices_from(gram)] += penalty
    factor, _ = lapack.spotrf(gram, lower=1)
    lower, _ = lapack.spotri(factor, lower=1)
    inverse: Floats = np.tril(lower) + np.tril(lower, -1).T
    return inverse


def _strongest(matrix: Any, count: int) -> Any:
    """Each column's ``count`` largest entries of a symmetric matrix."""
    rows = [row if row.nnz <= count else _cut(row, count) for row in matrix]
    return sparse.vstack(rows).T.tocsr()


def _cut(row: Any, count: int) -> Any:
    chosen = np.argpartition(-row.data, count - 1)[:count]
    return sparse.csr_matrix((row.data[chosen], (np.zeros(count, np.int64), row.indices[chosen])), row.shape)
