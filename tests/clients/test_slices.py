"""Slices hold exactly the users and items their names say."""

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from clients.slices import NEW, REPURCHASE, Audience, measure, possible_users
from common.data.sequences import Sequences
from common.data.split import Cut

ITEMS = 12


def ragged(*rows: list[int]) -> Sequences:
    owners = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    items = np.array([item for row in rows for item in row], np.int32)
    count = len(items)
    return Sequences.group(len(rows), owners, items, np.arange(count), np.ones(count, np.float32))


@pytest.fixture
def cut() -> Cut:
    """Users with 0, 1, 3 and 6 known events, and one with nothing to be judged by."""
    known = ragged([], [0], [0, 1, 0], [0, 1, 2, 3, 4, 0], [5])
    return Cut(known, new=ragged([7], [7], [8, 9], [9], []), repeat=ragged([], [], [0], [1, 2], []))


@pytest.fixture
def scores() -> NDArray[np.float32]:
    return np.tile(np.arange(ITEMS, 0, -1, dtype=np.float32), (4, 1))


def users_of(frame: pl.DataFrame, name: str) -> list[int]:
    return sorted(set(frame.filter(pl.col("slice") == name)["user"]))


def test_only_users_with_something_relevant_are_asked(cut: Cut) -> None:
    assert possible_users(cut).tolist() == [0, 1, 2, 3]


def test_cold_slices_count_known_events(cut: Cut, scores: NDArray[np.float32]) -> None:
    cold = np.arange(ITEMS) == 9
    frame = measure("s", Audience.of(cut, np.arange(4)), NEW, scores, cold)
    assert users_of(frame, "new") == [0, 1, 2, 3]
    assert users_of(frame, "cold-0") == [0]
    assert users_of(frame, "cold-1-2") == [1]
    assert users_of(frame, "cold-3-5") == [2]
    assert users_of(frame, "light") == [0, 1]
    assert users_of(frame, "heavy") == [2, 3]
    assert users_of(frame, "cold-items") == [2, 3]
    assert set(frame["metric"]) == {"ndcg@10", "recall@10", "mrr@10"}


def test_known_items_are_no_candidates_for_new_ones_but_are_for_repurchase(
    cut: Cut, scores: NDArray[np.float32]
) -> None:
    audience = Audience.of(cut, np.arange(4))
    first = audience.ranks(NEW, scores).above
    assert first.tolist() == [7, 6, 6, 7, 4]  # user 3 knows items 0 to 4
    assert audience.ranks(REPURCHASE, scores).above.tolist() == [0, 1, 2]


def test_repurchase_has_one_slice(cut: Cut, scores: NDArray[np.float32]) -> None:
    frame = measure("s", Audience.of(cut, np.arange(4)), REPURCHASE, scores, np.zeros(ITEMS, np.bool_))
    assert set(frame["slice"]) == {"repurchase"}
    assert users_of(frame, "repurchase") == [2, 3]
    recall = frame.filter((pl.col("metric") == "recall@10") & (pl.col("user") == 3))["value"]
    assert recall.to_list() == [1.0]


def test_users_keep_their_platform_numbers(cut: Cut, scores: NDArray[np.float32]) -> None:
    frame = measure("s", Audience.of(cut, np.array([3, 1])), NEW, scores[:2], np.zeros(ITEMS, np.bool_))
    assert users_of(frame, "new") == [1, 3]
    assert frame.schema == pl.Schema(
        {
            "system": pl.String,
            "user": pl.Int32,
            "slice": pl.String,
            "metric": pl.String,
            "value": pl.Float64,
        }
    )
