"""One site's signed word on a statement, and what its ledger was charged."""

import hashlib
import json
from dataclasses import replace
from typing import Annotated, Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import Field, PositiveInt, model_validator

from common.certificate.part import Part, Text, decoded
from common.charter import Digest, Name
from common.privacy.accountant import AnyMechanism, Mechanism
from common.privacy.errors import PlanUnsound
from common.privacy.ledger_rows import mechanism_of

_ATTESTATION: Final = b"hanse/certificate/attestation/1"

Signature = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


class Charged(Part):
    """A row of a ledger that stands there ``times``: a release and its mechanism, as its columns say it.

    ``terms``: what the ledger keeps beside the three numbers, where the noise is not Gaussian.
    """

    later = ("terms",)

    release: Text
    noise_multiplier: float
    sample_rate: float
    steps: PositiveInt
    times: PositiveInt
    terms: str | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.terms is not None:
            try:
                self.mechanism()
            except PlanUnsound as error:
                raise ValueError(f"no mechanism: {error}") from None
        return self

    def mechanism(self) -> AnyMechanism:
        """All of them together."""
        if self.terms is None:
            return Mechanism(self.noise_multiplier, self.sample_rate, self.steps * self.times)
        one = mechanism_of((self.noise_multiplier, self.sample_rate, self.steps, self.terms))
        return replace(one, steps=one.steps * self.times)


class Attestation(Part):
    """One site's own word on a statement, and its Ed25519 signature (RFC 8032).

    ``finished``: the rounds that it helped to unmask, as it remembers them itself. ``charges``: all that its
    ledger holds for this charter, void attempts included. ``code`` and ``versions``: what is installed there.
    """

    platform: Name
    statement: Digest
    finished: tuple[Text, ...]
    charges: tuple[Charged, ...]
    code: Digest
    versions: dict[str, Text]
    signature: Signature

    def signed(self, identity: Ed25519PrivateKey) -> "Attestation":
        """The same word under the platform's key."""
        return self.model_copy(update={"signature": identity.sign(self._digest()).hex()})

    def holds(self, public_key: str) -> bool:
        """Whether the owner of ``public_key`` (hexadecimal) signed exactly this."""
        try:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
            key.verify(bytes.fromhex(self.signature), self._digest())
        except (InvalidSignature, ValueError):
            return False
        return True

    def _digest(self) -> bytes:
        content = self.model_dump(mode="json", exclude={"signature"})
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(_ATTESTATION + text.encode()).digest()

    def encode(self) -> bytes:
        """Its text, as a site answers."""
        return self.text()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The attestation in ``data``; its signature is not checked.

        Raises:
            CertificateUnreadable: on anything that is not exactly an attestation's text.
        """
        return decoded(cls, data)
