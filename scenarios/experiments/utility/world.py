"""A shop of known structure: what its users do next is a law, so the best possible ranking is known too.

Items have a topic and a style, both public. Users go round the topics in an order that no text tells, and keep
to the style they have: text similarity finds the style, only the users' records show the order.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from common.data.sequences import Sequences
from common.randomness import KeyedRandomness

Features = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int32]

_TOPIC: Final = 0.6  # weight of the topic in an item's features; the rest is style
_SHARPNESS: Final = 10.0  # of a user's taste: the next item is drawn from a softmax of 14 · wish · item


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """``features``: unit norm, (items, F). ``chances``: rows are what comes after an item, (items, items)."""

    features: Features
    chances: Doubles

    @classmethod
    def make(cls, seed: int, items: int, topics: int, styles: int) -> Self:
        """The same world for the same numbers. After topic t comes topic t + 1, after the last the first."""
        draw = KeyedRandomness("world", seed, items, topics, styles)
        topic = np.eye(topics)[draw.integers(topics, items)]
        style = draw.normal(items * styles).reshape(items, styles)
        style /= np.linalg.norm(style, axis=1, keepdims=True)
        rest = (1 - _TOPIC**2) ** 0.5
        turn = np.linalg.qr(draw.normal(topics**2).reshape(topics, topics))[0]  # no axis is a topic's own
        exact = np.concatenate([_TOPIC * topic @ turn, rest * style], axis=1)
        wish = np.concatenate([_TOPIC * np.roll(topic, 1, axis=1) @ turn, rest * style], axis=1)
        weights = np.exp(_SHARPNESS * (wish @ exact.T))
        np.fill_diagonal(weights, 0.0)
        return cls(exact.astype(np.float32), weights / weights.sum(axis=1, keepdims=True))

    def users(self, count: int, events: int, draw: KeyedRandomness) -> Ints:
        """Histories of ``count`` new users, no item twice: (count, events). The first item is any, evenly."""
        items = len(self.features)
        ladder = np.cumsum(self.chances, axis=1)
        rungs = (
            ladder / ladder[:, -1:] + np.arange(items)[:, None]
        ).ravel()  # all rows as one ascending line
        histories = np.empty((count, events), np.int32)
        histories[:, 0] = draw.integers(items, count)
        for place in range(1, events):
            left = np.arange(count)
            while len(left):  # an item that was there before is drawn again: the law, given what is left
                before = histories[left, place - 1]
                found = np.searchsorted(rungs, before + draw.uniform(len(left))) - before * items
                histories[left, place] = np.minimum(found, items - 1)
                left = left[(histories[left, :place] == histories[left, place, None]).any(axis=1)]
        return histories

    def oracle_scores(self, histories: Ints) -> Features:
        """The law itself, as scores (users, items): no ranking has a higher expected NDCG."""
        return self.chances[histories[:, -1]].astype(np.float32)


def as_sequences(histories: Ints) -> Sequences:
    """Rows of equal length, (users, events), as the product's ragged sequences; an event a second."""
    users, events = histories.shape
    return Sequences(
        np.arange(users + 1, dtype=np.int64) * events,
        np.ascontiguousarray(histories).ravel(),
        np.tile(np.arange(events, dtype=np.int64), users),
        np.ones(users * events, np.float32),
    )
