"""Fusion: weights find the useful head, ignore noise, and never do worse than the best head alone."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from clients.local.fusion import back_off, choose_weight, choose_weights, fuse
from clients.local.heads import standardise
from common.metrics.ranking import expected_ranks, ndcg_at

Floats = NDArray[np.float32]


@dataclass
class Relevant:
    offsets: NDArray[np.int64]
    items: NDArray[np.int32]


@pytest.fixture(scope="module")
def heads() -> dict[str, Floats]:
    """Item u is relevant to user u; two heads each see half of it, a third sees nothing."""
    rng = np.random.default_rng(0)
    truth = 3.0 * np.eye(80, dtype=np.float32)
    noisy = {name: truth + rng.normal(0, 1.2, truth.shape).astype(np.float32) for name in ("a", "b")}
    noise = rng.normal(0, 1, truth.shape).astype(np.float32)
    return {name: standardise(scores) for name, scores in {**noisy, "noise": noise}.items()}


def quality(scores: Floats) -> float:
    users = len(scores)
    relevant = Relevant(np.arange(users + 1), np.arange(users, dtype=np.int32))
    return float(ndcg_at(expected_ranks(scores, relevant)).mean())


def test_two_halves_are_better_than_one(heads: dict[str, Floats]) -> None:
    weights = choose_weights(heads, quality)
    alone = max(quality(scores) for scores in heads.values())
    assert min(weights["a"], weights["b"]) >= 0.35
    assert weights["noise"] <= 0.2
    assert quality(fuse(heads, weights)) > alone + 0.05


def test_weights_do_not_depend_on_the_scale_of_a_head(heads: dict[str, Floats]) -> None:
    scaled = {**heads, "b": standardise(1000 * heads["b"] + 7)}
    assert choose_weights(scaled, quality) == choose_weights(heads, quality)


def test_an_objective_that_sees_no_gain_keeps_the_first_head_alone(heads: dict[str, Floats]) -> None:
    assert choose_weights(heads, lambda scores: 0.0) == {"a": 1.0, "b": 0.0, "noise": 0.0}


def test_a_useless_addition_gets_no_weight(heads: dict[str, Floats]) -> None:
    weight, value = choose_weight(3 * np.eye(80, dtype=np.float32), heads["noise"], quality)
    assert (weight, value) == (0.0, 1.0)


def test_fused_scores_are_standardised(heads: dict[str, Floats]) -> None:
    fused = fuse(heads, {"a": 2.5, "b": 1.0})
    np.testing.assert_allclose(fused.std(axis=1), 1, rtol=1e-5)


def test_little_known_users_get_popularity_and_well_known_ones_their_own(heads: dict[str, Floats]) -> None:
    met = np.array([0, 8, 1000])
    fused, popularity = heads["a"][:3], heads["noise"][:3]
    found = back_off(fused, popularity, met)
    np.testing.assert_allclose(found[0], popularity[0], atol=1e-5)
    np.testing.assert_allclose(found[1], standardise(fused + popularity)[1], atol=1e-5)
    assert np.corrcoef(found[2], fused[2])[0, 1] > 0.999
