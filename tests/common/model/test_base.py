"""The frozen map under the residual: part of what is received and of every score, never of what is trained."""

import numpy as np
import pytest
import torch

from common.model.base import flat_map, load_model, map_size
from common.model.layout import ParamLayout, WrongLayout, pack
from common.model.scorer import Scorer, zero_shot_scores
from common.model.sequence import build_model

FEATURES, RANK = 16, 3


@pytest.fixture
def factors() -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(2)
    first, second = draw.normal(size=(FEATURES, RANK)), draw.normal(size=(RANK, FEATURES))
    return first.astype(np.float32), second.astype(np.float32)


def test_a_vector_without_a_map_is_the_model_of_before() -> None:
    vector = pack(build_model("tiny", FEATURES, seed=4))
    model, history = load_model(vector, "tiny", FEATURES), torch.randn(3, 5, FEATURES)
    assert torch.equal(model(history), build_model("tiny", FEATURES, seed=4)(history))


def test_the_map_is_received_but_neither_trained_nor_part_of_the_layout(
    factors: tuple[np.ndarray, np.ndarray],
) -> None:
    parameters = pack(build_model("tiny", FEATURES))
    vector = np.concatenate([parameters, flat_map(*factors)])
    assert vector.size == parameters.size + map_size(FEATURES, RANK)
    model = load_model(vector, "tiny", FEATURES)
    assert np.array_equal(pack(model), parameters)
    assert ParamLayout.of(model).digest == ParamLayout.of(build_model("tiny", FEATURES)).digest


def test_untrained_the_model_scores_exactly_by_the_map(
    catalogue: np.ndarray, histories: object, factors: tuple[np.ndarray, np.ndarray]
) -> None:
    width = catalogue.shape[1]
    first = np.resize(factors[0], (width, RANK)).astype(np.float32)
    second = np.resize(factors[1], (RANK, width)).astype(np.float32)
    vector = np.concatenate([pack(build_model("tiny", width)), flat_map(first, second)])
    scores = Scorer(vector, "tiny").scores(histories, catalogue)  # type: ignore[arg-type]
    plain = Scorer(pack(build_model("tiny", width)), "tiny")
    moved = plain.queries(histories, catalogue) @ (np.eye(width) + first @ second)  # type: ignore[arg-type]
    assert np.allclose(scores, 6 * moved @ catalogue.T, atol=1e-4)
    # The untrained residual is exactly zero, so the order is that of the map alone.
    text = zero_shot_scores(histories, catalogue)  # type: ignore[arg-type]
    assert np.array_equal(plain.scores(histories, catalogue), text)  # type: ignore[arg-type]
    assert not np.array_equal(scores.argsort(), text.argsort())


@pytest.mark.parametrize("tail", [np.zeros(7), np.zeros(2 * FEATURES * 2 + 1), np.full(2 * FEATURES, np.nan)])
def test_a_map_of_no_rank_or_not_finite_is_refused(tail: np.ndarray) -> None:
    vector = np.concatenate([pack(build_model("tiny", FEATURES)), tail.astype(np.float32)])
    with pytest.raises(WrongLayout):
        load_model(vector, "tiny", FEATURES)
