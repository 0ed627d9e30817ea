"""What the registry publishes holds, is numbered and never changes; what does not hold is not published."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.certificate.certificate import Certificate
from common.certificate.errors import AuditElsewhere, OtherCharter, SignatureMissing, SwappedModel
from common.certificate.model_file import model_file
from common.privacy.audit_report import AuditReport, ControlMissed, ControlOutcome
from common.privacy.finding import AuditFinding
from common.provenance import code_digest
from server.certify import MODEL, certify
from server.registry import AuditForbids, NotPublished, Registry
from server.rounds import conduct

Make = Callable[..., Any]
FINDING = AuditFinding(
    attack="user, score",
    canaries=1000,
    guesses=100,
    correct=99,
    confidence=0.95,
    delta=1e-5,
    claimed_epsilon=8.0,
    lower_bound=0.4,
)


def audit() -> AuditReport:
    return AuditReport(
        code=code_digest(), settings={}, spent=8, most=9, findings=(FINDING,), controls=(), seconds=1
    )


@pytest.fixture
def made(fleet: Make) -> Any:
    made = fleet("amber", "herring", "salt", private=True, rounds=1)
    conduct(made.tape(), made.run, lambda outcome: None)
    return made


@pytest.fixture
def version(made: Any) -> tuple[Certificate, bytes]:
    return certify(made.tape(), made.run, [FINDING]), (made.run.path / MODEL).read_bytes()


def test_versions_are_numbered_and_hold(version: Any, made: Any, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "shelf")
    assert registry.versions() == ()
    assert registry.publish(*version, charter=made.signed).version == 1
    assert registry.publish(*version, audit=audit()).version == 2
    assert registry.versions() == (1, 2)
    certificate, values = registry.load(2)
    assert certificate == version[0]
    assert values.tobytes() == made.run.latest().released.tobytes()
    assert sorted(path.name for path in registry.folder(1).iterdir()) == [
        "README.md",
        "certificate.json",
        "manifest.json",
        "model.safetensors",
    ]
    assert AuditReport.load(registry.folder(2) / "audit.json") == audit()
    assert {path.stat().st_mode & 0o222 for path in registry.folder(1).iterdir()} == {0}


def test_a_removed_version_does_not_give_its_number_away_while_a_later_one_is_there(
    version: Any, tmp_path: Path
) -> None:
    registry = Registry(tmp_path)
    registry.publish(*version)
    registry.publish(*version)
    registry.folder(1).rename(tmp_path / "away")
    assert registry.publish(*version).version == 3


def test_the_card_has_the_hubs_form_and_says_what_is_claimed(version: Any, tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.publish(*version)
    card = (registry.folder(1) / "README.md").read_text("utf-8")
    front, body = card.removeprefix("---\n").split("\n---\n", 1)
    assert "library_name: hanse" in front.splitlines()
    assert "- differential-privacy" in front.splitlines()
    assert "| amber | local | 8 | 1e-05 | pld " in body
    assert "user, score: ε ≥ 0.4 at 95% confidence" in body
    assert "Not audited" not in body


def contradicted(version: Any, made: Any) -> Certificate:
    """Sites that signed all the same."""
    finding = FINDING.model_copy(update={"lower_bound": 8.5})
    statement = version[0].statement.model_copy(update={"findings": (finding,)})
    words = tuple(
        word.model_copy(update={"statement": statement.digest()}).signed(
            made.folders[word.platform].identity()
        )
        for word in version[0].attestations
    )
    return Certificate(charter=made.signed, statement=statement, attestations=words)


def test_a_version_whose_audit_contradicts_its_claim_is_refused(
    version: Any, made: Any, tmp_path: Path
) -> None:
    registry, later = Registry(tmp_path), FINDING.model_copy(update={"lower_bound": 8.01})
    report = audit().model_copy(update={"findings": (FINDING, later)})
    for publish in (
        lambda: registry.publish(contradicted(version, made), version[1]),
        lambda: registry.publish(*version, audit=report),
    ):
        with pytest.raises(AuditForbids, match="8 is claimed") as caught:
            publish()
        assert caught.value.exit_code == 3
    assert registry.versions() == ()


def test_an_audit_of_other_code_or_with_a_missed_control_stands_beside_no_version(
    version: Any, tmp_path: Path
) -> None:
    registry = Registry(tmp_path)
    with pytest.raises(AuditElsewhere, match="other code than that of amber, herring, salt"):
        registry.publish(*version, audit=audit().model_copy(update={"code": "ab" * 32}))
    missed = ControlOutcome(name="noise off", what="no noise", findings=(FINDING,))
    with pytest.raises(ControlMissed, match="noise off"):
        registry.publish(*version, audit=audit().model_copy(update={"controls": (missed,)}))
    assert registry.versions() == ()


def test_what_does_not_hold_is_refused(version: Any, made: Any, tmp_path: Path) -> None:
    registry, (certificate, model) = Registry(tmp_path / "shelf"), version
    unsigned = certificate.model_copy(update={"attestations": certificate.attestations[:2]})
    with pytest.raises(SignatureMissing, match="salt has not signed"):
        registry.publish(unsigned, model)
    with pytest.raises(SwappedModel):
        registry.publish(certificate, model_file(np.zeros(24, np.float32)))
    with pytest.raises(OtherCharter):
        registry.publish(certificate, model, charter=made.again(name="other").signed)
    assert not registry.path.exists()


def test_a_crash_leaves_no_half_version(
    version: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, target: Path) -> None:
        raise OSError(28, "no space left")

    registry = Registry(tmp_path / "shelf")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", full)
        with pytest.raises(OSError, match="no space"):
            registry.publish(*version)
    assert registry.versions() == ()
    assert [path.name for path in registry.path.iterdir() if path.is_dir()] == []
    assert registry.publish(*version).version == 1


def test_a_published_file_that_was_changed_is_found(version: Any, tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.publish(*version)
    path = registry.folder(1) / "model.safetensors"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(SwappedModel):
        registry.load(1)
    path = registry.folder(1) / "manifest.json"
    manifest = json.loads(path.read_text())
    path.chmod(0o644)
    path.write_text(json.dumps({**manifest, "certificate": "ab" * 32}))
    with pytest.raises(Exception, match="not the one published"):
        registry.load(1)
    with pytest.raises(NotPublished, match="no version 7"):
        registry.load(7)
