"""The world of the utility study: its users follow its law, and nothing ranks better than the law."""

import numpy as np
import pytest
from scipy.stats import chisquare

from common.metrics.ranking import expected_ranks, ndcg_at
from common.model.scorer import zero_shot_scores
from common.randomness import KeyedRandomness
from scenarios.experiments.utility.world import World, as_sequences


@pytest.fixture(scope="module")
def world() -> World:
    return World.make(1, 40, 4, 4)


def test_the_second_item_follows_the_law(world: World) -> None:
    first = 7
    drawn = world.users(200_000, 2, KeyedRandomness("law"))
    after = drawn[drawn[:, 0] == first, 1]
    expected = world.chances[first] * len(after)
    common = expected > 5
    observed = np.bincount(after, minlength=40)
    seen = np.append(observed[common], observed[~common].sum())
    assert len(after) > 4000
    assert chisquare(seen, np.append(expected[common], expected[~common].sum())).pvalue > 1e-4


def test_a_later_item_follows_the_law_given_that_nothing_comes_twice(world: World) -> None:
    start = np.argmax(world.chances[world.chances[0].argmax()])
    drawn = world.users(300_000, 3, KeyedRandomness("given"))
    pair = drawn[(drawn[:, 0] == start)]
    middle = np.bincount(pair[:, 1]).argmax()
    after = pair[pair[:, 1] == middle, 2]
    law = world.chances[middle].copy()
    law[start] = 0.0
    law /= law.sum()
    common = law * len(after) > 5
    observed = np.bincount(after, minlength=40)
    assert observed[start] == 0
    assert len(after) > 500
    seen = np.append(observed[common], observed[~common].sum())
    assert chisquare(seen, len(after) * np.append(law[common], law[~common].sum())).pvalue > 1e-4


def test_no_user_has_an_item_twice(world: World) -> None:
    drawn = world.users(2000, 9, KeyedRandomness("twice"))
    assert all(len(set(history)) == 9 for history in drawn.tolist())


def test_nothing_ranks_better_than_the_law(world: World) -> None:
    drawn = world.users(20_000, 5, KeyedRandomness("oracle"))
    histories, after = drawn[:, :-1], as_sequences(drawn[:, -1:])

    def quality(scores: np.ndarray) -> float:
        return float(ndcg_at(expected_ranks(scores, after, as_sequences(histories))).mean())

    law = world.oracle_scores(histories)
    noise = KeyedRandomness("noise").normal(law.size).reshape(law.shape).astype(np.float32)
    text = zero_shot_scores(as_sequences(histories), world.features)
    shaken = np.log(law + 1e-12) + noise
    assert quality(law) > quality(shaken) > quality(text) > 0


def test_public_features_do_not_tell_which_topic_comes_next(world: World) -> None:
    """Similar items are of the same topic, but the next item is of another one."""
    similar = world.features @ world.features.T
    np.fill_diagonal(similar, -2)
    likely = world.chances.argmax(axis=1)
    assert (similar.argmax(axis=1) == likely).mean() < 0.1


def test_features_have_unit_norm_and_the_same_numbers_make_the_same_world(world: World) -> None:
    np.testing.assert_allclose(np.linalg.norm(world.features, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(world.chances.sum(axis=1), 1)
    assert np.array_equal(world.features, World.make(1, 40, 4, 4).features)
    assert not np.array_equal(world.features, World.make(2, 40, 4, 4).features)
