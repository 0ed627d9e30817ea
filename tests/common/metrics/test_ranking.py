"""Ranking metrics against hand-computed cases and against every order of the tied items."""

import itertools
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.errors import DataError
from common.metrics.ranking import expected_ranks, mrr_at, ndcg_at, recall_at


@dataclass
class Lists:
    offsets: NDArray[np.int64]
    items: NDArray[np.int32]


def lists(*rows: list[int]) -> Lists:
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    return Lists(offsets, np.array([item for row in rows for item in row], np.int32))


def scores(*rows: list[float]) -> NDArray[np.float32]:
    return np.array(rows, np.float32)


def in_order(places: list[int], k: int) -> tuple[float, float, float]:
    """NDCG, recall and reciprocal rank at ``k`` of relevant items at these places, by the textbook."""
    hits = [place for place in places if place <= k]
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(len(places), k) + 1))
    gain = sum(1 / math.log2(place + 1) for place in hits)
    return gain / ideal, len(hits) / len(places), max((1 / place for place in hits), default=0.0)


def test_hand_computed_case_without_ties() -> None:
    ranks = expected_ranks(scores([5, 4, 3, 2, 1]), lists([0, 2]))
    assert ranks.expected.tolist() == [1, 3]
    assert ndcg_at(ranks, 10)[0] == pytest.approx((1 + 1 / 2) / (1 + 1 / math.log2(3)))
    assert ndcg_at(ranks, 2)[0] == pytest.approx(1 / (1 + 1 / math.log2(3)))
    assert recall_at(ranks, 2)[0] == 0.5
    assert mrr_at(ranks, 2)[0] == 1.0


def test_excluded_items_are_no_candidates() -> None:
    ranks = expected_ranks(scores([5, 4, 3, 2, 1]), lists([2]), excluded=lists([0, 1]))
    assert ranks.expected.tolist() == [1]


def test_a_tie_counts_at_its_expected_rank() -> None:
    ranks = expected_ranks(scores([7, 7, 7, 7, 1]), lists([1, 4]))
    assert ranks.expected.tolist() == [2.5, 5]


def test_a_constant_score_is_worth_as_much_as_chance() -> None:
    items = 200
    ranks = expected_ranks(np.zeros((1, items), np.float32), lists([3, 77]), depth=10)
    assert recall_at(ranks)[0] == pytest.approx(10 / items)
    assert mrr_at(ranks)[0] < 0.1


def test_many_tied_relevant_items_never_pass_one() -> None:
    ranks = expected_ranks(np.zeros((1, 19), np.float32), lists(list(range(19))))
    assert ndcg_at(ranks)[0] == pytest.approx(1.0)
    assert recall_at(ranks)[0] == pytest.approx(10 / 19)
    assert mrr_at(ranks)[0] == pytest.approx(1.0)


def test_a_user_without_a_relevant_item_has_no_value() -> None:
    ranks = expected_ranks(scores([1, 2], [2, 1]), lists([], [0]))
    for metric in (ndcg_at, recall_at, mrr_at):
        assert np.isnan(metric(ranks)[0])
        assert metric(ranks)[1] == 1.0


def test_no_users_have_no_values() -> None:
    ranks = expected_ranks(np.empty((0, 5), np.float32), lists())
    for metric in (ndcg_at, recall_at, mrr_at):
        assert len(metric(ranks)) == 0


def test_keep_ranks_among_the_same_candidates() -> None:
    ranks = expected_ranks(scores([3, 2, 1]), lists([0, 2])).keep(np.array([False, True]))
    assert ranks.expected.tolist() == [3]
    assert recall_at(ranks, 2)[0] == 0.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(DataError, match="NaN or infinite"):
        expected_ranks(scores([1, bad]), lists([0]))


def test_an_item_both_relevant_and_excluded_is_refused() -> None:
    with pytest.raises(DataError, match="both relevant and excluded"):
        expected_ranks(scores([1, 2]), lists([0]), excluded=lists([0]))


@pytest.mark.parametrize("k", [3, 10])
@pytest.mark.parametrize("name", ["ndcg", "recall", "mrr"])
def test_rectools_agrees(name: str, k: int) -> None:
    """Figures of RecTools, written by it from its own environment (it needs an older NumPy)."""
    case = json.loads(Path(__file__).with_name("rectools.json").read_text())
    table = np.array(case["scores"], np.float32)
    ranks = expected_ranks(table, lists(*case["relevant"]), lists(*case["excluded"]), depth=k)
    metric = {"ndcg": ndcg_at, "recall": recall_at, "mrr": mrr_at}[name]
    assert metric(ranks, k).tolist() == pytest.approx(case["expected"][f"{name}@{k}"])


tied_scores = st.lists(st.integers(0, 2), min_size=2, max_size=6)


@given(tied_scores, st.data(), st.integers(1, 6))
def test_metrics_are_the_mean_over_all_orders_of_the_tied(
    values: list[int], data: st.DataObject, k: int
) -> None:
    relevant = sorted(data.draw(st.sets(st.integers(0, len(values) - 1), min_size=1)))
    orders = [
        order
        for order in itertools.permutations(range(len(values)))
        if all(values[a] >= values[b] for a, b in itertools.pairwise(order))
    ]
    outcomes = [in_order([order.index(item) + 1 for item in relevant], k) for order in orders]
    expected = np.mean(outcomes, axis=0)
    ranks = expected_ranks(scores([float(value) for value in values]), lists(relevant), depth=k)
    found = [metric(ranks, k)[0] for metric in (ndcg_at, recall_at, mrr_at)]
    assert found == pytest.approx(expected.tolist())


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_depth_changes_no_metric_cut_off_there(seed: int, depth: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 8, (5, 30)).astype(np.float32)
    relevant = lists(*[rng.choice(15, 4, replace=False).tolist() for _ in range(5)])
    excluded = lists(*[(15 + rng.choice(15, 3, replace=False)).tolist() for _ in range(5)])
    full, cut = (expected_ranks(table, relevant, excluded, deep) for deep in (None, depth))
    for metric in (ndcg_at, recall_at, mrr_at):
        np.testing.assert_allclose(metric(full, depth), metric(cut, depth))


def test_many_users_rank_as_each_alone() -> None:
    rng = np.random.default_rng(3)
    table = rng.integers(0, 50, (700, 40)).astype(np.float32)
    rows = [rng.choice(40, rng.integers(0, 5), replace=False).tolist() for _ in range(700)]
    together = expected_ranks(table, lists(*rows))
    apart = [expected_ranks(table[user : user + 1], lists(rows[user])).expected for user in range(700)]
    np.testing.assert_array_equal(together.expected, np.concatenate(apart))
