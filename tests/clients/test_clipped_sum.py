"""The clipped sum that shared noise protects: which users, how far each, and no noise of its own."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from clients.clipped_sum import clipped, clipped_sum
from clients.trainer import train
from common.data.sequences import Sequences
from common.deltas import Floats
from common.model.layout import pack
from common.model.sequence import build_model
from common.model.training import LocalTraining
from common.privacy.shared import SharedNoisePlan
from common.randomness import KeyedRandomness, OsRandomness

NEGATIVES = 32
CUTS = (0, 11, 50, 120)


class SameNegatives(OsRandomness):
    """The same negatives wherever they are drawn: what is left of chance is who takes part."""

    def integers(self, high: int, count: int) -> NDArray[np.int64]:
        return np.arange(count, dtype=np.int64) * 7 % high


class KeyedNegatives(KeyedRandomness):
    def integers(self, high: int, count: int) -> NDArray[np.int64]:
        return np.arange(count, dtype=np.int64) * 7 % high


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def vector(features: Floats) -> Floats:
    """Not the initial model, most of whose parameters have no gradient."""
    start = pack(build_model("tiny", features.shape[1]))
    noise = np.random.default_rng(4).normal(size=start.size)
    return np.asarray(start + 0.05 * noise, np.float32)


def terms(users: int) -> LocalTraining:
    return LocalTraining(
        optimizer="sgd", learning_rate=0.5, steps=1, negatives=NEGATIVES, bucket=users, expected_batch=users
    )


def plan(dimension: int, **changes: Any) -> SharedNoisePlan:
    fields: dict[str, Any] = {
        "epsilon": 8.0,
        "epsilon_alone": 20.0,
        "delta": 1e-5,
        "sample_rate": 1.0,
        "denominator": 120.0,
        "clip": 1e6,
        "rounds": 1,
        "local_steps": 1,
        "bucket": 120,
        "share_variance": 1,
        "shares": 2,
        "sensitivity": 1.0,
        "coordinates": dimension,
    }
    return SharedNoisePlan(**{**fields, **changes})


def of(vector: Floats, features: Floats, sequences: Sequences, **changes: Any) -> Floats:
    asked = plan(vector.size, **changes)
    return clipped_sum(vector, "tiny", features, sequences, terms(120), asked, SameNegatives()).values


def test_unclipped_and_with_everyone_it_is_the_pooled_step(
    features: Floats, sequences: Sequences, vector: Floats
) -> None:
    """The platforms' sums add up to the step of all rows in one place, worked out by another path."""
    users = sequences.users
    pooled = train(vector, "tiny", features, sequences, terms(users), None, KeyedNegatives("pooled")).values
    parts = [sequences.take(np.arange(*cut)) for cut in pairwise(CUTS)]
    total = sum(of(vector, features, part, denominator=float(users)).astype(np.float64) for part in parts)
    assert np.abs(total - pooled).max() <= 1e-6
    assert np.abs(pooled).max() > 1e-3


def test_one_user_never_moves_it_further_than_the_clip(
    features: Floats, sequences: Sequences, vector: Floats
) -> None:
    clip, few = 0.01, sequences.take(np.arange(40))
    whole = of(vector, features, few, clip=clip).astype(np.float64)
    for user in (0, 17, 39):
        without = few.take(np.delete(np.arange(40), user))
        moved = np.linalg.norm(whole - of(vector, features, without, clip=clip))
        assert 0.99 * 0.5 * clip / 120 < moved <= (1 + 1e-5) * 0.5 * clip / 120


def test_users_are_drawn_at_the_plans_rate(features: Floats, sequences: Sequences, vector: Floats) -> None:
    none = of(vector, features, sequences, sample_rate=1e-9)
    assert none.dtype == np.float32
    assert not none.any()
    first, second = (of(vector, features, sequences, sample_rate=0.5) for _ in range(2))
    assert not np.allclose(first, second)


def test_a_user_whose_gradient_is_not_finite_counts_as_nobody(
    features: Floats, sequences: Sequences, vector: Floats
) -> None:
    spoilt = features.copy()
    first = sequences.take(np.arange(1))
    spoilt[first.items] = np.inf
    assert np.isfinite(of(vector, spoilt, first)).all()


def test_rows_are_shortened_to_the_clip_and_never_stretched() -> None:
    rows = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]], dtype=torch.float64)
    assert torch.allclose(
        clipped(rows, 1.0), torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]], dtype=torch.float64)
    )
