"""Slices: the users and the items that each figure of a report is about."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from common.data.sequences import Sequences
from common.data.split import Cut
from common.deltas import Floats
from common.metrics.ranking import Ranks, expected_ranks, mrr_at, ndcg_at, recall_at

NEW: Final = "new"
REPURCHASE: Final = "repurchase"
TASKS: Final = (NEW, REPURCHASE)
"""Two rankings of the full catalogue: items new to the user (known ones filtered), and known ones again."""

K: Final = 10
METRICS: Final = {f"ndcg@{K}": ndcg_at, f"recall@{K}": recall_at, f"mrr@{K}": mrr_at}

COLD_ITEM_EVENTS: Final = 5
_COLD_USERS: Final = {"cold-0": (0, 0), "cold-1-2": (1, 2), "cold-3-5": (3, 5)}

Longs = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Audience:
    """Users asked about at one moment, and what turned out relevant to them.

    ``users``: their numbers on the platform, int64 (A,). ``known`` and ``relevant[task]``: of the same users.
    """

    users: Longs
    known: Sequences
    relevant: dict[str, Sequences]

    @classmethod
    def of(cls, cut: Cut, users: Longs) -> "Audience":
        """These users at this cut."""
        relevant = {NEW: cut.new.take(users), REPURCHASE: cut.repeat.take(users)}
        return cls(users, cut.known.take(users), relevant)

    @cached_property
    def histories(self) -> Sequences:
        """What models see: each known item once, where it first occurred."""
        return self.known.first_occurrences()

    def part(self, start: int, stop: int) -> "Audience":
        """Users ``start`` to ``stop``."""
        rows = np.arange(start, min(stop, len(self.users)))
        relevant = {task: sequences.take(rows) for task, sequences in self.relevant.items()}
        return Audience(self.users[rows], self.known.take(rows), relevant)

    def excluded(self, task: str) -> Sequences | None:
        """Items that are no candidates: the known ones where the task is to find new ones."""
        return self.histories if task == NEW else None

    def ranks(self, task: str, scores: Floats) -> Ranks:
        """Where the relevant items of ``task`` stand, ``scores``: (A, items)."""
        return expected_ranks(scores, self.relevant[task], self.excluded(task), depth=K)

    def ndcg(self, task: str, scores: Floats) -> NDArray[np.float64]:
        """NDCG@10 of the users that have a relevant item, float64."""
        values = ndcg_at(self.ranks(task, scores), K)
        return values[~np.isnan(values)]

    def total(self, task: str, scores: Floats) -> float:
        """Their NDCG@10 summed: what weights are chosen by; 0 where nobody has a relevant item."""
        return float(self.ndcg(task, scores).sum())


def possible_users(cut: Cut) -> Longs:
    """Users with a relevant item in either task, int64."""
    return np.flatnonzero(cut.new.lengths + cut.repeat.lengths)


def measure(system: str, audience: Audience, task: str, scores: Floats, cold: Mask) -> pl.DataFrame:
    """Per-user metrics of every slice of ``task``: columns system, user, slice, metric, value.

    ``cold`` (items,): items met at most COLD_ITEM_EVENTS times on the platform before.
    """
    ranks = audience.ranks(task, scores)
    frames = []
    for name, users, found in _slices(audience, task, ranks, cold):
        for metric, function in METRICS.items():
            values = function(found, K)
            mask = users & ~np.isnan(values)
            frames.append(_rows(system, audience.users[mask], name, metric, values[mask]))
    return pl.concat(frames)


def _slices(audience: Audience, task: str, ranks: Ranks, cold: Mask) -> Iterator[tuple[str, Mask, Ranks]]:
    everyone = np.ones(len(audience.users), np.bool_)
    yield task, everyone, ranks
    if task != NEW:
        return
    events = audience.known.lengths
    for name, (least, most) in _COLD_USERS.items():
        yield name, (events >= least) & (events <= most), ranks
    asked = audience.relevant[task].lengths > 0
    if asked.any():
        light, heavy = np.quantile(events[asked], [1 / 3, 2 / 3])
        yield "light", events <= light, ranks
        yield "heavy", events >= heavy, ranks
    yield "cold-items", everyone, ranks.keep(cold[audience.relevant[task].items])


def _rows(system: str, users: Longs, name: str, metric: str, values: NDArray[np.float64]) -> pl.DataFrame:
    return pl.DataFrame({"user": users.astype(np.int32), "value": values}).select(
        system=pl.lit(system), user="user", slice=pl.lit(name), metric=pl.lit(metric), value="value"
    )
