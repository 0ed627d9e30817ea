"""An audit's report as text."""

from collections.abc import Sequence
from typing import Final

from common.privacy.audit_report import AuditReport
from common.privacy.finding import AuditFinding
from common.privacy.plan import PrivacyPlan

_HEAD: Final = ("", "right", "ε at least", "")


def as_text(report: AuditReport) -> str:
    """A table of every attack on every path, the claim above it, and what it does not show below."""
    verdicts = ("within the claim", "CONTRADICTS THE CLAIM")
    rows = [_HEAD, *_rows("", report.findings, verdicts)]
    for control in report.controls:
        rows += _rows(f"{control.name}, ", control.findings, ("not caught", "caught"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    table = [
        f"{what:<{widths[0]}}  {right:>{widths[1]}}  {bound:>{widths[2]}}  {told}".rstrip()
        for what, right, bound, told in rows
    ]
    first = report.findings[0]
    claim = (
        f"claim: ε = {first.claimed_epsilon:g} at δ = {first.delta:g}, {PrivacyPlan.adjacency};"
        f" the ledger says {report.spent:.3f}; {report.seconds:.0f} s"
    )
    limits = (
        f"Each bound holds with {first.confidence:.0%} confidence by itself. {first.guesses} right guesses of"
        f" {first.guesses} would have shown {report.most:.2f}.\n"
        "A bound near 0 is no proof: it says what these attacks found, not that nobody finds more."
    )
    return "\n".join([claim, "", *table, "", limits])


def _rows(
    path: str, findings: Sequence[AuditFinding], verdicts: tuple[str, str]
) -> list[tuple[str, str, str, str]]:
    return [
        (
            path + finding.attack,
            f"{finding.correct} of {finding.guesses}",
            f"{finding.lower_bound:.2f}",
            verdicts[finding.contradicts],
        )
        for finding in findings
    ]
