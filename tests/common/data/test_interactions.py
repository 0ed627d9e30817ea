"""Cleaning: every dropped row is counted once, under its first reason, and users are hashed at the door."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.data.interactions import Interactions, clean, count_users, hash_user, label, order_users
from common.errors import DataError

INDEX = {"tea": 0, "rice": 1, "soap": 2}
SCHEMA = {"user": pl.String, "item": pl.String, "time": pl.Int64, "value": pl.Float32}


def cleaned(rows: Sequence[Any], index: Mapping[str, int] = INDEX, key: bytes = b"key") -> Interactions:
    frame = pl.DataFrame(rows, SCHEMA, orient="row")
    users = order_users(name for name in frame["user"].unique() if name)
    return clean(label(frame.lazy(), users, index).collect(), users, key)


def events(interactions: Interactions) -> list[tuple[str, int, int, float]]:
    names = [interactions.user_keys[user] for user in interactions.users]
    return list(
        zip(
            names,
            interactions.items.tolist(),
            interactions.times.tolist(),
            interactions.values.tolist(),
            strict=True,
        )
    )


def test_every_reason_is_counted_once() -> None:
    rows = [
        ("ann", "tea", 5, 1.0),
        ("ann", "tea", 5, 1.0),
        (None, None, None, 1.0),
        ("", "tea", 1, 1.0),
        ("ann", None, 1, 1.0),
        ("ann", "unknown", 1, 1.0),
        ("ann", "rice", None, 1.0),
        ("ann", "rice", 2, None),
        ("ann", "rice", 2, float("nan")),
    ]
    assert dict(cleaned(rows).dropped) == {
        "missing user": 2,
        "missing item": 1,
        "item without text": 1,
        "unparsable time": 1,
        "unparsable value": 2,
        "duplicate event": 1,
    }


def test_a_user_with_one_event_stays() -> None:
    assert len(cleaned([("ann", "tea", 5, 1.0)]).user_keys) == 1


def test_the_same_item_a_second_later_is_no_duplicate() -> None:
    assert len(cleaned([("ann", "tea", 5, 1.0), ("ann", "tea", 6, 1.0)])) == 2


row = st.tuples(
    st.sampled_from(["ann", "bob", "eve", "", None]),
    st.sampled_from(["tea", "rice", "soap", "unknown", None]),
    st.sampled_from([1, 2, 3, None]),
    st.sampled_from([1.0, 2.0, None]),
)


@given(st.lists(row, max_size=30), st.randoms())
def test_nothing_is_lost_and_the_order_of_rows_does_not_matter(rows: list[Any], random: Any) -> None:
    try:
        before = cleaned([*rows, ("ann", "tea", 0, 1.0)])
    except DataError:
        pytest.fail("one good row was there")
    assert len(before) + sum(before.dropped.values()) == len(rows) + 1
    random.shuffle(rows)
    assert events(cleaned([("ann", "tea", 0, 1.0), *rows])) == events(before)
    order = list(zip(before.users.tolist(), before.times.tolist(), before.items.tolist(), strict=True))
    assert order == sorted(order)


def test_users_are_known_by_their_keyed_hash_alone() -> None:
    found = cleaned([("ann", "tea", 5, 1.0)], key=b"secret")
    assert found.user_keys == (hmac.new(b"secret", b"ann", hashlib.sha256).hexdigest(),)
    assert found.user_keys != cleaned([("ann", "tea", 5, 1.0)], key=b"other").user_keys
    assert hash_user("ann", b"secret") not in repr(found)


def test_the_numbering_of_users_does_not_depend_on_the_key() -> None:
    rows = [(f"user {number}", "tea", number, 1.0) for number in range(50)]
    assert cleaned(rows, key=b"a").times.tolist() == cleaned(rows, key=b"b").times.tolist()


def test_a_sample_of_items_keeps_every_user() -> None:
    rows = [(f"user {number}", item, number, 1.0) for number in range(20) for item in INDEX]
    whole = cleaned([*rows, ("soap only", "soap", 1, 1.0)])
    sample = whole.with_first_items(2)
    assert sample.user_keys == whole.user_keys
    assert len(sample) == 40
    assert set(sample.items.tolist()) == {0, 1}


def kept(names: set[str], share: float) -> set[str]:
    ordered = order_users(names)
    return set(ordered[: count_users(ordered, share)])


@given(st.sets(st.text(max_size=4), max_size=20), st.text(max_size=4), st.floats(0, 1))
def test_one_more_user_puts_no_other_in_or_out_of_the_sample(
    names: set[str], newcomer: str, share: float
) -> None:
    assert kept(names | {newcomer}, share) - {newcomer} == kept(names, share) - {newcomer}


def test_a_share_is_met_in_expectation_and_a_smaller_one_lies_within() -> None:
    names = {f"user {number}" for number in range(4000)}
    half, quarter = kept(names, 0.5), kept(names, 0.25)
    assert 1900 < len(half) < 2100
    assert 900 < len(quarter) < 1100
    assert quarter < half
    assert kept(names, 0.0) == set()
    assert kept(names, 1.0) == names


def test_events_from_the_end_on_are_dropped_for_it() -> None:
    rows = [("ann", "tea", 5, 1.0), ("ann", "rice", 6, 1.0), ("bob", "tea", 7, None)]
    frame = pl.DataFrame(rows, SCHEMA, orient="row")
    users = order_users(["ann", "bob"])
    found = clean(label(frame.lazy(), users, INDEX, end=6).collect(), users, b"key")
    assert found.times.tolist() == [5]
    assert dict(found.dropped) == {"after the split's end": 2}


def test_an_end_before_every_event_is_told_with_its_key() -> None:
    rows = [("ann", "tea", 5, 1.0), ("ann", "rice", 6, 1.0), ("bob", "tea", None, None)]
    users = order_users(["ann", "bob"])
    labelled = label(pl.DataFrame(rows, SCHEMA, orient="row").lazy(), users, INDEX, end=1).collect()
    with pytest.raises(DataError) as caught:
        clean(labelled, users, b"key")
    assert caught.value.hint == "see split.end in the scenario"


@pytest.mark.parametrize("rows", [[], [(None, "tea", 5, 1.0), ("ann", "tea", None, 1.0)]])
def test_nothing_left_is_an_error_with_its_reasons(rows: list[Any]) -> None:
    with pytest.raises(DataError, match="no event is left after cleaning") as caught:
        cleaned(rows)
    assert caught.value.exit_code == 1
    assert ("unparsable time × 1" in caught.value.why) == bool(rows)
