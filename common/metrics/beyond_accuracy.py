"""What recommendations are like beyond being right: coverage, novelty, diversity and popularity bias."""

import numpy as np
from numpy.typing import NDArray

from common.metrics.ranking import Doubles, Floats, Ragged, candidate_blocks

Lists = NDArray[np.int64]
"""Recommended items, best first, (users, k)."""


def top_items(scores: Floats, k: int = 10, excluded: Ragged | None = None) -> Lists:
    """The ``k`` best items of each user by ``scores`` (users, items); in a list, ties go by item number.

    Which of several items tied for the last place is listed is left open, but repeats. A catalogue of fewer items
    gives shorter lists.

    Raises:
        DataError: where a score is NaN or infinite.
    """
    k = min(k, scores.shape[1])
    lists = np.empty((len(scores), k), np.int64)
    for start, candidates in candidate_blocks(scores, excluded):
        best = np.sort(np.argpartition(-candidates, k - 1, axis=1)[:, :k], axis=1)
        order = np.argsort(-np.take_along_axis(candidates, best, axis=1), axis=1, kind="stable")
        lists[start : start + len(candidates)] = np.take_along_axis(best, order, axis=1)
    return lists


def coverage(lists: Lists, items: int) -> float:
    """Share of the catalogue that is recommended to at least one user, in [0, 1]."""
    return len(np.unique(lists)) / items


def novelty(lists: Lists, holders: NDArray[np.integer], users: int) -> Doubles:
    """Mean −log₂((holders + 1) / (users + 1)) of the recommended items, in bits: float64 (users,).

    ``holders`` (items,): how many of the platform's ``users`` know the item. Self-information as in Zhou et
    al. (PNAS 2010); one is added so that an item nobody knows is finite.
    """
    bits = -np.log2((holders + 1) / (users + 1))
    return np.asarray(bits[lists].mean(axis=1), np.float64)


def intra_list_diversity(lists: Lists, features: Floats) -> Doubles:
    """Mean 1 − cosine over the pairs of a list (Ziegler et al., WWW 2005): float64 (users,).

    ``features``: (items, F), unit-norm rows. Needs lists of at least two.
    """
    k = lists.shape[1]
    vectors = features[lists].astype(np.float64)  # (users, k, F)
    total = np.square(vectors.sum(axis=1)).sum(
        axis=1
    )  # Σ over all ordered pairs, each item with itself included
    own = np.square(vectors).sum(axis=(1, 2))
    return np.asarray(1.0 - (total - own) / (k * (k - 1)), np.float64)


def popularity_bias(lists: Lists, holders: NDArray[np.integer], users: int) -> Doubles:
    """Mean share of the platform's users who already know the recommended items, in [0, 1]: float64 (users,).

    The average recommendation popularity of Abdollahpouri et al. (2017), per user of the platform.
    """
    return np.asarray((holders / users)[lists].mean(axis=1), np.float64)
