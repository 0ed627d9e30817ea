from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.experiments.report.axis import Axis, fitted, nice_step
from scenarios.experiments.report.bars import stacked
from scenarios.experiments.report.svg import Interval, apart, forest, utility
from scenarios.experiments.report.wording import percent_tick, plain_tick

VALUES = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(st.lists(VALUES, min_size=1))
def test_an_axis_holds_every_value(values: list[float]) -> None:
    axis = fitted(values, 100, 600)
    assert all(100 <= axis.at(value) <= 600 for value in values)


@given(st.floats(1e-6, 1e6))
def test_a_nice_step_is_at_least_the_rough_one_and_below_two_and_a_half_of_it(rough: float) -> None:
    assert rough * (1 - 1e-6) <= nice_step(rough) <= 2.5 * rough


def test_ticks_have_the_decimals_their_step_needs() -> None:
    assert [tick.text for tick in Axis(0.03, 0.0425, 0, 100).ticks(plain_tick)] == [
        "0.0300",
        "0.0325",
        "0.0350",
        "0.0375",
        "0.0400",
        "0.0425",
    ]
    assert [tick.text for tick in Axis(-0.02, 0.02, 0, 100).ticks(percent_tick)] == [
        "−2 %",
        "−1 %",
        "0 %",
        "+1 %",
        "+2 %",
    ]


def test_a_forest_shows_the_band_of_no_difference_even_around_a_single_zero() -> None:
    chart = forest([Interval("ε = 8", 0.0, 0.0, 0.0, group="grocery")], band=0.02)
    assert chart.band is not None and chart.zero is not None
    assert chart.left < chart.band[0] < chart.zero < chart.band[1] < chart.right
    assert chart.whiskers[0].mean == chart.zero


def test_a_group_is_named_once_and_set_apart() -> None:
    lines = [Interval(str(n), 1.0, 0.5, 1.5, group=name) for n, name in enumerate("aabb")]
    chart = forest(lines)
    assert [one.opens_group for one in chart.whiskers] == [True, False, True, False]
    tops = [one.across for one in chart.whiskers]
    assert tops[2] - tops[1] > tops[1] - tops[0]


def test_empty_charts_can_be_drawn() -> None:
    assert forest([]).whiskers == ()
    assert utility([], []).levels == ()
    assert stacked([], str).bars == ()


@given(st.lists(st.floats(0, 200), max_size=4).map(sorted))
def test_labels_are_kept_apart_and_above_the_foot(places: list[float]) -> None:
    moved = apart(places, 15, 220)
    assert all(b - a >= 14.8 for a, b in pairwise(moved))
    assert all(place <= 220.1 for place in moved)


def test_parts_of_a_bar_follow_each_other_and_keep_their_colours() -> None:
    chart = stacked([("one", {"a": 1.0, "b": 3.0}), ("two", {"b": 2.0})], lambda value: f"{value:g}")
    first, second = chart.bars
    assert first.parts[0].start + first.parts[0].width == pytest.approx(first.parts[1].start)
    assert first.parts[1].tone == second.parts[0].tone
    assert (first.text, second.text) == ("4", "2")
    assert second.parts[0].start == chart.left
