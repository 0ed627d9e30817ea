from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.experiments.report.verdict import RELEVANT, Finding, Verdict, headline, overall, verdict_of

SURE = 0.001


def finding(
    low: float, high: float, *, platform: str = "grocery", epsilon: float | None = 8.0, p: float = SURE
) -> Finding:
    middle = (low + high) / 2
    return Finding(platform, epsilon, 600, 1, 0.1 + middle, 0.1, middle, low, high, p)


GAIN, NONE = finding(0.001, 0.004), finding(-0.001, 0.001)
UNRESOLVED, HARM = finding(-0.01, 0.01), finding(-0.004, -0.001)


@pytest.mark.parametrize(
    ("low", "high", "p", "verdict"),
    [
        (0.001, 0.004, 0.01, Verdict.GAIN),
        (0.001, 0.004, 0.06, Verdict.UNRESOLVED),
        (0.0005, 0.0015, 0.06, Verdict.NONE),
        (0.0, 0.004, 0.01, Verdict.UNRESOLVED),
        (0.0, 0.0, 1.0, Verdict.NONE),
        (-0.002, 0.002, 1.0, Verdict.NONE),
        (-0.0021, 0.002, 1.0, Verdict.UNRESOLVED),
        (-0.002, 0.0021, 1.0, Verdict.UNRESOLVED),
        (-0.004, 0.0, 0.04, Verdict.UNRESOLVED),
        (-0.004, -0.001, 0.9, Verdict.HARM),
    ],
)
def test_the_verdict_follows_from_the_interval(low: float, high: float, p: float, verdict: Verdict) -> None:
    assert verdict_of(low, high, 0.1, p) is verdict


def test_nothing_to_compare_with_is_no_difference() -> None:
    assert verdict_of(0.0, 0.0, 0.0, 1.0) is Verdict.NONE
    assert replace(NONE, reference_mean=0.0).relative == (0.0, 0.0, 0.0)


@given(low=st.floats(-1, 1), width=st.floats(0, 1), reference=st.floats(0, 1), p=st.floats(0, 1))
def test_gain_and_harm_never_hold_an_interval_around_zero(
    low: float, width: float, reference: float, p: float
) -> None:
    high = low + width
    verdict = verdict_of(low, high, reference, p)
    if low <= 0 <= high:
        assert verdict in {Verdict.NONE, Verdict.UNRESOLVED}
    if verdict is Verdict.GAIN:
        assert low > 0 and p <= 0.05
    if verdict is Verdict.NONE:
        assert max(-low, high) <= RELEVANT * reference or low == high == 0


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        ([NONE, NONE], Verdict.NONE),
        ([NONE, UNRESOLVED], Verdict.UNRESOLVED),
        ([UNRESOLVED, GAIN], Verdict.GAIN),
        ([GAIN, HARM], Verdict.HARM),
        ([], Verdict.NONE),
    ],
)
def test_one_harmed_platform_outweighs_every_gain(findings: list[Finding], verdict: Verdict) -> None:
    assert overall(findings) is verdict


def test_the_headline_is_the_smallest_epsilon_that_helps_and_harms_nobody() -> None:
    findings = [
        replace(GAIN, epsilon=None),
        replace(GAIN, epsilon=8.0),
        replace(GAIN, epsilon=3.0),
        replace(NONE, epsilon=3.0, platform="video"),
        replace(GAIN, epsilon=1.0),
        replace(HARM, epsilon=1.0, platform="video"),
    ]
    assert {f.epsilon for f in headline(findings)} == {3.0}
    assert len(headline(findings)) == 2


def test_a_gain_beside_harm_is_the_headline_only_where_there_is_no_better() -> None:
    worse = [replace(GAIN, epsilon=1.0), replace(HARM, epsilon=1.0), replace(HARM, epsilon=1.0)]
    better = [replace(GAIN, epsilon=3.0), replace(HARM, epsilon=3.0), replace(NONE, epsilon=3.0)]
    assert headline([*worse, *better, replace(NONE, epsilon=8.0)]) == tuple(better)


def test_without_a_gain_the_headline_is_the_largest_epsilon() -> None:
    findings = [replace(NONE, epsilon=1.0), replace(NONE, epsilon=8.0), replace(GAIN, epsilon=None)]
    assert {f.epsilon for f in headline(findings)} == {8.0}


def test_without_differential_privacy_the_open_run_is_the_headline() -> None:
    assert headline([replace(NONE, epsilon=None)])[0].epsilon is None
    assert headline([]) == ()


def test_what_can_be_resolved_follows_the_width_of_the_interval() -> None:
    assert UNRESOLVED.resolvable == pytest.approx(0.1 * 2.8 / 1.96)
    assert finding(-0.005, 0.005).resolvable == pytest.approx(0.05 * 2.8 / 1.96)
    assert finding(0.0, 0.0).unchanged and finding(0.0, 0.0).resolvable is None
