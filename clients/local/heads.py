"""Local heads: what a platform's own events before one moment say about every item, per user."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from clients.local.ease import ItemModel, fit_item_model
from common.data.sequences import Sequences
from common.data.split import DAY
from common.deltas import Floats
from common.model.scorer import zero_shot_scores

TEXT: Final = "text"
POPULARITY: Final = "popularity"
RECENT: Final = "popularity-7d"
ITEM_ITEM: Final = "ease"
FREQUENCY: Final = "own frequency"
RECENCY: Final = "own recency"

NEW_HEADS: Final = (TEXT, POPULARITY, RECENT, ITEM_ITEM)
"""Heads that can tell apart items the user does not know yet."""
REPEAT_HEADS: Final = (*NEW_HEADS, FREQUENCY, RECENCY)

_RECENT_DAYS: Final = 7
_HALF_LIFE_DAYS: Final = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class LocalHeads:
    """Every head, fitted on ``known`` alone: no event after the moment of a cut can reach a score.

    ``features``: float32 (items, F), unit-norm rows of the public texts. ``popularity``, ``recent``: (items,).
    """

    known: Sequences
    features: Floats
    popularity: Floats
    recent: Floats
    item_model: ItemModel

    @classmethod
    def fit(cls, known: Sequences, features: Floats, penalty: float) -> "LocalHeads":
        """``penalty``: ridge of the item-item model."""
        items = len(features)
        model = fit_item_model(binary_matrix(known, items), penalty)
        return cls(known, features, popularity(known, items), recent_popularity(known, items), model)

    def block(self, users: NDArray[np.int64], names: Sequence[str]) -> dict[str, Floats]:
        """The named heads for ``users``: each float32 (len(users), items), standardised per user."""
        return {name: self._head(name, users) for name in names}

    def _head(self, name: str, users: NDArray[np.int64]) -> Floats:
        shape = len(users), len(self.features)
        if name in (POPULARITY, RECENT):
            same = self.popularity if name == POPULARITY else self.recent
            return np.broadcast_to(standardise(same[None]), shape)
        if name == ITEM_ITEM:
            return standardise(self.item_model.scores(users))
        known = self.known.take(users)
        if name == TEXT:
            return standardise(zero_shot_scores(known.first_occurrences(), self.features))
        if name == FREQUENCY:
            return standardise(own_frequency(known, shape[1]))
        return standardise(own_recency(known, shape[1], now=int(self.known.times.max(initial=0))))


def popularity(known: Sequences, items: int) -> Floats:
    """log(1 + events) of each item, float32 (items,)."""
    return np.log1p(np.bincount(known.items, minlength=items)).astype(np.float32)


def recent_popularity(known: Sequences, items: int) -> Floats:
    """The same over the last seven days before the latest known event: float32 (items,)."""
    recent = known.times > known.times.max(initial=0) - _RECENT_DAYS * DAY
    return popularity(known.keep(recent), items)


def own_frequency(known: Sequences, items: int) -> Floats:
    """log(1 + how often the user met the item), float32 (users, items)."""
    counts: Floats = _matrix(known, items, np.ones(known.events, np.float32)).toarray()
    return np.log1p(counts)


def own_recency(known: Sequences, items: int, now: int) -> Floats:
    """½^(days since the user last met the item / 30), 0 where they never did: float32 (users, items)."""
    decay = np.exp2(-(now - known.times) / (_HALF_LIFE_DAYS * DAY)).astype(np.float32)
    found = np.zeros((known.users, items), np.float32)
    np.maximum.at(found, (known.owners, known.items), decay)
    return found


def binary_matrix(known: Sequences, items: int) -> Any:
    """Which users know which items: CSR float32 (users, items), ones."""
    once = known.first_occurrences()
    return _matrix(once, items, np.ones(once.events, np.float32))


def standardise(scores: Floats) -> Floats:
    """Each row minus its mean, over its standard deviation; a row without variation becomes zeros. A copy."""
    centred: Floats = scores - scores.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    spread = np.sqrt(np.einsum("ui,ui->u", centred, centred) / centred.shape[1])
    size = np.abs(scores).max(axis=1)
    varied = spread > 1e-6 * np.maximum(size, 1e-30)  # below, it is the rounding of the mean
    scale: Floats = np.divide(1.0, spread, out=np.zeros_like(spread), where=varied)
    return centred * scale[:, None]


def _matrix(known: Sequences, items: int, values: Floats) -> Any:
    return sparse.csr_matrix((values, (known.owners, known.items)), (known.users, items), np.float32)
