"""Coverage, novelty, diversity and popularity bias against hand-computed lists."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from common.metrics.beyond_accuracy import (
    coverage,
    intra_list_diversity,
    novelty,
    popularity_bias,
    top_items,
)

LISTS = np.array([[0, 1], [0, 2]])


@dataclass
class Known:
    offsets: NDArray[np.int64]
    items: NDArray[np.int32]


def test_top_items_skip_the_excluded_and_order_ties_by_number() -> None:
    scores = np.array([[1, 9, 5, 5], [4, 3, 2, 1]], np.float32)
    known = Known(np.array([0, 1, 1]), np.array([1], np.int32))
    assert top_items(scores, 2, known).tolist() == [[2, 3], [0, 1]]


def test_coverage() -> None:
    assert coverage(LISTS, items=6) == 0.5


def test_novelty_is_self_information() -> None:
    found = novelty(LISTS, holders=np.array([7, 3, 0]), users=7)
    assert found.tolist() == pytest.approx([(0 + 1) / 2, (0 + 3) / 2])


def test_diversity_is_one_minus_mean_cosine() -> None:
    angle = math.pi / 3
    features = np.array([[1, 0], [math.cos(angle), math.sin(angle)], [1, 0]], np.float32)
    assert intra_list_diversity(LISTS, features).tolist() == pytest.approx([0.5, 0.0], abs=1e-6)


def test_popularity_bias_is_the_share_of_users_who_know_the_items() -> None:
    assert popularity_bias(LISTS, holders=np.array([8, 4, 0]), users=8).tolist() == [0.75, 0.5]
