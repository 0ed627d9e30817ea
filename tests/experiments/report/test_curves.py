import pytest

from scenarios.experiments.report.curves import Curves, Series, curves
from scenarios.experiments.report.svg import Interval


def flat(label: str, mean: float) -> Interval:
    return Interval(label, mean, mean - 0.01, mean + 0.01)


def drawn(*names: str) -> Curves:
    points = tuple((epsilon, flat(f"ε = {epsilon:g}", 0.1 * epsilon**0.5)) for epsilon in (1.0, 4.0, 16.0))
    lines = [Series(name, points, (flat("σ = 0", 0.5),)) for name in names]
    return curves(lines, [flat("oracle", 0.6), flat("zero-shot", 0.05)])


def test_equal_factors_of_epsilon_are_equally_far_apart_and_columns_lie_beyond_them() -> None:
    chart = drawn("few")
    one, four, sixteen, without = (mark.at for mark in chart.marks)
    assert four - one == pytest.approx(sixteen - four, abs=0.2)
    assert chart.left < one < sixteen < chart.divider < without < chart.right


def test_series_stand_beside_each_other_so_that_no_interval_hides_another() -> None:
    chart = drawn("few", "some", "many")
    places = [curve.whiskers[0].across for curve in chart.curves]
    assert places == sorted(set(places))
    assert places[1] == pytest.approx(chart.marks[0].at, abs=0.1)


def test_the_line_goes_through_the_figures_with_an_epsilon_alone() -> None:
    curve = drawn("few").curves[0]
    assert len(curve.points.split()) == 3
    assert len(curve.whiskers) == 4


def test_more_quality_is_higher_and_levels_are_named_apart() -> None:
    chart = drawn("few")
    heights = [one.mean for one in chart.curves[0].whiskers]
    assert heights == sorted(heights, reverse=True)
    oracle, zero_shot = chart.levels
    assert oracle.at < heights[-1] < zero_shot.at <= chart.foot
