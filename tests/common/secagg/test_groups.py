"""Groups from a seed: the same everywhere, as large as promised, and no division likelier than another."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.secagg.groups import _below, group_count, most_groups, partition

NAMES = [f"p{number:02}" for number in range(12)]


def test_the_division_by_a_seed_is_frozen():
    """Every site computes it by itself, so another version must not compute another one."""
    assert partition(NAMES, 3, bytes(range(32))) == (
        ("p00", "p02", "p07", "p09"),
        ("p01", "p05", "p06", "p08"),
        ("p03", "p04", "p10", "p11"),
    )


@given(st.integers(1, 40), st.integers(1, 40), st.binary(min_size=32, max_size=32))
def test_everyone_is_in_one_group_and_sizes_differ_by_one_at_most(platforms, count, seed):
    names = [f"p{number}" for number in range(platforms)]
    if count > platforms:
        with pytest.raises(ValueError, match="groups"):
            partition(names, count, seed)
        return
    groups = partition(names, count, seed)
    assert len(groups) == count
    assert sorted(name for group in groups for name in group) == sorted(names)
    sizes = [len(group) for group in groups]
    assert max(sizes) - min(sizes) <= 1
    assert all(list(group) == sorted(group) for group in groups)


def test_the_order_in_which_platforms_are_named_says_nothing():
    assert partition(NAMES[::-1], 3, b"s" * 32) == partition(set(NAMES), 3, b"s" * 32)


@pytest.mark.parametrize("seed", [b"", b"s" * 31, b"s" * 33])
def test_a_seed_has_32_bytes(seed):
    with pytest.raises(ValueError, match="key size"):
        partition(NAMES, 3, seed)


def test_no_group_at_all_is_refused():
    with pytest.raises(ValueError, match="12 platforms in 0 groups"):
        partition(NAMES, 0, b"s" * 32)


def test_every_division_is_equally_likely():
    """Four platforms in two groups: six ordered divisions, 3,000 seeds; χ² with 5 degrees, p = .001 at 20.5."""
    seeds = (number.to_bytes(32, "big") for number in range(3000))
    seen = Counter(partition("abcd", 2, seed) for seed in seeds)
    assert len(seen) == 6
    assert sum((count - 500) ** 2 / 500 for count in seen.values()) < 20.5


def test_every_pair_meets_as_often_as_any_other():
    met = Counter()
    for number in range(2000):
        for group in partition(NAMES, 3, number.to_bytes(32, "little")):
            met.update((one, other) for one in group for other in group if one < other)
    assert len(met) == 66
    assert all(abs(count / 2000 - 3 / 11) < 0.05 for count in met.values())


@pytest.mark.parametrize(
    ("platforms", "n_min", "groups"),
    [
        (3, 3, 1),
        (8, 3, 1),
        (9, 3, 2),
        (11, 3, 2),
        (12, 3, 3),
        (9, 4, 1),
        (10, 4, 2),
        (15, 4, 3),
        (100, 35, 2),
    ],
)
def test_how_many_groups_a_roster_makes(platforms, n_min, groups):
    assert most_groups(platforms, n_min) == groups
    assert group_count(platforms, platforms, n_min) == groups


@pytest.mark.parametrize(
    ("present", "groups"), [(12, 3), (11, 3), (9, 3), (8, 2), (6, 2), (5, 1), (3, 1), (2, 0), (0, 0)]
)
def test_absent_platforms_use_the_margin_before_a_group_is_given_up(present, groups):
    assert group_count(12, present, 3) == groups


@given(st.integers(9, 200), st.integers(0, 60))
def test_one_drop_out_voids_no_group(platforms, colluders):
    """A group's own threshold, and n_min, leave room for one in the smallest group."""
    n_min = max(3, colluders + 2)
    count = most_groups(platforms, n_min)
    smallest = platforms // count
    floor = max((smallest + colluders) // 2 + 1, n_min)
    assert count == 1 or floor <= smallest - 1


class Words:
    """A keystream that was written down."""

    def __init__(self, *words: int) -> None:
        self.words = list(words)

    def update(self, zeros: bytes) -> bytes:
        return self.words.pop(0).to_bytes(len(zeros), "big")


@pytest.mark.parametrize(
    ("bound", "words", "drawn"),
    [
        (3, (2**32 - 1, 7), 1),  # 2³² = 3 · 1431655765 + 1: the last word would favour 0
        (3, (2**32 - 2,), 2),
        (12, (2**32 - 4, 2**32 - 1, 13), 1),
        (12, (2**32 - 5,), 11),
        (2, (2**32 - 1,), 1),
        (4, (5,), 1),
    ],
)
def test_words_that_would_favour_a_choice_are_drawn_again(bound, words, drawn):
    stream = Words(*words)
    assert _below(stream, bound) == drawn
    assert stream.words == []
