"""What an audit found on the release path: a lower bound on ε, beside the claim that it was held against."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt


class AuditFinding(BaseModel):
    """One attack's result.

    ``canaries``: planted users, each included by a fair coin; ``guesses``: on how many of them the attack
    committed itself, ``correct`` of which were right. ``lower_bound``: with probability ``confidence`` no
    (ε, ``delta``)-DP mechanism with a smaller ε gives so many right guesses (Steinke, Nasr and Jagielski, "Privacy
    Auditing with One (1) Training Run", 2023).

    Guarantee: :attr:`contradicts` is True only if the claim is false or the confidence failed. A bound near 0
        proves nothing.
    Refuses: values outside their ranges (pydantic.ValidationError).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    attack: str
    canaries: PositiveInt
    guesses: Annotated[int, Field(ge=0)]
    correct: Annotated[int, Field(ge=0)]
    confidence: Annotated[float, Field(gt=0, lt=1)]
    delta: Annotated[float, Field(gt=0, lt=1)]
    claimed_epsilon: PositiveFloat
    lower_bound: Annotated[float, Field(ge=0)]

    @property
    def contradicts(self) -> bool:
        """Whether the release path leaks more than was claimed."""
        return self.lower_bound > self.claimed_epsilon
