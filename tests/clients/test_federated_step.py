"""One full-batch step: what a federation averages is the step of all rows in one place, but for quantisation."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clients.trainer import train
from common.data.sequences import Sequences
from common.deltas import AggregateDelta, ClippedDelta, Floats, QuantizedDelta
from common.model.layout import pack
from common.model.sequence import build_model
from common.model.training import LocalTraining
from common.randomness import KeyedRandomness
from common.secagg.ring import Ring

CUTS = (0, 11, 50, 120)  # three platforms of very unequal size


class SameNegatives(KeyedRandomness):
    """The same negatives wherever they are drawn, so that all losses are sums of the same users' terms."""

    def integers(self, high: int, count: int) -> NDArray[np.int64]:
        return np.arange(count, dtype=np.int64) * 7 % high


def step(vector: Floats, features: Floats, sequences: Sequences, loss: Any) -> Floats:
    """The full batch's step of plain SGD, averaged over the users."""
    users = float(sequences.users)
    terms = LocalTraining(
        loss=loss, optimizer="sgd", learning_rate=0.5, steps=1, negatives=32,
        bucket=sequences.users, expected_batch=users,
    )  # fmt: skip
    assert terms.sample_rate == 1
    return train(vector, "tiny", features, sequences, terms, None, SameNegatives("step")).values


@pytest.fixture
def vector(features: Floats) -> Floats:
    """Not the initial model, whose residual is zero and of whose parameters most have no gradient."""
    start = pack(build_model("tiny", features.shape[1]))
    noise = np.random.default_rng(4).normal(size=start.size)
    return np.asarray(start + 0.05 * noise, np.float32)


@pytest.mark.parametrize("loss", ["softmax", "bce", "mse"])
def test_the_weighted_mean_of_the_platforms_steps_is_the_pooled_step(
    features: Floats, sequences: Sequences, vector: Floats, loss: str
) -> None:
    """Weights by a contract that counts users, as the pooled step does."""
    pooled = step(vector, features, sequences, loss)
    parts = [sequences.take(np.arange(*cut)) for cut in pairwise(CUTS)]
    steps = [step(vector, features, part, loss).astype(np.float64) for part in parts]
    mean = np.average(steps, axis=0, weights=np.diff(CUTS))
    assert np.abs(mean - pooled).max() <= 1e-6
    assert np.abs(pooled).max() > 1e-3
    assert np.abs(np.mean(steps, axis=0) - pooled).max() > 1e-4  # the weights matter


def test_the_ring_adds_its_unit_and_no_more(features: Floats, sequences: Sequences, vector: Floats) -> None:
    pooled, ring = step(vector, features, sequences, "softmax"), Ring(1.0)
    lanes = np.zeros(vector.size + 2, np.uint32)
    for first, last in pairwise(CUTS):
        delta = step(vector, features, sequences.take(np.arange(first, last)), "softmax")
        weight = (last - first) / CUTS[-1]
        sent: QuantizedDelta = ring.quantise(ClippedDelta(delta, 1.0), weight, KeyedRandomness(first))
        lanes = np.asarray(lanes + sent.lanes, np.uint32)
    found: AggregateDelta = ring.dequantise(lanes)
    assert np.abs(found.mean - pooled).max() <= 1e-6 + 3 / ring.top
