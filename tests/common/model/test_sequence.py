import numpy as np
import pytest
import torch

from common.model.layout import ParamLayout, pack
from common.model.scorer import Scorer, zero_shot_scores
from common.model.sequence import SIZES, build_model, recency_queries


def randomised(size="tiny", features=16, seed=1):
    model = build_model(size, features)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


@pytest.mark.parametrize("size", SIZES)
def test_untrained_it_is_the_text_recommender_to_the_last_bit(size, catalogue, histories):
    scorer = Scorer(pack(build_model(size, catalogue.shape[1])), size)
    assert np.array_equal(scorer.scores(histories, catalogue), zero_shot_scores(histories, catalogue))


def test_trained_it_is_not(catalogue, histories):
    scores = Scorer(pack(randomised()), "tiny").scores(histories, catalogue)
    assert not np.allclose(scores, zero_shot_scores(histories, catalogue))


def test_a_query_sees_nothing_that_comes_later():
    model, history = randomised(), torch.randn(2, 10, 16)
    changed = history.clone()
    changed[:, 6:] = torch.randn(2, 4, 16)
    before, after = model(history), model(changed)
    assert torch.allclose(before[:, :6], after[:, :6], atol=1e-6)
    assert not torch.allclose(before[:, 6:], after[:, 6:])


def test_recent_items_weigh_more_and_nothing_gives_nothing():
    history = torch.eye(3).unsqueeze(0)
    query = recency_queries(history)[0, -1]
    assert query[2] > query[1] > query[0] > 0
    assert query.norm().item() == pytest.approx(1)
    assert not recency_queries(torch.zeros(1, 3, 4)).any()


def test_initialisation_ignores_torchs_random_state_and_leaves_it_alone():
    torch.manual_seed(1)
    first = pack(build_model("tiny", 16))
    torch.manual_seed(2)
    assert np.array_equal(first, pack(build_model("tiny", 16)))
    assert not np.array_equal(first, pack(build_model("tiny", 16, seed=1)))


def test_the_default_size_stays_small():
    assert 30_000 < ParamLayout.of(build_model("small", 128)).size < 60_000
