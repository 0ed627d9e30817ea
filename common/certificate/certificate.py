"""The certificate and its file: a statement, the charter it follows from, and the sites' words."""

import json
from pathlib import Path
from typing import Self

from common.certificate.attestation import Attestation
from common.certificate.errors import CertificateUnreadable
from common.certificate.part import Part, decoded
from common.certificate.statement import Statement
from common.charter import SignedCharter
from common.files import write_atomically


class Certificate(Part):
    """A statement, the charter that every member signed, and the sites' words, by platform."""

    charter: SignedCharter
    statement: Statement
    attestations: tuple[Attestation, ...]

    def encode(self) -> bytes:
        """The file's bytes, for people to read as well."""
        content = self.model_dump(mode="json")
        return (json.dumps(content, sort_keys=True, indent=1) + "\n").encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The certificate in ``data``; nothing in it has been checked.

        Raises:
            CertificateUnreadable: on anything but the bytes that :meth:`encode` gives.
        """
        return decoded(cls, data, Certificate.encode)

    def save(self, path: Path) -> None:
        """Write it, atomically."""
        write_atomically(path, self.encode(), mode=0o644)

    @classmethod
    def load(cls, path: Path) -> Self:
        """The certificate in a file; nothing in it has been checked.

        Raises:
            CertificateUnreadable: naming the file.
        """
        try:
            return cls.decode(path.read_bytes())
        except OSError as error:
            raise CertificateUnreadable(
                "no certificate can be read", where=str(path), why=error.strerror or ""
            ) from error
