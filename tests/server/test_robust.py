"""From groups to one update: by hand-made means whose middle is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.deltas import AggregateDelta
from common.errors import AggregationAborted
from common.robust import RobustTerms, Statistic
from common.secagg.errors import TooFewPlatforms
from server.robust import combine, judge, norm


def group(*values: float, weight: float = 4.0) -> AggregateDelta:
    return AggregateDelta(np.array(values, np.float32), weight, 4)


def named(
    **sums: AggregateDelta | AggregationAborted,
) -> dict[tuple[str, ...], AggregateDelta | AggregationAborted]:
    return {(name,): found for name, found in sums.items()}


@pytest.mark.parametrize(
    ("statistic", "values", "middle"),
    [
        ("mean", [1, 2, 9], 4),
        ("median", [1, 2, 9], 2),
        ("median", [1, 2, 3, 99], 2.5),
        ("median", [7], 7),
        ("median", [1, 3], 2),
        ("trimmed-mean", [1, 2, 9], 2),
        ("trimmed-mean", [0, 2, 3, 99], 2.5),
        ("trimmed-mean", [-99, 1, 2, 6, 99], 3),
        ("trimmed-mean", [-99, -99, 1, 2, 3, 6, 99, 99], 3),
        ("trimmed-mean", [7], 7),
        ("trimmed-mean", [1, 3], 2),
    ],
)
def test_the_middle_of_some_groups(statistic: Statistic, values: list[float], middle: float) -> None:
    combined = combine([group(value) for value in values], statistic)
    assert combined.dtype == np.float32
    assert combined.tolist() == [middle]


def test_it_goes_by_coordinate() -> None:
    groups = [group(1, 30), group(2, 10), group(3, 20)]
    assert combine(groups, "median").tolist() == [2, 20]
    assert combine(groups, "trimmed-mean").tolist() == [2, 20]


def test_a_heavy_group_weighs_in_the_mean_and_counts_once_in_the_middle() -> None:
    groups = [group(0, weight=1), group(2, weight=1), group(8, weight=8)]
    assert combine(groups, "mean").tolist() == [np.float32(6.6)]
    assert combine(groups, "median").tolist() == [2]


@given(st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=9), st.floats(-1e6, 1e6, width=32))
def test_one_liar_never_moves_the_middle_beyond_the_honest(honest: list[float], liar: float) -> None:
    groups = [group(value) for value in [*honest, liar]]
    for statistic in ("median", "trimmed-mean"):
        (middle,) = combine(groups, statistic)
        assert min(honest) - 1e-6 <= middle <= max(honest) + 1e-6


def test_a_norm_does_not_overflow() -> None:
    assert norm(np.array([3e38, 3e38], np.float32)) == pytest.approx(4.243e38, rel=1e-3)
    assert norm(np.array([3, -4], np.float32)) == 5


def test_groups_over_the_bound_are_told_and_left_out() -> None:
    sums = named(a=group(3, 4), b=group(3, 4.001), c=TooFewPlatforms("share"), d=group(0, 1))
    mean, groups = judge(sums, RobustTerms(norm_bound=5, statistic="median"))
    assert mean is not None
    assert mean.tolist() == [1.5, 2.5]
    assert [one.platforms for one in groups] == [("a",), ("b",), ("c",), ("d",)]
    assert [one.norm for one in groups] == [5, pytest.approx(5.0008, rel=1e-4), None, 1]
    assert [one.excluded for one in groups] == ["", "norm 5 over 5", "TooFewPlatforms", ""]


def test_no_group_within_the_bound_gives_no_update() -> None:
    mean, groups = judge(named(a=group(9)), RobustTerms(norm_bound=5))
    assert mean is None
    assert groups[0].excluded == "norm 9 over 5"


def test_without_groups_the_whole_sum_is_the_update() -> None:
    mean, (whole,) = judge(named(a=group(1, 2)), RobustTerms(norm_bound=5))
    assert mean is not None
    assert mean.tolist() == [1, 2]
    assert whole.excluded == ""
