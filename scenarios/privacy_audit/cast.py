"""Who is in the data: canaries that a coin plants or leaves out, over a made-up public catalogue."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.data.sequences import Sequences
from common.deltas import Floats
from common.randomness import OsRandomness
from scenarios.privacy_audit.settings import Settings, Unit

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Cast:
    """Every canary, and what its coin says.

    ``features``: the catalogue, float32, (items, F), rows of unit norm. ``coins``: (canaries,). ``candidates``:
    the histories that may be in the data, (canaries · ``versions``,). With one version the coin says whether it
    is there; with two, which of them.
    """

    features: Floats
    candidates: Sequences
    coins: Bools
    versions: int

    @property
    def rows(self) -> Sequences:
        """The platform's data: the candidates that are there."""
        present = np.stack([self.coins, ~self.coins], axis=1)[:, : self.versions]
        return self.candidates.take(np.flatnonzero(present.ravel()))

    def contrast(self, presence: Floats) -> Floats:
        """From how much each candidate seems there, (rounds, candidates), to each coin, (rounds, canaries)."""
        signs = np.array([1, -1], np.float32)[: self.versions]
        told: Floats = presence.reshape(len(presence), -1, self.versions) @ signs
        return told


def draw_cast(settings: Settings, unit: Unit) -> Cast:
    """Canaries and references of ``unit``; items, ratings and coins come from the operating system.

    Items at random from a wide catalogue, rated by coin: the gradients are then nearly orthogonal, as somebody
    would have them who plants accounts. An interaction canary's row is the first of its history, where it changes
    most of what follows.
    """
    draw, count, length = OsRandomness(), settings.canaries + settings.references, settings.history
    features = draw.normal(settings.items * settings.features).reshape(settings.items, settings.features)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    # Each canary draws its items without repetition.
    order = draw.uniform(count * settings.items).reshape(count, settings.items)
    items = np.argpartition(order, length, axis=1)[:, :length]
    values = np.where(_coins(count * length, draw), 5.0, 0.5).reshape(count, length)
    keep = np.ones((count, 2 if unit == "interaction" else 1, length), np.bool_)
    keep[:, 1:, 0] = False
    owners, _, places = np.nonzero(keep)
    histories = Sequences.group(
        count * keep.shape[1],
        np.repeat(np.arange(count * keep.shape[1]), keep.sum(axis=2).ravel()),
        items[owners, places].astype(np.int32),
        np.arange(len(owners), dtype=np.int64),
        values[owners, places].astype(np.float32),
    )
    return Cast(features.astype(np.float32), histories, _coins(count, draw), keep.shape[1])


def _coins(count: int, draw: OsRandomness) -> Bools:
    return np.asarray(np.frombuffer(draw.octets(count), np.uint8) % 2, np.bool_)
