"""The local tier: what a platform ranks without any exchange, from public texts and its own rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from clients.local.fusion import back_off, choose_weights, fuse
from clients.local.heads import ITEM_ITEM, NEW_HEADS, POPULARITY, REPEAT_HEADS, LocalHeads
from clients.slices import NEW, REPURCHASE, TASKS, Audience, Longs
from common.data.split import Split
from common.deltas import Floats

HEADS: Final = {NEW: NEW_HEADS, REPURCHASE: REPEAT_HEADS}

_PENALTIES: Final = (300.0, 1000.0)


@dataclass(frozen=True, slots=True, eq=False)
class LocalTier:
    """Heads fitted before one moment, and per task the weight of each, chosen on validation users."""

    heads: LocalHeads
    weights: Mapping[str, Mapping[str, float]]

    def scores(self, task: str, users: Longs) -> Floats:
        """The zero-exchange ranking of ``users``, float32 (len(users), items), standardised per user."""
        weights = {name: weight for name, weight in self.weights[task].items() if weight}
        scores = fuse(self.heads.block(users, tuple(weights)), weights)
        if task == REPURCHASE:
            return scores
        met = self.heads.known.take(users).first_occurrences().lengths
        return back_off(scores, self.head(POPULARITY, users), met)

    def head(self, name: str, users: Longs) -> Floats:
        """One head alone, the same shape."""
        return self.heads.block(users, (name,))[name]


def fit_tiers(split: Split, features: Floats, tuning: Audience) -> tuple[LocalTier, LocalTier]:
    """The tier of the validation cut and that of the test cut, with the same penalty and the same weights.

    Both are chosen on ``tuning``, users of the validation cut; the later heads see only ``split.test.known``.
    """
    fitted = [LocalHeads.fit(split.validation.known, features, penalty) for penalty in _PENALTIES]
    quality = [tuning.total(NEW, heads.block(tuning.users, (ITEM_ITEM,))[ITEM_ITEM]) for heads in fitted]
    best = quality.index(max(quality))
    weights = {
        task: choose_weights(fitted[best].block(tuning.users, HEADS[task]), partial(tuning.total, task))
        for task in TASKS
    }
    later = LocalHeads.fit(split.test.known, features, _PENALTIES[best])
    return LocalTier(fitted[best], weights), LocalTier(later, weights)
