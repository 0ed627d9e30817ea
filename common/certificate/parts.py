"""The certificate's parts as values with one canonical JSON text each; what is signed is its SHA-256.

Who vouches for which line is told in docs/reference/certificate.md.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from common.certificate.errors import CertificateUnreadable
from common.charter import Digest, Name, Purpose, SignedCharter
from common.errors import HanseError
from common.files import write_atomically
from common.privacy.accountant import AnyMechanism, Mechanism
from common.privacy.errors import PlanUnsound
from common.privacy.finding import AuditFinding
from common.privacy.ledger_rows import mechanism_of

_STATEMENT: Final = b"hanse/certificate/statement/1"
_ATTESTATION: Final = b"hanse/certificate/attestation/1"
_ROUND: Final = b"hanse/certificate/round/1"

Text = Annotated[str, Field(max_length=512)]
Kind = TypeVar("Kind", bound="Part")
Signature = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


class Part(BaseModel):
    """A frozen value of which there is one JSON text.

    ``later``: fields that are left out where they are None, so that what was signed before them still holds.
    """

    later: ClassVar[tuple[str, ...]] = ()

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    def text(self) -> bytes:
        """Its JSON: keys sorted, no spaces."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode()

    @model_serializer(mode="wrap")
    def _as_before(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = plain(self)
        return {name: value for name, value in fields.items() if value is not None or name not in self.later}


class Sum(Part):
    """One unmasked sum: who was asked, whose vectors it holds, and h2, which binds all that came before them."""

    cohort: tuple[Name, ...]
    survivors: tuple[Name, ...]
    h2: Digest


class RoundRecord(Part):
    """One round: its ``attempt`` that counted, the SHA-256 of the ``model`` it opened with, and its sums.

    ``dropped``: by platform the phase it missed. ``refused``: why the round left the model as it was, if it did.
    """

    purpose: Purpose
    number: PositiveInt
    attempt: PositiveInt
    model: Digest
    sums: tuple[Sum, ...]
    dropped: dict[Name, Text]
    refused: Text = ""

    @property
    def name(self) -> str:
        """``train/3``."""
        return f"{self.purpose}/{self.number}"


class Claim(Part):
    """What one platform's users are promised: (``epsilon``, ``delta``) for all the charter's rounds together.

    ``epsilon_alone``: with shared noise, what is promised in place of ``epsilon`` if aggregation fails.
    ``figures``: ε of the plan, spare rounds included, by each accountant.
    """

    later = ("epsilon_alone",)

    platform: Name
    mode: Text
    epsilon: float
    delta: float
    figures: dict[str, float]
    epsilon_alone: float | None = None

    @property
    def bound(self) -> str:
        """For people: what ε is at most."""
        alone = "" if self.epsilon_alone is None else f", or {self.epsilon_alone:g} if aggregation fails"
        return f"{self.epsilon:g}{alone}"


class Model(Part):
    """The version: SHA-256 of its float32 ``values``, and of the safetensors ``file`` that holds them."""

    values: Digest
    file: Digest
    size: PositiveInt


class Statement(Part):
    """What the coordinator says of a model version, and what every site that signs has held against its records.

    ``joint``: ε by each accountant, at the largest δ, for a person with an account on every platform; empty where
    it is too large to compute. ``final``: the round the version comes from, the last by rule. ``findings``: of the
    audits; none means not audited.
    """

    version: Literal[1] = 1
    charter: Digest
    unit: Text
    adjacency: Text
    claims: tuple[Claim, ...]
    joint: dict[str, float]
    rounds: tuple[RoundRecord, ...]
    transcript: Digest
    final: Text
    model: Model
    encoder: Digest
    basis: Digest
    layout: Digest
    code: Digest
    versions: dict[str, Text]
    findings: tuple[AuditFinding, ...] = ()

    def digest(self) -> str:
        """What a site's word is about, in hexadecimal."""
        return hashlib.sha256(_STATEMENT + self.text()).hexdigest()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The statement in ``data``.

        Raises:
            CertificateUnreadable: on anything that is not exactly a statement's text.
        """
        return _decoded(cls, data)


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
        return _decoded(cls, data)


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
        return _decoded(cls, data, Certificate.encode)

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
                "no certificate can be read", where=str(path), why=type(error).__name__
            ) from error


def chained(rounds: Iterable[RoundRecord]) -> str:
    """The transcript hash: SHA-256 over the hash before and the round, from 32 zeros on; in hexadecimal."""
    head = bytes(32)
    for record in rounds:
        head = hashlib.sha256(_ROUND + head + record.text()).digest()
    return head.hex()


def _decoded(
    kind: type[Kind], data: bytes, write: Callable[[Kind], bytes] = lambda part: part.text()
) -> Kind:
    """One value has one text: another spelling of it is refused, so that no byte can change unseen."""
    try:
        found = kind.model_validate_json(data)
        again = write(found)
    except (ValueError, HanseError, RecursionError) as error:
        # What the text holds must not reach a traceback.
        raise CertificateUnreadable(f"no {kind.__name__.lower()}", why=type(error).__name__) from None
    if again != data:
        raise CertificateUnreadable(f"a {kind.__name__.lower()} that is written otherwise than it should be")
    return found
