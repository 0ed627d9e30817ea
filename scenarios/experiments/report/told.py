"""What a finding is called, and when it counts: the words of the page, the letter and the terminal alike."""

from typing import Final

from scenarios.experiments.report.verdict import RELEVANT, Finding, Verdict
from scenarios.experiments.report.wording import p_value, percent_interval

UNCHANGED: Final = "unchanged"
NOT_TRIED: Final = "not tried"
_WORDS: Final = {
    Verdict.GAIN: "gain",
    Verdict.NONE: f"no difference beyond ±{100 * RELEVANT:g} %",
    Verdict.UNRESOLVED: "not resolved",
    Verdict.HARM: "harm",
}
OUTCOMES: Final = (*_WORDS.values(), UNCHANGED, NOT_TRIED)
"""Every word there is, in the order of a report."""

CHOICE: Final = (
    "The standalone choice is what a platform would run without the federation, chosen on its validation users: "
    "zero-exchange (public text with local heads), with its own model (local-only) where its own gate opens. "
    "On the test users another system that it could run alone may be better."
)
PICKED: Final = (
    "Picked by their means on the test users, which no platform sees beforehand: the intervals are not "
    "corrected for that, and flatter them."
)
NONE_HIGHER: Final = (
    "No other system that a platform could run alone had a higher mean on the test users than its "
    "standalone choice."
)
WEIGHT: Final = (
    "λ is the weight of the model that a system adds to what it is built on, for new items: one for each seed or "
    "repeat, chosen on validation users. With 0 the system is what it is built on; federated has 0 where the gate "
    "stayed closed, and federated, ungated shows what was proposed to it."
)


def outcome(finding: Finding) -> str:
    """One of :data:`OUTCOMES`: the verdict, or that a closed gate left everything as it was."""
    if finding.unchanged:
        return NOT_TRIED if finding.untested else UNCHANGED
    return _WORDS[finding.verdict]


def figure(finding: Finding) -> str:
    """The relative difference with its interval; the word alone where a gate left nothing to measure."""
    return outcome(finding) if finding.unchanged else percent_interval(*finding.relative)


def corrected(finding: Finding) -> str:
    """The p-value after the correction; a dash where a gate left nothing to test."""
    return "–" if finding.unchanged else p_value(finding.p_holm)


def sentence(text: str) -> str:
    """``text`` with a capital and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def counting(comparisons: int) -> str:
    """When a gain or harm counts, among so many comparisons."""
    if comparisons == 1:
        return "a gain counts where its interval lies above 0, harm where it lies below"
    return f"a gain counts after Holm's correction over all {comparisons} comparisons, harm counts without it"
