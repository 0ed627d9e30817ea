"""What a finished round tells: who took part, who dropped out when, how long it took and how much it sent."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from common.certificate.statement import Sum


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GroupOutcome(_Frozen):
    """One group's sum, or the whole round's where there are no groups.

    ``norm``: L2 norm of its mean update, absent where there is no sum. ``excluded``: why it is not in the update;
    empty if it is.
    """

    platforms: tuple[str, ...]
    norm: float | None
    excluded: str = ""


class Score(_Frozen):
    """The public score of the parameters a round led to, and the best up to then."""

    value: float
    best: float


class RoundOutcome(_Frozen):
    """One round; ``number`` counts from 1. Bytes are payload by platform, seconds are wall time by phase.

    ``dropped`` gives, by platform, the phase it missed and the reason where one is known. ``groups`` and ``score``
    are there where the charter has robust terms. ``refused``: why the model was left as it was; empty if it was
    not. ``model``: SHA-256 of what the round opened with; ``sums``: what each unmasked sum is bound to.
    """

    number: Annotated[int, Field(ge=1)]
    attempt: int
    cohort: tuple[str, ...]
    survivors: tuple[str, ...]
    dropped: dict[str, str]
    seconds_by_phase: dict[str, float]
    bytes_up: dict[str, int]
    bytes_down: dict[str, int]
    groups: tuple[GroupOutcome, ...] = ()
    score: Score | None = None
    refused: str = ""
    model: str = ""
    sums: tuple[Sum, ...] = ()

    def scalars(self) -> dict[str, float]:
        """What a tracker may draw: platforms, seconds and bytes of the whole round."""
        return {
            "platforms": float(len(self.survivors)),
            "seconds": sum(self.seconds_by_phase.values()),
            "bytes up": float(sum(self.bytes_up.values())),
            "bytes down": float(sum(self.bytes_down.values())),
        }
