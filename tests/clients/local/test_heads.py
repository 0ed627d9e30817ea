"""Local heads: by hand on a few events, standardised per user, and blind to what comes after the moment."""

import numpy as np
import pytest
from numpy.typing import NDArray

from clients.local.heads import (
    REPEAT_HEADS,
    TEXT,
    LocalHeads,
    own_frequency,
    own_recency,
    popularity,
    recent_popularity,
    standardise,
)
from common.data.sequences import Sequences
from common.data.split import DAY, Split
from common.model.scorer import zero_shot_scores


@pytest.fixture
def known() -> Sequences:
    """User 0: item 1 on days 0 and 60, item 2 on day 30; user 1: item 2 on day 59."""
    times = np.array([0, 30, 60, 59], np.int64) * DAY
    return Sequences(np.array([0, 3, 4]), np.array([1, 2, 1, 2], np.int32), times, np.ones(4, np.float32))


def test_popularity_counts_events(known: Sequences) -> None:
    assert popularity(known, 4).tolist() == pytest.approx(np.log1p([0, 2, 2, 0]).tolist())


def test_recent_popularity_counts_the_last_seven_days(known: Sequences) -> None:
    assert recent_popularity(known, 4).tolist() == pytest.approx(np.log1p([0, 1, 1, 0]).tolist())


def test_habits_by_hand(known: Sequences) -> None:
    assert own_frequency(known, 4)[0].tolist() == pytest.approx(np.log1p([0, 2, 1, 0]).tolist())
    assert own_recency(known, 4, now=60 * DAY)[0].tolist() == pytest.approx([0, 1.0, 0.5, 0])


def test_standardise() -> None:
    scores = np.random.default_rng(0).normal(5, 3, (4, 200)).astype(np.float32)
    scores[1] = 0.1
    found = standardise(scores)
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(found[[0, 2, 3]].std(axis=1), 1, rtol=1e-5)
    assert np.abs(found[1]).max() == 0


def test_every_head_is_standardised_per_user(split: Split, features: NDArray[np.float32]) -> None:
    heads = LocalHeads.fit(split.train, features, penalty=10.0)
    users = np.flatnonzero(split.train.lengths > 2)[:7]
    for name, scores in heads.block(users, REPEAT_HEADS).items():
        assert scores.shape == (7, len(features)), name
        np.testing.assert_allclose(scores.mean(axis=1), 0, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(scores.std(axis=1), 1, rtol=1e-4, err_msg=name)


def test_text_is_the_untrained_shared_model(split: Split, features: NDArray[np.float32]) -> None:
    heads = LocalHeads.fit(split.train, features, penalty=10.0)
    expected = zero_shot_scores(split.train.take([9]).first_occurrences(), features)
    np.testing.assert_array_equal(heads.block(np.array([9]), (TEXT,))[TEXT], standardise(expected))
