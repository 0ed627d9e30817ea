"""Splits: nothing of the future is known, and no event is lost or asked for twice."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.data.sequences import Sequences
from common.data.split import DAY, Cut, Split, global_time, leave_last_out
from common.errors import DataError

event = st.tuples(st.integers(0, 4), st.integers(0, 9), st.integers(0, 6))  # user, day, item
logs = st.lists(event, min_size=1, max_size=60)
newcomers = st.lists(st.tuples(st.just(5), st.integers(0, 20), st.integers(0, 6)), min_size=1, max_size=20)
Log = list[tuple[int, int, int]]
Rule = Callable[[Sequences], Split]
by_moment: Rule = partial(global_time, end=9 * DAY + 1, validation_days=2, test_days=3)


def build(log: Log, people: int = 5) -> Sequences:
    users, days, items = np.array(sorted(set(log))).T
    return Sequences.group(people, users, items.astype(np.int32), days * DAY, np.ones(len(users), np.float32))


def pairs(sequences: Sequences) -> set[tuple[int, int]]:
    return set(zip(sequences.owners.tolist(), sequences.items.tolist(), strict=True))


def assert_sound(cut: Cut) -> None:
    known, new, repeat = pairs(cut.known), pairs(cut.new), pairs(cut.repeat)
    assert not new & known
    assert repeat <= known
    assert len(new) == cut.new.events
    assert len(repeat) == cut.repeat.events
    for user in range(cut.known.users):
        past = cut.known.times[cut.known.offsets[user] : cut.known.offsets[user + 1]]
        for part in (cut.new, cut.repeat):
            future = part.times[part.offsets[user] : part.offsets[user + 1]]
            assert not len(past) or not len(future) or past.max() <= future.min()


def assert_chained(split: Split) -> None:
    assert split.train is split.validation.known
    later = pairs(split.validation.new) | pairs(split.validation.repeat)
    assert pairs(split.train) | later == pairs(split.test.known)


@given(logs)
def test_global_time_knows_nothing_after_its_moment(log: Log) -> None:
    sequences = build(log)
    try:
        split = by_moment(sequences)
    except DataError:
        assert min(e[1] for e in log) > 4
        return
    for cut in (split.validation, split.test):
        assert_sound(cut)
    assert_chained(split)
    end = 9 * DAY + 1
    assert split.train.times.max() < end - 5 * DAY
    assert split.test.known.times.max() < end - 3 * DAY <= min(split.test.new.times.min(initial=end), end)
    everything = pairs(split.test.known) | pairs(split.test.new) | pairs(split.test.repeat)
    assert everything == pairs(sequences)


@given(logs)
def test_leave_last_out_asks_for_the_last_two_events(log: Log) -> None:
    sequences = build(log)
    split = leave_last_out(sequences)
    for cut in (split.validation, split.test):
        assert_sound(cut)
    assert_chained(split)
    for user in range(sequences.users):
        history = sequences.of(user).tolist()
        asked = [*split.test.new.of(user).tolist(), *split.test.repeat.of(user).tolist()]
        before = [*split.validation.new.of(user).tolist(), *split.validation.repeat.of(user).tolist()]
        assert asked == (history[-1:] if len(history) > 1 else [])
        assert before == (history[-2:-1] if len(history) > 2 else [])


def test_an_event_at_the_moment_itself_lies_after_it() -> None:
    test, validation, last = 9 * DAY + 1, 8 * DAY + 1, 10 * DAY
    times = np.array([validation - 1, validation, test - 1, test, last])
    items = np.arange(5, dtype=np.int32)
    sequences = Sequences.group(1, np.zeros(5, int), items, times, np.ones(5, np.float32))
    split = global_time(sequences, end=last + 1, validation_days=1, test_days=1)
    assert split.train.items.tolist() == [0]
    assert split.validation.new.items.tolist() == [1, 2]
    assert split.test.new.items.tolist() == [3, 4]


def test_a_period_longer_than_the_data_is_refused() -> None:
    with pytest.raises(DataError, match="no event is older than the validation period"):
        global_time(build([(0, 0, 1), (0, 9, 2)]), end=10 * DAY, validation_days=42, test_days=42)


def rows_of(split: Split, people: int) -> Iterator[list[tuple[int, ...]]]:
    """Every part of the split, as the rows of the first ``people`` users."""
    for cut in (split.validation, split.test):
        for part in (cut.known, cut.new, cut.repeat):
            columns = (part.owners, part.items, part.times)
            yield [
                row for row in zip(*(column.tolist() for column in columns), strict=True) if row[0] < people
            ]


@pytest.mark.parametrize("rule", [by_moment, leave_last_out], ids=["global-time", "leave-last-out"])
@given(log=logs, newcomer=newcomers)
def test_one_more_user_moves_no_row_of_another(rule: Rule, log: Log, newcomer: Log) -> None:
    anchored = [(0, 0, 0), *log]  # so that there is something to learn from
    before, after = rule(build(anchored, people=6)), rule(build([*anchored, *newcomer], people=6))
    assert list(rows_of(before, 5)) == list(rows_of(after, 5))


def test_events_at_or_after_the_end_are_left_out() -> None:
    log = [(0, 0, 0), (0, 8, 1), (0, 9, 2), (0, 10, 3)]
    split = global_time(build(log), end=9 * DAY, validation_days=1, test_days=2)
    assert pairs(split.test.known) | pairs(split.test.new) == {(0, 0), (0, 1)}
