"""How well a ranking puts relevant items first: NDCG, recall and reciprocal rank per user, with exact ties.

Tied items have no order of their own. Every metric here is the expectation over all orders of the tied items
(McSherry and Najork, "Computing information retrieval performance measures efficiently in the presence of
tied scores", ECIR 2008), so that a tie is neither a win nor a loss and no metric passes 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from common.errors import DataError

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Longs = NDArray[np.int64]

_BLOCK: Final = 256  # users, so that a block of scores stays near the cache


class Ragged(Protocol):
    """Items per user: user ``u`` has ``items[offsets[u]:offsets[u + 1]]``, none twice."""

    @property
    def offsets(self) -> Longs:
        """int64, (users + 1,)."""

    @property
    def items(self) -> NDArray[np.int32]:
        """int32, (entries,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """Where each relevant item stands among the candidates of its user.

    ``owners``: the user of each relevant item. ``above``: how many candidates have a higher score. ``tied``:
    how many have the same score, itself included. All int64 (entries,).
    """

    users: int
    owners: Longs
    above: Longs
    tied: Longs

    @property
    def expected(self) -> Doubles:
        """The expected rank of each relevant item, from 1: the middle of the places its ties share."""
        return self.above + (self.tied + 1) / 2

    def keep(self, mask: NDArray[np.bool_]) -> "Ranks":
        """Only the relevant items where ``mask`` (entries,) is true, ranked among the same candidates."""
        return Ranks(self.users, self.owners[mask], self.above[mask], self.tied[mask])

    def total(self, values: NDArray[np.generic] | None = None) -> Doubles:
        """Sum of ``values`` (entries,) per user, or the number of relevant items: float64 (users,)."""
        return np.bincount(self.owners, values, minlength=self.users).astype(np.float64)


def expected_ranks(
    scores: Floats, relevant: Ragged, excluded: Ragged | None = None, depth: int | None = None
) -> Ranks:
    """Rank ``relevant`` items among all items but the ``excluded`` ones, by ``scores`` (users, items).

    With ``depth`` only places up to it are told apart: an item certain to lie beyond gets ``above = depth``,
    which no metric cut off at ``depth`` or before can tell from its true place.

    Raises:
        DataError: where a score is NaN or infinite, or an item is both relevant and excluded.
    """
    depth = min(depth or scores.shape[1], scores.shape[1])
    owners, _ = _entries(relevant, 0, len(scores))
    above, tied = np.empty(len(owners), np.int64), np.empty(len(owners), np.int64)
    for start, candidates in candidate_blocks(scores, excluded):
        stop = start + len(candidates)
        cells = slice(*np.searchsorted(owners, [start, stop]))
        above[cells], tied[cells] = _rank(candidates, *_entries(relevant, start, stop), depth)
    return Ranks(len(scores), owners, above, tied)


def candidate_blocks(scores: Floats, excluded: Ragged | None) -> Iterator[tuple[int, Floats]]:
    """Some users' ``scores`` at a time, as copies with ``excluded`` items at −∞, each with its first user.

    Raises:
        DataError: where a score is NaN or infinite.
    """
    for start in range(0, len(scores), _BLOCK):
        block = scores[start : start + _BLOCK].copy()
        if not np.isfinite(block).all():
            raise DataError("a score is NaN or infinite", hint="look for NaN in features or a diverged model")
        if excluded is not None:
            block[_entries(excluded, start, start + len(block))] = -np.inf
        yield start, block


def _rank(candidates: Floats, owners: Longs, items: NDArray[np.int32], depth: int) -> tuple[Longs, Longs]:
    """(above, tied) of each relevant item, exact down to ``depth``; ``candidates``: (users, items)."""
    values = candidates[owners, items]
    if np.isneginf(values).any():
        raise DataError("an item is both relevant and excluded")
    first = candidates.shape[1] - depth
    top = np.partition(candidates, first, axis=1)[:, first:]  # (users, depth), its least first
    above, tied = np.full(len(owners), depth, np.int64), np.ones(len(owners), np.int64)
    reached = np.flatnonzero(values >= top[owners, 0])
    for chunk in np.array_split(reached, -(-len(reached) // _BLOCK) or 1):
        rows, own = top[owners[chunk]], values[chunk, None]
        above[chunk] = np.count_nonzero(rows > own, axis=1)
        tied[chunk] = np.count_nonzero(rows == own, axis=1)
        edge = chunk[
            values[chunk] == top[owners[chunk], 0]
        ]  # these may share their score with items below `top`
        tied[edge] = np.count_nonzero(candidates[owners[edge]] == values[edge, None], axis=1)
    return above, tied


def ndcg_at(ranks: Ranks, k: int = 10) -> Doubles:
    """Normalised discounted cumulative gain of the first ``k`` places, float64 (users,).

    Binary gains, discount 1 / log₂(rank + 1) (Järvelin and Kekäläinen, 2002). The ideal list holds
    min(n, k) relevant items. NaN for a user without a relevant item.
    """
    ideal = _discounts(k)[np.minimum(ranks.total(), k).astype(np.int64)]
    return _divide(ranks.total(_gains(ranks, _discounts(k))), ideal)


def recall_at(ranks: Ranks, k: int = 10) -> Doubles:
    """Share of a user's n relevant items within the first ``k`` places, hits / n: float64 (users,).

    NaN for a user without a relevant item.
    """
    return _divide(ranks.total(_gains(ranks, np.arange(k + 1, dtype=np.float64))), ranks.total())


def mrr_at(ranks: Ranks, k: int = 10) -> Doubles:
    """1 / rank of the first relevant item, 0 beyond place ``k``: float64 (users,).

    Among ties the first relevant item is the first of m drawn without replacement from t places (negative
    hypergeometric). NaN for a user without a relevant item.
    """
    best = np.full(ranks.users, k, np.int64)
    np.minimum.at(best, ranks.owners, ranks.above)
    first = ranks.above == best[ranks.owners]
    relevant = np.bincount(ranks.owners[first], minlength=ranks.users).astype(np.float64)
    tied = np.zeros(ranks.users)
    tied[ranks.owners[first]] = ranks.tied[first]
    expected, none_yet = np.zeros(ranks.users), np.ones(ranks.users)
    for place in range(1, k + 1):  # among the tied
        hit = np.minimum(relevant / np.maximum(tied - place + 1, 1.0), 1.0)
        expected += np.where(best + place <= k, none_yet * hit / (best + place), 0.0)
        none_yet *= 1.0 - hit
    return np.where(ranks.total() > 0, expected, np.nan)


def _entries(ragged: Ragged, start: int, stop: int) -> tuple[Longs, NDArray[np.int32]]:
    """User, counted from ``start``, and item of every entry of the users from ``start`` to ``stop``."""
    offsets = ragged.offsets[start : stop + 1]
    users = np.repeat(np.arange(stop - start, dtype=np.int64), np.diff(offsets))
    return users, ragged.items[offsets[0] : offsets[-1]]


def _discounts(k: int) -> Doubles:
    """Cumulative discount of the first 0, 1, …, k places."""
    return np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(2, k + 2)))])


def _gains(ranks: Ranks, cumulative: Doubles) -> Doubles:
    """Mean gain of each relevant item over the places its ties share."""
    k = len(cumulative) - 1
    last = np.minimum(ranks.above + ranks.tied, k)
    first = np.minimum(ranks.above, k)
    gains: Doubles = (cumulative[last] - cumulative[first]) / ranks.tied
    return gains


def _divide(total: Doubles, by: Doubles) -> Doubles:
    ratio: Doubles = np.divide(total, by, out=np.full(len(total), np.nan), where=by > 0)
    return ratio
