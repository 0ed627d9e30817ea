"""Published model versions: numbered folders that never change, each behind a certificate that holds.

A version is four files: the model (safetensors), a manifest, the certificate and a model card. It is put together
aside and appears by one rename.
"""

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from common.certificate.certificate import Certificate
from common.certificate.check import faults
from common.certificate.claims import require_finding
from common.certificate.errors import AuditContradicts, AuditElsewhere, CertificateInvalid
from common.certificate.model_file import read_model, require_file
from common.certificate.part import Part
from common.charter import Digest, SignedCharter
from common.deltas import Floats
from common.errors import HanseError, PrivacyRefused
from common.files import locked, sync_folder, write_atomically
from common.privacy.audit_report import AuditReport
from server.card import card_of

MODEL: Final = "model.safetensors"
MANIFEST: Final = "manifest.json"
CERTIFICATE: Final = "certificate.json"
AUDIT: Final = "audit.json"
CARD: Final = "README.md"


class NotPublished(HanseError):
    """There is no such version here, or it is not what was published."""


class NoSuchVersion(NotPublished):
    """A number under which nothing was published here."""

    exit_code = 2


class AuditForbids(PrivacyRefused):
    """A version whose audit contradicts its claim is not published."""


class Manifest(Part):
    """What the files of a version are: the model's hashes, what it fits, and where it comes from."""

    version: int
    run: str
    charter: Digest
    certificate: Digest
    values: Digest
    file: Digest
    parameters: int
    size: str
    features: int
    encoder: Digest
    basis: Digest
    layout: Digest


@dataclass(frozen=True, slots=True)
class Registry:
    """A folder of versions: ``0001``, ``0002`` and so on."""

    path: Path

    def publish(
        self,
        certificate: Certificate,
        model: bytes,
        *,
        charter: SignedCharter | None = None,
        audit: AuditReport | None = None,
    ) -> Manifest:
        """Publish a model's file under the next number; on disk before this returns.

        ``charter``: the one that is known to be the platforms'. ``audit``: one made after the
        certificate was signed; it is published with it.

        Raises:
            AuditForbids: when an audit, signed or later, contradicts the claim.
            AuditElsewhere: when it was made of other code than a site says it ran, or of a larger claim.
            ControlMissed: when it missed a path that was broken on purpose.
            CertificateInvalid, CharterInvalid, PrivacyRefused: the first reason why the certificate does not hold.
        """
        known = charter.verified().digest() if charter else None
        for fault in faults(certificate, charter=known, model=model):
            raise AuditForbids(str(fault), hint=fault.hint) if isinstance(fault, AuditContradicts) else fault
        if audit:
            _allow(certificate, audit)
        self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.path / "versions"):
            number = max(self.versions(), default=0) + 1
            return self._write(number, certificate, model, audit)

    def versions(self) -> tuple[int, ...]:
        """Every number that was published, lowest first."""
        found = (path.name for path in self.path.glob("[0-9]*") if (path / MANIFEST).exists())
        return tuple(sorted(int(name) for name in found if name.isdecimal()))

    def manifest(self, number: int) -> Manifest:
        """A version's manifest.

        Raises:
            NoSuchVersion: when there is no such version.
            NotPublished: when its manifest is none.
        """
        path = self.folder(number) / MANIFEST
        try:
            return Manifest.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            hint = "hanse model list tells what is there"
            raise NoSuchVersion(f"no version {number}", where=str(self.path), hint=hint) from error
        except (OSError, ValidationError) as error:
            why = type(error).__name__
            raise NotPublished("no readable manifest", where=str(path), why=why) from error

    def load(self, number: int) -> tuple[Certificate, Floats]:
        """A version's certificate and its values, float32, (d,), once both are what was published and hold.

        Raises:
            NotPublished: when there is no such version, or no manifest of it.
            CertificateInvalid, CharterInvalid, PrivacyRefused: the first reason why it does not hold any more.
        """
        manifest, folder = self.manifest(number), self.folder(number)
        certificate = Certificate.load(folder / CERTIFICATE)
        if _digest(certificate) != manifest.certificate:
            raise CertificateInvalid("the certificate is not the one published", where=str(folder))
        data = read_model(folder / MODEL)
        for fault in faults(certificate, model=data):
            raise fault
        return certificate, require_file(certificate.statement.model, data, where=str(folder))

    def folder(self, number: int) -> Path:
        """Where a version's files are."""
        return self.path / f"{number:04}"

    def _write(
        self, number: int, certificate: Certificate, model: bytes, audit: AuditReport | None
    ) -> Manifest:
        manifest = _manifest(number, certificate)
        aside = Path(tempfile.mkdtemp(dir=self.path, prefix=".publishing-"))
        try:
            card = card_of(number, certificate, audit.findings if audit else ())
            for name, content in (
                (MODEL, model),
                (CERTIFICATE, certificate.encode()),
                (AUDIT, audit.encode() if audit else b""),
                (CARD, card.encode()),
                (MANIFEST, (json.dumps(manifest.model_dump(), indent=1) + "\n").encode()),
            ):
                if content:
                    write_atomically(aside / name, content, mode=0o444)
            aside.chmod(0o755)
            aside.rename(self.folder(number))
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        sync_folder(self.path)
        return manifest


def _allow(certificate: Certificate, audit: AuditReport) -> None:
    try:
        for finding in audit.findings:
            require_finding(finding, certificate.statement.claims)
    except AuditContradicts as error:
        raise AuditForbids(str(error), hint=error.hint) from None
    if others := [word.platform for word in certificate.attestations if word.code != audit.code]:
        why = "what was audited is not what they ran"
        raise AuditElsewhere(f"other code than that of {', '.join(others)}", why=why)
    audit.judge()


def _manifest(number: int, certificate: Certificate) -> Manifest:
    statement, charter = certificate.statement, certificate.charter.charter
    return Manifest(
        version=number,
        run=charter.name,
        charter=statement.charter,
        certificate=_digest(certificate),
        values=statement.model.values,
        file=statement.model.file,
        parameters=statement.model.size,
        size=charter.model.size,
        features=charter.model.features,
        encoder=statement.encoder,
        basis=statement.basis,
        layout=statement.layout,
    )


def _digest(certificate: Certificate) -> str:
    return hashlib.sha256(certificate.encode()).hexdigest()
