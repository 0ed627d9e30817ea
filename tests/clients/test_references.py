"""The references without a federation: repeatable, one platform or all, with the clipping and nothing else."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from clients.references import LEARNING_RATE, Rows, _add_gradient, fit
from clients.trainer import Shelf, train
from common.data.sequences import Sequences
from common.model.layout import pack
from common.model.sequence import SharedModel, build_model
from common.model.training import LocalTraining
from common.privacy.sampling import poisson_sample
from common.randomness import KeyedRandomness

TERMS = LocalTraining(
    optimizer="adam", learning_rate=LEARNING_RATE, steps=2, bucket=120, expected_batch=30.0, negatives=16
)


@pytest.fixture
def rows(features: NDArray[np.float32], sequences: Sequences) -> Rows:
    return Shelf.of(features, sequences, TERMS.history), TERMS


def start() -> np.ndarray:
    return pack(build_model("tiny", 8))


def test_the_same_key_gives_the_same_vector(rows: Rows) -> None:
    one, again, other = (fit([rows], "tiny", 2, KeyedRandomness("a", n)) for n in (1, 1, 2))
    assert one.tobytes() == again.tobytes()
    assert not np.array_equal(one, other)
    assert np.abs(one - start()).max() > 1e-3


def test_one_round_is_what_a_site_trains_with_privacy_off(
    rows: Rows, features: NDArray[np.float32], sequences: Sequences
) -> None:
    alone = fit([rows], "tiny", 1, KeyedRandomness("a"))
    delta = train(start(), "tiny", features, sequences, TERMS, None, KeyedRandomness("a"))
    assert np.allclose(alone, start() + delta.values, atol=1e-5)


def away_from_the_start() -> SharedModel:
    """Where every layer has a gradient."""
    model = build_model("tiny", 8)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    return model


def gradient_of(model: SharedModel) -> torch.Tensor:
    return torch.cat(
        [parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None]
    )


@pytest.mark.parametrize("clip", [None, 1e-3])
def test_platforms_are_averaged(rows: Rows, clip: float | None) -> None:
    """The same draw at two platforms of half the weight is the draw at one."""
    one, two = away_from_the_start(), away_from_the_start()
    _add_gradient(one, rows, 1.0, KeyedRandomness("a"), clip)
    for _ in range(2):
        _add_gradient(two, rows, 0.5, KeyedRandomness("a"), clip)
    assert gradient_of(one).norm() > 0
    assert torch.allclose(gradient_of(one), gradient_of(two), rtol=1e-4, atol=1e-9)


def test_clipping_bounds_what_every_user_adds(rows: Rows) -> None:
    model, clip = away_from_the_start(), 1e-3
    _add_gradient(model, rows, 1.0, KeyedRandomness("a"), clip)
    gradient = gradient_of(model)
    users = poisson_sample(rows[0].windows.users, TERMS.sample_rate, KeyedRandomness("a")).size
    assert 0 < gradient.norm() <= 1.001 * clip * users / TERMS.expected_batch


def test_a_clip_that_binds_nobody_changes_nothing(rows: Rows) -> None:
    plain, wide = (fit([rows], "tiny", 2, KeyedRandomness("a"), clip=clip) for clip in (None, 1e6))
    assert np.allclose(plain, wide, atol=1e-5)
