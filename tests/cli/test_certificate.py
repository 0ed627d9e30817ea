"""`hanse verify CERT` and `hanse model`: what they print, where, and how they end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.certificate.certificate import Certificate
from common.cli import build, run
from common.privacy.audit_report import AuditReport
from common.privacy.finding import AuditFinding
from common.provenance import code_digest
from server.certify import certify
from server.rounds import conduct

Make = Callable[..., Any]
FINDING = AuditFinding(
    attack="user, score",
    canaries=1000,
    guesses=100,
    correct=60,
    confidence=0.95,
    delta=1e-5,
    claimed_epsilon=8.0,
    lower_bound=0.4,
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANSE_QUIET", "")
    monkeypatch.setenv("HANSE_DEBUG", "")
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def sailed(fleet: Make) -> Path:
    """The run's folder, with charter, certificate and model."""
    made = fleet("amber", "herring", "salt", private=True, rounds=1)
    conduct(made.tape(), made.run, lambda outcome: None)
    certify(made.tape(), made.run)
    path: Path = made.run.path
    return path


def hanse(*arguments: str | Path) -> int:
    return run(build(), [str(argument) for argument in arguments])


@pytest.mark.parametrize("form", [[], ["certificate"]])
def test_a_certificate_that_holds(
    sailed: Path,
    form: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Offline: only the file has come here."""
    (tmp_path / "cert.json").write_bytes((sailed / "certificate.json").read_bytes())
    monkeypatch.chdir(tmp_path)
    assert hanse("verify", *form, "cert.json") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "the certificate holds: first-convoy, 1 rounds"
    assert said[1] == "signed by amber, herring, salt"
    assert said[2].startswith("amber: ε ≤ 8 at δ = 1e-05 (local; planned: pld ")
    assert "not audited" in said
    assert "(no file was given to hold against it)" in said[5]
    assert said[-1].startswith("the keys are those of the charter inside")


def test_held_against_the_model_and_the_known_charter(
    sailed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = ["--model", sailed / "model.safetensors", "--charter", sailed / "charter.json"]
    assert hanse("verify", sailed / "certificate.json", *known) == 0
    said = capsys.readouterr().out
    assert "no file was given" not in said
    assert "the keys are" not in said
    assert hanse("verify", sailed / "certificate.json", *known, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"holds": True, "faults": []}


def test_every_fault_is_told_and_the_code_is_4(sailed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    certificate = Certificate.load(sailed / "certificate.json")
    certificate.model_copy(update={"attestations": certificate.attestations[1:]}).save(sailed / "less.json")
    model = sailed / "checkpoint.safetensors"
    assert hanse("verify", sailed / "less.json", "--model", model, "--json") == 4
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert told["holds"] is False
    assert [fault["reason"] for fault in told["faults"]] == [
        "SignatureMissing",
        "RoundUnvouched",
        "SwappedModel",
    ]
    for words in ("amber has not signed", "train/1 is not vouched for", "not the certified one"):
        assert words in printed.err


def test_what_is_no_certificate_ends_with_4(sailed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hanse("verify", sailed / "charter.json") == 4
    assert "certificate" in capsys.readouterr().err


def test_a_version_is_published_listed_and_shown(
    sailed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = tmp_path / "shelf"
    assert hanse("model", "publish", sailed, "--registry", shelf, "--charter", sailed / "charter.json") == 0
    assert capsys.readouterr().out == "version 1 of first-convoy is published\n"
    assert hanse("model", "list", "--registry", shelf) == 0
    assert capsys.readouterr().out.split()[:2] == ["1", "first-convoy"]
    assert hanse("model", "show", "1", "--registry", shelf) == 0
    assert "# first-convoy, version 1" in capsys.readouterr().out
    assert hanse("model", "show", "1", "--registry", shelf, "--json") == 0
    assert json.loads(capsys.readouterr().out)["version"] == 1
    assert hanse("model", "show", "2", "--registry", shelf) == 2
    assert (
        capsys.readouterr().err
        == f"{shelf}: error: no version 2\nhint: hanse model list tells what is there\n"
    )
    manifest = shelf / "0001" / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text("{}")
    assert hanse("model", "show", "1", "--registry", shelf) == 1


def test_a_contradicted_version_ends_with_3(
    sailed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audit = tmp_path / "audit.json"
    for bound, code in ((0.4, 0), (8.5, 3)):
        finding = FINDING.model_copy(update={"lower_bound": bound})
        AuditReport(
            code=code_digest(), settings={}, spent=8, most=9, findings=(finding,), controls=(), seconds=1
        ).save(audit)
        assert hanse("model", "publish", sailed, "--registry", tmp_path / "shelf", "--audit", audit) == code
    assert "ε is at least 8.5, and 8 is claimed" in capsys.readouterr().err
    audit.write_text("[{}]")
    assert hanse("model", "publish", sailed, "--registry", tmp_path / "shelf", "--audit", audit) == 1
