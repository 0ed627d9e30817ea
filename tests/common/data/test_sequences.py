"""Sequences: ragged operations agree with plain lists."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from common.data.sequences import Sequences

histories = st.lists(st.lists(st.integers(0, 5), max_size=8), min_size=1, max_size=6)


def build(users: list[list[int]]) -> Sequences:
    items = np.array([item for user in users for item in user], np.int32)
    owners = np.array([number for number, user in enumerate(users) for _ in user], np.int64)
    return Sequences.group(len(users), owners, items, np.arange(len(items)), np.ones(len(items), np.float32))


def lists(sequences: Sequences) -> list[list[int]]:
    return [sequences.of(user).tolist() for user in range(sequences.users)]


@given(histories)
def test_grouping_keeps_every_user_and_every_event(users: list[list[int]]) -> None:
    sequences = build(users)
    assert lists(sequences) == users
    assert sequences.lengths.tolist() == [len(user) for user in users]
    assert sequences.positions.tolist() == [place for user in users for place in range(len(user))]


@given(histories)
def test_first_occurrences_are_the_distinct_items_in_order(users: list[list[int]]) -> None:
    assert lists(build(users).first_occurrences()) == [list(dict.fromkeys(user)) for user in users]


@given(histories, st.integers(1, 10))
def test_last_keeps_the_latest(users: list[list[int]], count: int) -> None:
    assert lists(build(users).last(count)) == [user[-count:] for user in users]


@given(histories, st.data())
def test_take_selects_users_in_the_given_order(users: list[list[int]], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(users) - 1), max_size=8))
    assert lists(build(users).take(chosen)) == [users[user] for user in chosen]


def test_times_and_values_travel_with_their_items() -> None:
    items, times = np.array([7, 8, 7], np.int32), np.array([1, 2, 3])
    kept = Sequences.group(
        1, np.zeros(3, int), items, times, np.array([1, 5, 2], np.float32)
    ).first_occurrences()
    assert (kept.times.tolist(), kept.values.tolist()) == ([1, 2], [1.0, 5.0])
