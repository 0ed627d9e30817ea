import numpy as np
import pytest

from common.model.layout import ParamLayout, pack
from common.model.scorer import Scorer, zero_shot_scores
from common.model.sequence import TEMPERATURE, build_model
from common.model.training import HISTORY


def trained(features):
    model = build_model("tiny", features)
    change = np.random.default_rng(5).normal(scale=0.1, size=ParamLayout.of(model).size)
    return Scorer(pack(model) + change.astype(np.float32), "tiny")


def test_one_bought_item_is_its_own_best_match(catalogue, histories):
    scores = zero_shot_scores(histories, catalogue)
    assert scores.dtype == np.float32
    assert scores[1].argmax() == 7
    assert scores[1, 7] == pytest.approx(TEMPERATURE, rel=1e-5)
    assert not scores[2].any()  # no history, nothing to say


def test_scores_do_not_depend_on_who_else_is_scored(catalogue, histories):
    scorer = trained(catalogue.shape[1])
    together = scorer.scores(histories, catalogue)
    alone = np.vstack([scorer.scores(histories.take([user]), catalogue) for user in range(histories.users)])
    assert np.allclose(together, alone, rtol=1e-4, atol=1e-5)


def test_only_the_latest_items_count(catalogue, histories):
    scorer = trained(catalogue.shape[1])
    assert np.array_equal(
        scorer.scores(histories, catalogue), scorer.scores(histories.last(HISTORY - 1), catalogue)
    )


def test_a_read_only_map_of_features_will_do(catalogue, histories):
    locked = catalogue.copy()
    locked.flags.writeable = False
    assert np.array_equal(zero_shot_scores(histories, locked), zero_shot_scores(histories, catalogue))
