"""Training above a frozen map: it is held to every rule that training without one is, and moves none of it."""

import numpy as np
import pytest

from clients.per_user import validate
from clients.trainer import train
from common.data.sequences import Sequences
from common.deltas import Floats
from common.model.base import flat_map, load_model
from common.model.layout import pack
from common.model.sequence import build_model
from common.model.training import LocalTraining
from common.privacy.plan import PrivacyPlan
from common.randomness import KeyedRandomness, OsRandomness

TERMS = LocalTraining(steps=2, bucket=256, expected_batch=64, negatives=16, history=20)
PLAN = PrivacyPlan(
    epsilon=8, delta=1e-3, noise_multiplier=1e-3, sample_rate=1.0, denominator=120, clip=1.0,
    rounds=1, local_steps=1, bucket=256,
)  # fmt: skip


@pytest.fixture
def warm(features: Floats) -> Floats:
    width, draw = features.shape[1], np.random.default_rng(8)
    factors = (draw.normal(size=shape).astype(np.float32) for shape in ((width, 3), (3, width)))
    return np.concatenate([pack(build_model("tiny", width)), flat_map(*factors)])


def test_its_gradients_are_still_each_users_own(features: Floats, warm: Floats) -> None:
    validate(load_model(warm, "tiny", features.shape[1]), features.shape[1])


def test_the_delta_is_of_the_parameters_alone_and_depends_on_the_map(
    features: Floats, sequences: Sequences, warm: Floats
) -> None:
    bare = warm[: pack(build_model("tiny", features.shape[1])).size]
    cold, moved = (
        train(vector, "tiny", features, sequences, TERMS, None, KeyedRandomness("one")).values
        for vector in (bare, warm)
    )
    assert cold.shape == moved.shape == bare.shape
    assert not np.allclose(cold, moved)


def test_private_training_goes_on_from_it(features: Floats, sequences: Sequences, warm: Floats) -> None:
    terms = TERMS.model_copy(update={"learning_rate": 1.0})
    delta = train(warm, "tiny", features, sequences, terms, PLAN, OsRandomness()).values
    assert delta.size == pack(build_model("tiny", features.shape[1])).size
    assert np.linalg.norm(delta) <= 1.0 + 0.1  # 120 users of norm 1 at most, over 120
    assert delta.any()
