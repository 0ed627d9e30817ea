"""Evaluation: how well each system ranks the full catalogue for one platform's own users.

Heads, weights and gates are chosen on the validation cut; the test cut is only measured.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np
import polars as pl

from clients.local.fusion import choose_weight
from clients.local.gate import Gate, decide, ungated
from clients.local.heads import ITEM_ITEM, NEW_HEADS, standardise
from clients.local.tier import LocalTier, fit_tiers
from clients.slices import COLD_ITEM_EVENTS, NEW, TASKS, Audience, K, Longs, measure, possible_users
from common.data.sequences import Sequences
from common.data.split import Cut, Split
from common.deltas import Floats
from common.errors import DataError
from common.metrics import beyond_accuracy as beyond

Neural = Callable[[Sequences], Floats]
"""A model's scores for users with these histories (each item once): float32 (users, items)."""

ZERO_EXCHANGE: Final = "zero-exchange"

TUNING_USERS: Final = 500
GATE_USERS: Final = 1000
LARGEST_SCORES: Final = 40_000_000  # users × items of one matrix: 160 MB
_BLOCK: Final = 250


def most_users(items: int) -> int:
    """How many users at most are asked on the test cut of a catalogue of so many ``items``."""
    return LARGEST_SCORES // items


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """A system's standardised scores, (users, items) per task, on validation and on test users."""

    name: str
    validation: Mapping[str, Floats] = field(repr=False)
    test: Mapping[str, Floats] = field(repr=False)
    gates: Mapping[str, Gate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """``frame``: a value per user; columns system, user (Int32), slice, metric, value (Float64).

    ``lists``: coverage@10, novelty@10, diversity@10, popularity@10 of the lists of new items, over all users.
    ``gates``: by task, for systems with a neural part.
    """

    system: str
    frame: pl.DataFrame
    lists: Mapping[str, float]
    gates: Mapping[str, Gate]


class Evaluator:
    """One platform's users, catalogue and local tier; fitted once, then asked about many systems."""

    def __init__(self, platform: str, features: Floats, split: Split, *, seed: int = 0) -> None:
        """``features``: float32 (items, F), unit-norm rows. ``seed`` draws the users where not all are asked.

        Raises:
            DataError: where no user has a relevant item to be judged by.
        """
        self.platform, self.features, self._seed = platform, features, seed
        test_users = self._draw(split.test, most_users(len(features)))
        if len(test_users) == 0:
            raise DataError("no user has a relevant item after the test moment", where=platform)
        chosen_on = self._draw(split.validation, TUNING_USERS + GATE_USERS)
        tuned = min(TUNING_USERS, -(-len(chosen_on) // 2))
        self._tuning = Audience.of(split.validation, chosen_on[:tuned])
        self._held_out = Audience.of(split.validation, chosen_on[tuned:])
        self._validation = Audience.of(split.validation, chosen_on)
        self._test = Audience.of(split.test, np.sort(test_users))
        tiers = fit_tiers(split, features, self._tuning)
        self._tier, self.weights = tiers[1], tiers[1].weights
        self._events = np.bincount(split.test.known.items, minlength=len(features))
        once = split.test.known.first_occurrences()
        self._holders, self._users = np.bincount(once.items, minlength=len(features)), once.users
        self.zero_exchange = self._without_exchange(*tiers)

    def baselines(self) -> Iterator[Evaluation]:
        """The heads by themselves: text, popularity, popularity-7d, and ease or item-knn."""
        for head in NEW_HEADS:
            name = self._tier.heads.item_model.name if head == ITEM_ITEM else head
            scores = self._local(self._test, partial(self._tier.head, head))
            yield self.measure(System(name, {}, dict.fromkeys(TASKS, scores)))

    def extend(self, name: str, base: System, neural: Neural, *, gated: bool = False) -> System:
        """``base`` + λ · ``neural``, λ ≥ 0 chosen per task on validation; with ``gated`` through the gate.

        Raises:
            DataError: where the model's scores are not finite or have another shape.
        """
        extra = self._neural(neural, self._validation)
        gates = {task: self._gate(task, base.validation[task], extra, gated=gated) for task in TASKS}
        validation = {task: _add(base.validation[task], gates[task].weight, extra) for task in TASKS}
        if not any(gate.open for gate in gates.values()):
            return System(name, validation, base.test, gates)
        extra = self._neural(neural, self._test)
        test = {task: _add(base.test[task], gates[task].weight, extra) for task in TASKS}
        return System(name, validation, test, gates)

    def measure(self, system: System) -> Evaluation:
        """Per-user metrics on the test cut."""
        cold = self._events <= COLD_ITEM_EVENTS
        frames = [measure(system.name, self._test, task, system.test[task], cold) for task in TASKS]
        return Evaluation(system.name, pl.concat(frames), self._lists(system.test[NEW]), system.gates)

    def _without_exchange(self, validation: LocalTier, test: LocalTier) -> System:
        return System(
            ZERO_EXCHANGE,
            {task: self._local(self._validation, partial(validation.scores, task)) for task in TASKS},
            {task: self._local(self._test, partial(test.scores, task)) for task in TASKS},
        )

    def _gate(self, task: str, base: Floats, extra: Floats, *, gated: bool) -> Gate:
        tuned = len(self._tuning.users)
        weight, _ = choose_weight(base[:tuned], extra[:tuned], partial(self._tuning.total, task))
        ours = self._held_out.ndcg(task, base[tuned:] + np.float32(weight) * extra[tuned:])
        theirs = self._held_out.ndcg(task, base[tuned:])
        return (decide if gated else ungated)(ours, theirs, weight, self._seed)

    def _neural(self, neural: Neural, audience: Audience) -> Floats:
        def rows_of(rows: Longs) -> Floats:
            found = neural(audience.histories.take(rows))
            if found.shape != (len(rows), len(self.features)) or not np.isfinite(found).all():
                raise DataError(
                    "a model's scores are not finite or have a wrong shape",
                    where=self.platform,
                    hint="it may have diverged in training: lower the learning rate",
                )
            return standardise(found)

        return _in_blocks((len(audience.users), len(self.features)), rows_of)

    def _local(self, audience: Audience, users_of: Callable[[Longs], Floats]) -> Floats:
        shape = len(audience.users), len(self.features)
        return _in_blocks(shape, lambda rows: users_of(audience.users[rows]))

    def _lists(self, scores: Floats) -> dict[str, float]:
        lists = beyond.top_items(scores, K, self._test.histories)
        return {
            f"coverage@{K}": beyond.coverage(lists, len(self.features)),
            f"novelty@{K}": float(beyond.novelty(lists, self._holders, self._users).mean()),
            f"diversity@{K}": float(beyond.intra_list_diversity(lists, self.features).mean()),
            f"popularity@{K}": float(beyond.popularity_bias(lists, self._holders, self._users).mean()),
        }

    def _draw(self, cut: Cut, limit: int) -> Longs:
        return drawn_users(cut, limit, self._seed)


def _add(base: Floats, weight: float, extra: Floats) -> Floats:
    if not weight:
        return base
    return _in_blocks(base.shape, lambda rows: standardise(base[rows] + np.float32(weight) * extra[rows]))


def _in_blocks(shape: tuple[int, ...], rows_of: Callable[[Longs], Floats]) -> Floats:
    """Scores of this ``shape`` (users, items), some rows at a time: nothing else of their size is ever held."""
    scores = np.empty(shape, np.float32)
    for start in range(0, len(scores), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(scores)))
        scores[rows] = rows_of(rows)
    return scores


def drawn_users(cut: Cut, limit: int, seed: int = 0) -> Longs:
    """At most ``limit`` users with a relevant item, the same for one ``seed``; int64, in the order of the draw."""
    return np.random.default_rng(seed).permutation(possible_users(cut))[:limit]
