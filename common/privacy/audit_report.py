"""``audit.json``: what an audit found on the release path and on paths broken on purpose, and what follows."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat

from common.errors import DataError, HanseError, PrivacyRefused
from common.files import write_atomically
from common.privacy.finding import AuditFinding


class ClaimContradicted(PrivacyRefused):
    """The release path lets out more than it claims: nothing that this version trained may be published."""


class ControlMissed(HanseError):
    """A path that is broken on purpose was not caught, so the audit says nothing about the one that is not."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ControlOutcome(_Frozen):
    """What the attacks found on one broken path. ``what``: what is wrong with it."""

    name: str
    what: str
    findings: Annotated[tuple[AuditFinding, ...], Field(min_length=1)]

    @property
    def caught(self) -> bool:
        """Whether any attack contradicts the claim."""
        return any(finding.contradicts for finding in self.findings)


class AuditReport(_Frozen):
    """One audit.

    ``findings``: on the path as it is; ``controls``: on broken ones. ``spent``: ε by the audited site's ledger,
    for accounts. ``code``: SHA-256 of the audited code (:mod:`common.provenance`). ``most``: the bound if every
    guess were right. ``settings``: sizes, the charter's constants.

    Guarantee: holds nothing of anybody's data; canaries and catalogue are made up.
    Refuses: values outside their ranges (pydantic.ValidationError).
    """

    format: Literal[1] = 1
    code: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    settings: dict[str, float | int]
    spent: NonNegativeFloat
    most: PositiveFloat
    findings: Annotated[tuple[AuditFinding, ...], Field(min_length=1)]
    controls: tuple[ControlOutcome, ...]
    seconds: PositiveFloat

    def save(self, path: Path) -> None:
        """Write the report as JSON, atomically.

        Guarantee: a whole report, or what was there before.
        Refuses: a folder it cannot write to (OSError).
        """
        write_atomically(path, self.encode(), mode=0o644)

    def encode(self) -> bytes:
        """The report as JSON.

        Guarantee: :meth:`load` reads it.
        Refuses: nothing.
        """
        return self.model_dump_json(indent=2).encode() + b"\n"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a saved report.

        Guarantee: every field is there and within its range; nothing is known of who wrote it.
        Refuses: anything else (DataError).
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            why = type(error).__name__
            raise DataError(
                "no readable audit", where=str(path), why=why, hint="hanse audit run writes one"
            ) from error

    def judge(self) -> None:
        """Say what follows.

        Guarantee: when it returns, no attack contradicts the claim and every control was caught.
        Refuses: a contradicted claim (:class:`ClaimContradicted`); else a control that was not caught
            (:class:`ControlMissed`).
        """
        if contradicting := [finding for finding in self.findings if finding.contradicts]:
            told = ", ".join(f"{finding.attack}: ε ≥ {finding.lower_bound:.2f}" for finding in contradicting)
            raise ClaimContradicted(
                told,
                why=f"the claim is ε = {contradicting[0].claimed_epsilon:g}",
                hint="publish nothing, and look for what changed on the release path",
            )
        missed = [
            f"{control.name} ({control.findings[0].attack})"
            for control in self.controls
            if not control.caught
        ]
        if missed:
            raise ControlMissed(
                f"not caught: {', '.join(missed)}",
                why="the coins may fall so once, but hardly twice",
                hint="run the audit again; if it happens again, an attack is broken",
            )
