"""``audit.json``: what an audit found, with all that is needed to judge it."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat

from common.errors import HanseError
from common.files import write_atomically
from common.privacy.finding import AuditFinding


class ClaimContradicted(HanseError):
    """The release path lets out more than it claims: nothing trained by this version may be published."""


class ControlMissed(HanseError):
    """A path that is broken on purpose was not caught, so the audit says nothing about the one that is not."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Trial(_Frozen):
    """One run and every attack's finding. ``control``, ``what``: what was broken, empty for the path as it is.

    ``spent``: ε by the audited platform's ledger, for accounts.
    """

    control: str
    what: str
    spent: NonNegativeFloat
    findings: tuple[AuditFinding, ...]

    @property
    def caught(self) -> bool:
        """Whether any attack contradicts the claim."""
        return any(finding.contradicts for finding in self.findings)


class AuditReport(_Frozen):
    """``honest``: trials of the path as it is; ``most``: the bound if every guess were right."""

    format: Literal[1] = 1
    settings: dict[str, float | int]
    most: PositiveFloat
    honest: tuple[Trial, ...]
    controls: tuple[Trial, ...]
    seconds: PositiveFloat

    def save(self, path: Path) -> None:
        """Write the report as JSON, atomically."""
        write_atomically(path, self.model_dump_json(indent=2).encode(), mode=0o644)

    def judge(self) -> None:
        """Return if the path's claim stands and every control was caught.

        Raises:
            ControlMissed: naming the controls.
            ClaimContradicted: naming the attacks.
        """
        missed = [
            f"{trial.control} ({trial.findings[0].attack})" for trial in self.controls if not trial.caught
        ]
        if missed:
            raise ControlMissed(
                f"not caught: {', '.join(missed)}",
                why="a fair coin may fall so once in a while, but not twice",
                hint="run the audit again; if it happens again, the attack is broken",
            )
        found = [finding for trial in self.honest for finding in trial.findings if finding.contradicts]
        if found:
            told = ", ".join(f"{finding.attack}: ε ≥ {finding.lower_bound:.2f}" for finding in found)
            raise ClaimContradicted(
                told,
                why=f"the claim is ε = {found[0].claimed_epsilon:g}; each bound fails by chance once in twenty",
                hint="publish nothing; run the audit again, and look for what changed on the release path",
            )
