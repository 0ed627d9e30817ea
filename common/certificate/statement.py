"""What the coordinator says of a version, and its one digest; who vouches for which line the reference tells."""

import hashlib
from collections.abc import Iterable
from typing import Final, Literal, Self

from pydantic import PositiveInt

from common.certificate.part import Part, Text, decoded
from common.charter import Digest, Name, Purpose
from common.privacy.finding import AuditFinding

_STATEMENT: Final = b"hanse/certificate/statement/1"
_ROUND: Final = b"hanse/certificate/round/1"


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
        return decoded(cls, data)


def chained(rounds: Iterable[RoundRecord]) -> str:
    """The transcript hash: SHA-256 over the hash before and the round, from 32 zeros on; in hexadecimal."""
    head = bytes(32)
    for record in rounds:
        head = hashlib.sha256(_ROUND + head + record.text()).digest()
    return head.hex()
