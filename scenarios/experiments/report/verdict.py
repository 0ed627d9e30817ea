"""Verdicts: pure functions from intervals to gain, none, unresolved or harm.

A gain must survive Holm's correction over every platform and ε tried; harm need not: a report should be slow
to promise and quick to warn. "None" is a finding too: its interval must be narrow enough to say so.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

RELEVANT: Final = 0.02
"""The smallest relative difference anyone would act on."""

SIGNIFICANT: Final = 0.05
_POWER_OVER_INTERVAL: Final = (1.96 + 0.84) / 1.96


class Verdict(StrEnum):
    """What the interval of a difference says about federation for one platform at one ε."""

    GAIN = "gain"
    NONE = "none"
    UNRESOLVED = "unresolved"
    HARM = "harm"


@dataclass(frozen=True, slots=True)
class Finding:
    """The federated system against what it is built on: its platform's standalone choice, in the same repeats.

    ``difference``, ``low``, ``high``: absolute, paired, 95 %; ``p_holm``: two-sided, corrected.
    ``untested``: the gate stayed closed only since the validation users were too few to tell.
    ``gap``: the share of the way from zero-exchange to pooled (mean, low, high), where there is a way to go.
    """

    platform: str
    epsilon: float | None
    users: int
    repeats: int
    mean: float
    reference_mean: float
    difference: float
    low: float
    high: float
    p_holm: float
    gap: tuple[float, float, float] | None = None
    untested: bool = False

    @property
    def verdict(self) -> Verdict:
        """What the interval says; that nothing changed says nothing where nothing was tried."""
        if self.untested and self.unchanged:
            return Verdict.UNRESOLVED
        return verdict_of(self.low, self.high, self.reference_mean, self.p_holm)

    @property
    def relative(self) -> tuple[float, float, float]:
        """Difference and interval as shares of the reference's mean; zeros where that mean is zero."""
        scale = self.reference_mean or float("inf")
        return self.difference / scale, self.low / scale, self.high / scale

    @property
    def unchanged(self) -> bool:
        """Whether every user got exactly the platform's standalone choice: the gate stayed closed."""
        return self.low == self.high == 0

    @property
    def resolvable(self) -> float | None:
        """The smallest relative difference so many users would show; ``None`` where nothing differed at all."""
        _, low, high = self.relative
        return None if self.unchanged else resolvable(low, high)


def resolvable(low: float, high: float) -> float:
    """The difference that an interval as wide as [``low``, ``high``] would show with 80 % power."""
    return _POWER_OVER_INTERVAL * (high - low) / 2


def verdict_of(low: float, high: float, reference: float, p_holm: float) -> Verdict:
    """The verdict of one 95 % interval [``low``, ``high``] around a difference to a mean of ``reference``."""
    if high < 0:
        return Verdict.HARM
    if low > 0 and p_holm <= SIGNIFICANT:
        return Verdict.GAIN
    margin = RELEVANT * reference
    return Verdict.NONE if -margin <= low and high <= margin else Verdict.UNRESOLVED


def overall(findings: Iterable[Finding]) -> Verdict:
    """One verdict for all platforms: any harm is harm, then any gain is gain, then any doubt is doubt."""
    present = {finding.verdict for finding in findings}
    for verdict in (Verdict.HARM, Verdict.GAIN, Verdict.UNRESOLVED):
        if verdict in present:
            return verdict
    return Verdict.NONE


def headline(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings the answer speaks of: those of one ε.

    Of the ε that help someone, the smallest of those that harm the fewest; where none helps, the largest tried,
    where a gain was likeliest. Without differential privacy only where nothing else was run.
    """
    tried = sorted({finding.epsilon for finding in findings if finding.epsilon is not None})
    groups = [tuple(f for f in findings if f.epsilon == epsilon) for epsilon in tried]
    helping = [group for group in groups if _count(group, Verdict.GAIN)]
    if helping:
        return min(helping, key=lambda group: _count(group, Verdict.HARM))
    return groups[-1] if groups else tuple(f for f in findings if f.epsilon is None)


def _count(findings: Sequence[Finding], verdict: Verdict) -> int:
    return sum(finding.verdict is verdict for finding in findings)
