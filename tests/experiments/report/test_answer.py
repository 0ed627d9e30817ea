from dataclasses import replace

import pytest

from scenarios.experiments.report.alternatives import Alternative
from scenarios.experiments.report.answer import Cost, Spent, answer
from scenarios.experiments.report.verdict import Finding, Verdict

BASE = Finding("grocery", 8.0, 604, 1, 0.1, 0.1, 0.0, -0.001, 0.001, 0.001)
GAIN = replace(BASE, difference=0.003, low=0.001, high=0.005)
NONE = replace(BASE, platform="video")
UNRESOLVED = replace(BASE, platform="fresh", low=-0.02, high=0.02, users=1893)
HARM = replace(BASE, platform="drugstore", difference=-0.01, low=-0.02, high=-0.005)
SPENT = Spent(7.987, 1e-5, 14.561, 1e-5, ("grocery", "drugstore", "fresh"))
EASE = Alternative("grocery", "ease", 8.0, 604, 0.11, 0.1, 0.01, 0.004, 0.016, (-0.007, -0.01, -0.004))
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
        "Cost: at most 2.42 MB up and 2.4 MB down for a platform, 50 s in 12 rounds on one machine."
    )


def test_every_gate_closed_is_no_word_on_the_model() -> None:
    closed = replace(NONE, low=0.0, high=0.0)
    assert headline_of(closed, replace(closed, platform="fresh")) == (
        "No: every do-no-harm gate stayed closed, so federation would change nothing."
    )
    assert headline_of(closed, BASE) == "No: federation would help no platform."
    assert headline_of(closed, replace(closed, platform="fresh", untested=True)) == (
        "No gain was found; with so few users fresh cannot be resolved."
    )


def test_a_gain_below_what_could_be_run_alone_is_no_plain_yes() -> None:
    found = answer([GAIN, NONE], SPENT, COST, "NDCG@10", [EASE])
    assert found.headline == (
        "Yes for grocery, not shown for video. "
        "But EASE on grocery, run alone, had a higher mean on the test users."
    )
    assert found.evidence.endswith(
        " Other systems run alone, on the test users, are better than that choice: EASE on grocery "
        "+10.0 % (+4.0 to +16.0)."
    )
    assert found.text.count("\n") == 1


@pytest.mark.parametrize(
    "other",
    [
        replace(EASE, federated=(0.001, -0.001, 0.003)),
        replace(EASE, federated=None),
        replace(EASE, platform="video"),
    ],
    ids=["below federated", "federated not measured", "where nothing was gained"],
)
def test_the_first_sentence_stands_where_no_gain_is_overtaken(other: Alternative) -> None:
    found = answer([GAIN, NONE], SPENT, COST, "NDCG@10", [other])
    assert found.headline == "Yes for grocery, not shown for video."
    assert f"better than that choice: EASE on {other.platform} +10.0 %" in found.evidence


def test_of_each_platform_the_strongest_is_named_and_doubt_is_told() -> None:
    doubtful = replace(
        EASE, platform="video", system="text", mean=0.102, difference=0.002, low=-0.001, high=0.005
    )
    weaker = replace(EASE, system="popularity", mean=0.105, difference=0.005)
    evidence = answer([GAIN, NONE], SPENT, COST, "NDCG@10", [weaker, EASE, doubtful]).evidence
    assert "popularity" not in evidence
    assert evidence.endswith(
        "better than that choice: EASE on grocery +10.0 % (+4.0 to +16.0); "
        "higher by their means, which is not resolved: text alone on video +2.0 % (−1.0 to +5.0)."
    )


def test_where_the_choice_is_the_best_nothing_is_added() -> None:
    evidence = answer([GAIN, NONE], SPENT, COST, "NDCG@10").evidence
    assert evidence.startswith("NDCG@10 against the standalone choice, made on validation for each: ")
    assert "test users" not in evidence


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
