"""Evaluation: how well each system ranks the full catalogue for one platform's own users.

Heads, weights and gates are chosen on the validation cut; the test cut is only measured.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clients.local.fusion import Objective, choose_weight, choose_weights, fuse
from clients.local.gate import Gate, decide, ungated
from clients.local.heads import (
    ITEM_ITEM,
    NEW_HEADS,
    POPULARITY,
    RECENT,
    REPEAT_HEADS,
    TEXT,
    LocalHeads,
    standardise,
)
from clients.slices import COLD_ITEM_EVENTS, NEW, REPURCHASE, TASKS, Audience, K, measure, possible_users
from common.data.sequences import Sequences
from common.data.split import Cut, Split
from common.deltas import Floats
from common.errors import DataError
from common.metrics.beyond_accuracy import coverage, intra_list_diversity, novelty, popularity_bias, top_items

Neural = Callable[[Sequences], Floats]
"""A model's scores for users with these histories (each item once): float32 (users, items)."""

ZERO_EXCHANGE: Final = "zero-exchange"
HEADS: Final = {NEW: NEW_HEADS, REPURCHASE: REPEAT_HEADS}
BASELINES: Final = {
    "popularity": POPULARITY,
    "popularity-7d": RECENT,
    "item-item": ITEM_ITEM,
    "zero-shot": TEXT,
}

