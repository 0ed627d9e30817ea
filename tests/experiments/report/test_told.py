"""Page, letter and terminal call a finding by the same word, and say alike when it counts."""

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from scenarios.experiments.report import ExperimentRecord, build_report, write_report
from scenarios.experiments.report.told import OUTCOMES, corrected, counting, figure, outcome, sentence
from scenarios.experiments.report.verdict import Finding

GAIN = Finding("grocery", 8.0, 604, 1, 0.103, 0.1, 0.003, 0.001, 0.005, 0.001)
NONE = replace(GAIN, difference=0.0, low=-0.001, high=0.001)
CLOSED = replace(NONE, low=0.0, high=0.0)


@pytest.mark.parametrize(
    ("finding", "word"),
    [
        (GAIN, "gain"),
        (replace(GAIN, p_holm=0.06), "not resolved"),
        (replace(GAIN, difference=-0.003, low=-0.005, high=-0.001), "harm"),
        (NONE, "no difference beyond ±2 %"),
        (CLOSED, "unchanged"),
        (replace(CLOSED, untested=True), "not tried"),
        (replace(NONE, untested=True), "no difference beyond ±2 %"),
    ],
)
def test_each_outcome_has_one_word(finding: Finding, word: str) -> None:
    assert outcome(finding) == word
    assert word in OUTCOMES


def test_nothing_to_measure_has_no_interval_and_no_p_value() -> None:
    assert figure(CLOSED) == "unchanged"
    assert (corrected(CLOSED), corrected(GAIN)) == ("–", "0.001")
    assert figure(GAIN) == "+3.0 % (+1.0 to +5.0)"


def test_one_comparison_needs_no_correction() -> None:
    assert "Holm" not in counting(1)
    assert sentence(counting(12)) == (
        "A gain counts after Holm's correction over all 12 comparisons, harm counts without it."
    )


def test_page_letter_and_terminal_use_the_same_words(
    make_record: Callable[..., ExperimentRecord], tmp_path: Path
) -> None:
    effects = {"grocery": 0.06, "drugstore": -0.08, "fresh": 0.0, "video": 0.0}
    record = make_record(effects, epsilons=(8.0,), scale=0.2)
    report = build_report(record)
    page = write_report(report, record, tmp_path)
    html = unescape(re.sub(r"<[^>]+>", "", page.read_text("utf-8"))).replace("\xa0", " ")
    letter = page.with_name("report.md").read_text("utf-8")
    words = {finding.platform: outcome(finding) for finding in report.findings}
    assert {words["grocery"], words["drugstore"], words["fresh"]} == {
        "gain",
        "harm",
        "no difference beyond ±2 %",
    }
    for platform, word in words.items():
        card = html[html.index(f"\n    {platform}\n") :]
        assert re.search(rf"^[^▲=?▼]*[▲=?▼] {re.escape(word)}\n", card)
        assert re.search(rf"^\| {platform} \| ε = 8 .*\| {re.escape(word)} \|$", letter, re.M)
        assert re.search(rf"{re.escape(word)} for [^;]*{platform}", report.answer.text)
    when = counting(len(report.findings))
    assert "Holm" in when and when in report.answer.text
    assert sentence(when) in html and sentence(when) in letter.replace("\\", "")
