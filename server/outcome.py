"""What a finished round tells: who took part, who dropped out when, how long it took and how much it sent."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class RoundOutcome(BaseModel):
    """One round; ``number`` counts from 1. Bytes are payload by platform, seconds are wall time by phase.

    ``dropped`` gives, by platform, the phase it missed and the reason where one is known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: Annotated[int, Field(ge=1)]
    attempt: int
    cohort: tuple[str, ...]
    survivors: tuple[str, ...]
    dropped: dict[str, str]
    seconds_by_phase: dict[str, float]
    bytes_up: dict[str, int]
    bytes_down: dict[str, int]

    def scalars(self) -> dict[str, float]:
        """What a tracker may draw: platforms, seconds and bytes of the whole round."""
        return {
            "platforms": float(len(self.survivors)),
            "seconds": sum(self.seconds_by_phase.values()),
            "bytes up": float(sum(self.bytes_up.values())),
            "bytes down": float(sum(self.bytes_down.values())),
        }
