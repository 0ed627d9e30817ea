"""The statistics and their solution: one user moves them by at most 1, and what is noise carries no signal."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.model.closed_form import Moments, StatisticsTerms, packed_size, solve

FEATURES, PAIRS = 12, 6
TERMS = StatisticsTerms(noise_multiplier=None, ridge=0.05, scale=0.3, rank=FEATURES)
Doubles = np.ndarray


def users(count: int, seed: int = 0) -> tuple[Doubles, Doubles]:
    """Unit queries and targets, (U, L, F); some pairs are missing, and so is everything of the last user."""
    draw = np.random.default_rng(seed)
    queries, targets = draw.normal(size=(2, count, PAIRS, FEATURES))
    queries /= np.linalg.norm(queries, axis=2, keepdims=True)
    targets /= np.linalg.norm(targets, axis=2, keepdims=True)
    missing = draw.random((count, PAIRS)) < 0.3
    missing[-1] = True
    queries[missing] = 0
    targets[missing] = 0
    return queries, targets


def one_by_one(queries: Doubles, targets: Doubles) -> Doubles:
    """The definition, user by user, in the shape that is released."""
    total = np.zeros(packed_size(FEATURES))
    for h, y in zip(queries, targets, strict=True):
        packed = np.concatenate([(h.T @ h)[np.triu_indices(FEATURES)], (h.T @ y).ravel()])
        norm = np.linalg.norm(packed)
        total += packed / norm if norm else 0
    return total


def test_the_sum_is_that_of_the_users_one_by_one() -> None:
    queries, targets = users(40)
    assert np.allclose(Moments.of_users(queries, targets).packed(), one_by_one(queries, targets), atol=1e-12)


def adversaries() -> dict[str, tuple[Doubles, Doubles]]:
    """Whoever tries to weigh more than 1: long vectors, one pair, the same pair over and over, one direction."""
    draw = np.random.default_rng(3)
    line = np.zeros((1, PAIRS, FEATURES))
    line[..., 0] = 1
    single = np.zeros((1, PAIRS, FEATURES))
    single[0, 0] = draw.normal(size=FEATURES)
    off = line.copy()
    off[..., 1] = 1
    return {
        "huge": (1e6 * draw.normal(size=(1, PAIRS, FEATURES)), 1e6 * draw.normal(size=(1, PAIRS, FEATURES))),
        "one direction": (line, line),
        "off the diagonal": (off, -off),
        "one pair": (single, -single),
        "tiny": (1e-9 * off, 1e-9 * line),
        "nothing": (0 * line, 0 * line),
    }


@pytest.mark.parametrize("name", adversaries())
def test_an_adversarial_user_moves_the_release_by_one_at_most(name: str) -> None:
    """All of the released vector, with identical others: this is the sensitivity that the noise is for."""
    (queries, targets), (h, y) = users(30), adversaries()[name]
    without = Moments.of_users(queries, targets).packed()
    together = Moments.of_users(np.concatenate([queries, h]), np.concatenate([targets, y])).packed()
    moved = np.linalg.norm(together - without)
    assert moved <= 1 + 1e-9
    assert moved == pytest.approx(0 if name == "nothing" else 1, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(-6, 6))
def test_nor_does_any_other_user(seed: int, scale: float) -> None:
    h, y = np.random.default_rng(seed).normal(size=(2, 1, PAIRS, FEATURES)) * 10**scale
    assert np.linalg.norm(Moments.of_users(h, y).packed()) == pytest.approx(1, abs=1e-9)


def test_packed_and_unpacked_are_inverse_and_the_mirror_is_exact() -> None:
    moments = Moments.of_users(*users(20))
    back = Moments.unpacked(moments.packed(), FEATURES)
    assert np.array_equal(back.next, moments.next)
    assert np.allclose(back.history, moments.history, atol=1e-12)
    noisy = moments.packed() + np.random.default_rng(1).normal(size=packed_size(FEATURES))
    history = Moments.unpacked(noisy, FEATURES).history
    assert np.array_equal(history, history.T)


def mapped(factors: tuple[Doubles, Doubles]) -> Doubles:
    first, second = factors
    return np.eye(FEATURES) + first.astype(float) @ second


def test_without_noise_the_map_is_the_ridge_solution() -> None:
    moments, count, c = Moments.of_users(*users(200)), 200, TERMS.scale
    ridge = TERMS.ridge * count
    expected = np.linalg.solve(
        moments.history + ridge * np.eye(FEATURES), moments.next + ridge * c * np.eye(FEATURES)
    )
    assert np.allclose(c * mapped(solve(moments, TERMS, count, 0.0)), expected, atol=1e-6)


def test_a_rank_keeps_the_largest_directions_of_the_correction() -> None:
    moments = Moments.of_users(*users(200))
    whole = mapped(solve(moments, TERMS, 200, 0.0)) - np.eye(FEATURES)
    first, second = solve(moments, TERMS.model_copy(update={"rank": 3}), 200, 0.0)
    assert (first.shape, second.shape) == ((FEATURES, 3), (3, FEATURES))
    found = np.linalg.svd(whole, compute_uv=False)
    left = np.linalg.svd(whole - first.astype(float) @ second, compute_uv=False)
    assert left[0] == pytest.approx(found[3], rel=1e-4)


def test_noise_alone_gives_no_map_and_a_planted_direction_survives_it() -> None:
    draw, noise, width = np.random.default_rng(5), 3.0, 48
    loud = [noise * draw.normal(size=packed_size(width)) for _ in range(5)]
    terms = TERMS.model_copy(update={"rank": 8})
    edges = [np.abs(solve(Moments.unpacked(one, width), terms, 500, noise)[0]).max() for one in loud]
    assert sorted(edges)[2] == 0  # the edge is where the largest singular value lies: in most draws nothing
    signal = np.zeros((width, width))
    signal[0, 1] = 300
    planted = Moments.unpacked(loud[0], width) + Moments(np.zeros_like(signal), signal)
    first, second = solve(planted, terms, 500, noise)
    correction = first.astype(float) @ second
    assert np.unravel_index(np.abs(correction).argmax(), correction.shape) == (0, 1)
