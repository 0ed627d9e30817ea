"""A platform's sum of metrics: the users' own rankings, user by user, before any noise."""

import numpy as np
import pytest

from clients.metrics import sum_of
from clients.slices import NEW, Audience
from common.data.sequences import Sequences
from common.data.split import Cut, leave_last_out
from common.evaluation import SIZE
from common.metrics.ranking import mrr_at, ndcg_at, recall_at
from common.model.layout import pack
from common.model.scorer import Scorer, zero_shot_scores
from common.model.sequence import build_model


@pytest.fixture(scope="module")
def scorer(features: np.ndarray) -> Scorer:
    """A model whose residual says something."""
    model = build_model("tiny", features.shape[1])
    vector = pack(model)
    return Scorer(vector + np.random.default_rng(0).normal(size=vector.size).astype(np.float32) / 10, "tiny")


@pytest.fixture(scope="module")
def cut(sequences: Sequences) -> Cut:
    return leave_last_out(sequences).test


def test_it_is_what_the_rankings_give_user_by_user(scorer: Scorer, features: np.ndarray, cut: Cut) -> None:
    exact = sum_of(scorer, features, cut) * np.sqrt(SIZE)
    expected = np.zeros(SIZE)
    for user in np.flatnonzero(cut.new.lengths):
        one = Audience.of(cut, np.array([user]))
        expected[0] += 1
        for at, scores in enumerate(
            (scorer.scores(one.histories, features), zero_shot_scores(one.histories, features))
        ):
            ranks = one.ranks(NEW, scores)
            expected[1 + 3 * at : 4 + 3 * at] += [m(ranks, 10)[0] for m in (ndcg_at, recall_at, mrr_at)]
    assert exact[0] == pytest.approx((cut.new.lengths > 0).sum())
    assert exact[0] > 40
    assert np.allclose(exact, expected, atol=1e-5)
    assert not np.allclose(exact[1:4], exact[4:])


def test_one_more_user_moves_it_by_one_at_most(scorer: Scorer, features: np.ndarray, cut: Cut) -> None:
    """No user's ranking depends on who else is there, blocks of users included."""
    users = cut.known.users
    for out in (0, 7, users - 1):
        others = np.delete(np.arange(users), out)
        without = Cut(cut.known.take(others), cut.new.take(others), cut.repeat.take(others))
        moved = np.linalg.norm(sum_of(scorer, features, cut) - sum_of(scorer, features, without))
        assert moved <= 1 + 1e-6


def test_a_platform_without_anyone_to_ask_adds_zeros(scorer: Scorer, features: np.ndarray, cut: Cut) -> None:
    nobody = np.arange(0)
    empty = Cut(cut.known.take(nobody), cut.new.take(nobody), cut.repeat.take(nobody))
    assert not sum_of(scorer, features, empty).any()
