from dataclasses import replace

import pytest

from scenarios.experiments.report.answer import Cost, Spent, answer
from scenarios.experiments.report.verdict import Finding, Verdict

BASE = Finding("grocery", 8.0, 604, 1, 0.1, 0.1, 0.0, -0.001, 0.001, 0.001)
GAIN = replace(BASE, difference=0.003, low=0.001, high=0.005)
NONE = replace(BASE, platform="video")
UNRESOLVED = replace(BASE, platform="fresh", low=-0.02, high=0.02, users=1893)
HARM = replace(BASE, platform="drugstore", difference=-0.01, low=-0.02, high=-0.005)
SPENT = Spent(7.987, 1e-5, 14.561, 1e-5, ("grocery", "drugstore", "fresh"))
COST = Cost(12, 2_416_000, 2_401_000, 50.4)


def headline_of(*findings: Finding) -> str:
    return answer(findings, SPENT, COST, "NDCG@10").headline


@pytest.mark.parametrize(
    ("findings", "headline"),
    [
        ([GAIN], "Yes: federation would help every platform."),
        ([GAIN, NONE, UNRESOLVED], "Yes for grocery, not shown for video and fresh."),
        ([NONE], "No: federation would help no platform."),
        ([NONE, UNRESOLVED], "No gain was found; with so few users fresh cannot be resolved."),
        ([UNRESOLVED], "No gain was found, and this run is too small to exclude one."),
        ([HARM, NONE], "No: federation would harm drugstore."),
        ([GAIN, HARM], "Federation would help grocery and harm drugstore."),
    ],
)
def test_the_headline_says_what_the_intervals_say(findings: list[Finding], headline: str) -> None:
    assert headline_of(*findings) == headline


def test_the_answer_is_two_lines_with_joint_epsilon_and_cost() -> None:
    first, second = answer([GAIN, NONE], SPENT, COST, "NDCG@10").text.split("\n")
    assert first.startswith("Yes for grocery")
    assert "gain for grocery +3.0 % (+1.0 to +5.0)" in first
    assert "no difference beyond ±2 % for video 0.0 % (−1.0 to +1.0)" in first
    assert "95 % intervals over 604 users, one repeat" in first
    assert second == (
        "At a joint ε = 14.6 (δ = 1e-5) for a person on grocery, drugstore and fresh; "
        "ε = 7.99 (δ = 1e-5) for one account on one platform. "
        "Cost: at most 2.42 MB up and 2.4 MB down for a platform, 50 s in 12 rounds."
    )


def test_users_and_repeats_are_told() -> None:
    evidence = answer(
        [replace(NONE, repeats=3), replace(UNRESOLVED, repeats=3)], SPENT, COST, "NDCG@10"
    ).evidence
    assert "604 to 1,893 users, mean of 3 repeats" in evidence


@pytest.mark.parametrize(
    ("without", "sentence"),
    [
        (GAIN, "Without differential privacy grocery would gain: the noise costs that gain."),
        (NONE, "Nor was there a gain without differential privacy: the noise is not the reason."),
        (UNRESOLVED, "Without differential privacy no gain was shown either."),
    ],
)
def test_where_nothing_is_gained_it_says_whether_the_noise_is_why(without: Finding, sentence: str) -> None:
    assert answer([NONE, replace(without, epsilon=None)], SPENT, COST, "NDCG@10").evidence.endswith(sentence)


def test_a_closed_gate_is_told_in_words() -> None:
    evidence = answer([replace(NONE, low=0.0, high=0.0)], SPENT, COST, "NDCG@10").evidence
    assert "unchanged for video, where the do-no-harm gate stayed closed" in evidence
    assert "no difference beyond" not in evidence


def test_a_gate_that_could_not_open_is_no_finding() -> None:
    """Too few validation users: nothing changed, but nothing was tried either."""
    untested = replace(NONE, low=0.0, high=0.0, untested=True)
    found = answer([untested], SPENT, COST, "NDCG@10")
    assert untested.verdict is Verdict.UNRESOLVED
    assert found.headline == "No gain was found, and this run is too small to exclude one."
    assert "not tried for video, where too few validation users could judge it" in found.evidence
    assert "stayed closed" not in found.evidence


def test_without_shared_people_there_is_no_joint_figure() -> None:
    price = answer([NONE], Spent(2.991, 2.34e-4), None, "NDCG@10").price
    assert price == (
        "At ε = 3 (δ = 2.4e-4) for one account on one platform. The protocol's cost was not measured."
    )


def test_without_differential_privacy_it_warns() -> None:
    found = answer([replace(NONE, epsilon=None)], None, COST, "NDCG@10")
    assert "must not leave the machine" in found.price
    assert "differential privacy" not in found.evidence


def test_nothing_compared_is_said() -> None:
    assert answer([], None, None, "NDCG@10").text.startswith("Nothing was compared")
