import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.experiments.report import wording


@given(st.floats(0.001, 1000))
def test_an_epsilon_is_never_rounded_down(value: float) -> None:
    assert float(wording.epsilon(value)) >= value - 1e-9


@given(st.floats(1e-12, 0.99))
def test_a_delta_is_never_rounded_down(value: float) -> None:
    assert float(wording.delta(value)) >= value * (1 - 1e-6)
    assert math.isclose(float(wording.delta(value)), value, rel_tol=0.1)


@pytest.mark.parametrize(
    ("value", "text"), [(8.0, "8"), (7.987, "7.99"), (14.561, "14.6"), (0.101, "0.11"), (None, "no DP")]
)
def test_epsilons(value: float | None, text: str) -> None:
    assert wording.epsilon(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.031, "+3.1 %"), (-0.0004, "0.0 %"), (-0.012, "−1.2 %"), (0.0, "0.0 %")]
)
def test_percents_have_signs_and_zero_has_none(value: float, text: str) -> None:
    assert wording.percent(value) == text


def test_an_end_beside_zero_keeps_the_sign_that_decides() -> None:
    assert wording.span(-0.011, -0.0002) == "−1.1 to −0.0"
    assert wording.span(0.0, 0.0002) == "0.0 to +0.0"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (999, "999 B"), (201_344, "201 kB"), (999_600, "1 MB"), (2_416_128, "2.42 MB")],
)
def test_sizes(value: float, text: str) -> None:
    assert wording.size(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.0123, "0.012 s"), (41.3, "41 s"), (211.0, "3.5 min")])
def test_times_are_coarse(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


def test_figures_stay_on_one_line() -> None:
    assert wording.unbroken("ε = 8, +3.1 % in 50 s for 2.4 MB a platform") == (
        "ε\xa0=\xa08, +3.1\xa0% in 50\xa0s for 2.4\xa0MB a platform"
    )


def test_lists() -> None:
    assert [wording.listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]


def test_weights_are_told_for_each_repeat() -> None:
    assert wording.weights((0.0, 0.35, 3.0)) == "0, 0.35, 3"
    assert wording.weights(()) == "–"


@given(st.floats(0, 1))
def test_a_p_value_is_never_rounded_down(value: float) -> None:
    assert value - 1e-9 <= float(wording.p_value(value)) <= value + 0.001
