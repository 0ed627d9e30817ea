"""An audit's report as text."""

from typing import Final

from common.privacy.plan import PrivacyPlan
from scenarios.privacy_audit.report import AuditReport, Trial

_HEAD: Final = ("", "right", "ε at least", "")


def as_text(report: AuditReport) -> str:
    """A table of every attack on every path, the claim above it, and what it does not show below."""
    rows = [_HEAD]
    for trial in (*report.honest, *report.controls):
        rows += _rows(trial)
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    table = [
        f"{what:<{widths[0]}}  {right:>{widths[1]}}  {bound:>{widths[2]}}  {told}".rstrip()
        for what, right, bound, told in rows
    ]
    first = report.honest[0].findings[0]
    claim = (
        f"claim: ε = {first.claimed_epsilon:g} at δ = {first.delta:g}, {PrivacyPlan.adjacency};"
        f" the ledger says {report.honest[0].spent:.3f}. {report.seconds:.0f} s"
    )
    limits = (
        f"Each bound holds with {first.confidence:.0%} confidence by itself. {first.guesses} right guesses of"
        f" {first.guesses} would have shown {report.most:.2f}.\n"
        "A bound near 0 is no proof: it says what these attacks found, not that nobody finds more."
    )
    return "\n".join([claim, "", *table, "", limits])


def _rows(trial: Trial) -> list[tuple[str, str, str, str]]:
    path = f"{trial.control}, " if trial.control else ""
    return [
        (
            f"{path}{finding.attack}",
            f"{finding.correct} of {finding.guesses}",
            f"{finding.lower_bound:.2f}",
            _verdict(contradicts=finding.contradicts, broken=bool(trial.control)),
        )
        for finding in trial.findings
    ]


def _verdict(*, contradicts: bool, broken: bool) -> str:
    if broken:
        return "caught" if contradicts else "not caught"
    return "CONTRADICTS THE CLAIM" if contradicts else "within the claim"