TUNING_USERS: Final = 500
GATE_USERS: Final = 1000
LARGEST_SCORES: Final = 40_000_000  # users × items of one matrix: 160 MB
PENALTIES: Final = (100.0, 300.0, 1000.0)
_BLOCK: Final = 256


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
    """One platform's users, catalogue and local heads; fitted once, then asked about many systems."""

    def __init__(self, platform: str, features: Floats, split: Split, *, seed: int = 0) -> None:
        """``features``: float32 (items, F), unit-norm rows. ``seed`` draws the users where not all are asked.

        Raises:
            DataError: where no user has a relevant item to be judged by.
        """
        self.platform, self.features, self._split, self._seed = platform, features, split, seed
        self._validation = Audience.of(
            split.validation, self._draw(split.validation, TUNING_USERS + GATE_USERS)
        )
        users = self._draw(split.test, LARGEST_SCORES // len(features))
        if len(users) == 0:
            raise DataError("no user has a relevant item after the test moment", where=platform)
        self._test = Audience.of(split.test, np.sort(users))
        self._tuning = min(TUNING_USERS, -(-len(self._validation.users) // 2))
        self._fit()

    def baselines(self) -> Iterator[Evaluation]:
        """The heads by themselves: popularity (all time, last 7 days), item-item, zero-shot text."""
        for system, head in BASELINES.items():
            scores = self._fused(self._test_heads, self._test, {head: 1.0})
            yield self.measure(System(system, {}, dict.fromkeys(TASKS, scores)))

    def extend(self, name: str, base: System, neural: Neural, *, gated: bool = False) -> System:
        """``base`` + λ · ``neural``, λ ≥ 0 chosen per task on validation; with ``gated`` through the gate.

        Raises:
            DataError: where the model's scores are not finite or have another shape.
        """
        extra = self._neural(neural, self._validation)
        gates = {task: self._gate(task, base, extra, decide if gated else ungated) for task in TASKS}
        validation = {task: _add(base.validation[task], gates[task].weight, extra) for task in TASKS}
        if not any(gate.weight for gate in gates.values()):
            return System(name, validation, base.test, gates)
        extra = self._neural(neural, self._test)
        test = {task: _add(base.test[task], gates[task].weight, extra) for task in TASKS}
        return System(name, validation, test, gates)

    def better(self, first: System, second: System) -> System:
        """Per task the system with the higher NDCG@10 on validation users that chose no weight."""
        held_out = self._validation.part(self._tuning, len(self._validation.users))
        chosen = {}
        for task in TASKS:
            quality = [
                held_out.ndcg(task, system.validation[task][self._tuning :]).sum()
                for system in (first, second)
            ]
            chosen[task] = second if quality[1] > quality[0] else first
        return System(
            f"better of {first.name} and {second.name}",
            {task: system.validation[task] for task, system in chosen.items()},
            {task: system.test[task] for task, system in chosen.items()},
        )

    def measure(self, system: System) -> Evaluation:
        """Per-user metrics on the test cut."""
        frames = [measure(system.name, self._test, task, system.test[task], self._cold) for task in TASKS]
        return Evaluation(system.name, pl.concat(frames), self._lists(system.test[NEW]), system.gates)

    def _fit(self) -> None:
        split, tuning = self._split, self._validation.part(0, self._tuning)
        heads, penalty = self._choose_penalty(tuning)
        self._test_heads = LocalHeads.fit(split.test.known, self.features, penalty)
        known = np.bincount(split.test.known.items, minlength=len(self.features))
        self._cold = known <= COLD_ITEM_EVENTS
        self._holders = np.bincount(split.test.known.first_occurrences().items, minlength=len(self.features))
        self.weights = {
            task: choose_weights(heads.block(tuning.users, HEADS[task]), self._objective(task))
            for task in TASKS
        }
        self.zero_exchange = System(
            ZERO_EXCHANGE,
            {task: self._fused(heads, self._validation, self.weights[task]) for task in TASKS},
            {task: self._fused(self._test_heads, self._test, self.weights[task]) for task in TASKS},
        )

    def _choose_penalty(self, tuning: Audience) -> tuple[LocalHeads, float]:
        known, objective = self._split.validation.known, self._objective(NEW)
        fitted = [(LocalHeads.fit(known, self.features, penalty), penalty) for penalty in PENALTIES]
        return max(fitted, key=lambda pair: objective(pair[0].block(tuning.users, (ITEM_ITEM,))[ITEM_ITEM]))

    def _objective(self, task: str) -> Objective:
        tuning = self._validation.part(0, self._tuning)
        return lambda scores: float(tuning.ndcg(task, scores).sum())

    def _gate(self, task: str, base: System, extra: Floats, rule: Callable[..., Gate]) -> Gate:
        cut, scores = self._tuning, base.validation[task]
        weight, _ = choose_weight(scores[:cut], extra[:cut], self._objective(task))
        held_out = self._validation.part(cut, len(self._validation.users))
        ours = held_out.ndcg(task, scores[cut:] + np.float32(weight) * extra[cut:])
        return rule(ours, held_out.ndcg(task, scores[cut:]), weight, self._seed)

    def _fused(self, heads: LocalHeads, audience: Audience, weights: Mapping[str, float]) -> Floats:
        used = tuple(name for name, weight in weights.items() if weight)
        scores = np.empty((len(audience.users), len(self.features)), np.float32)
        for start in range(0, len(scores), _BLOCK):
            block = slice(start, start + _BLOCK)
            scores[block] = fuse(
                heads.block(audience.users[block], used), {name: weights[name] for name in used}
            )
        return scores

    def _neural(self, neural: Neural, audience: Audience) -> Floats:
        scores = np.empty((len(audience.users), len(self.features)), np.float32)
        for start in range(0, len(scores), _BLOCK):
            block = np.arange(start, min(start + _BLOCK, len(scores)))
            found = neural(audience.histories.take(block))
            if found.shape != scores[block].shape or not np.isfinite(found).all():
                raise DataError("a model's scores are not finite or have a wrong shape", where=self.platform)
            scores[block] = standardise(found)
        return scores

    def _lists(self, scores: Floats) -> dict[str, float]:
        lists = top_items(scores, K, self._test.histories)
        users = int(self._split.test.known.users)
        return {
            f"coverage@{K}": coverage(lists, len(self.features)),
            f"novelty@{K}": float(novelty(lists, self._holders, users).mean()),
            f"diversity@{K}": float(intra_list_diversity(lists, self.features).mean()),
            f"popularity@{K}": float(popularity_bias(lists, self._holders, users).mean()),
        }

    def _draw(self, cut: Cut, limit: int) -> NDArray[np.int64]:
        users = possible_users(cut)
        return np.random.default_rng(self._seed).permutation(users)[:limit]


def _add(base: Floats, weight: float, extra: Floats) -> Floats:
    return standardise(base + np.float32(weight) * extra) if weight else base
