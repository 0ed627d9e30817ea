from pathlib import Path

import pytest
from pydantic import ValidationError

from common.errors import DataError
from common.privacy.audit_report import AuditReport, ControlOutcome
from common.privacy.finding import AuditFinding

FINDING = AuditFinding(
    attack="user, inner product",
    canaries=1024,
    guesses=512,
    correct=330,
    confidence=0.95,
    delta=1e-5,
    claimed_epsilon=3,
    lower_bound=0.44,
)
REPORT = AuditReport(
    code="ab" * 32,
    settings={"canaries": 1024, "clip": 0.1},
    spent=2.998,
    most=5.11,
    findings=(FINDING,),
    controls=(ControlOutcome(name="noise off", what="none", findings=(FINDING,)),),
    seconds=30,
)


def test_a_report_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    REPORT.save(tmp_path / "audit.json")
    assert AuditReport.load(tmp_path / "audit.json") == REPORT


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"format": 2}', b"\xff"])
def test_what_is_no_report_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "audit.json").write_bytes(content)
    with pytest.raises(DataError, match="no readable audit"):
        AuditReport.load(tmp_path / "audit.json")
    with pytest.raises(DataError, match="FileNotFoundError"):
        AuditReport.load(tmp_path / "none.json")


def test_a_report_without_a_finding_is_none() -> None:
    with pytest.raises(ValidationError):
        AuditReport.model_validate({**REPORT.model_dump(), "findings": ()})


def test_a_control_is_caught_by_one_attack_alone() -> None:
    loud = FINDING.model_copy(update={"lower_bound": 3.01})
    assert ControlOutcome(name="noise off", what="none", findings=(FINDING, loud)).caught
    assert not REPORT.controls[0].caught
