"""How one platform trains between two aggregations: fixed in the charter before any private row is read."""

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

Loss = Literal["softmax", "bce", "mse"]
Optimizer = Literal["adam", "adamw", "sgd", "adagrad"]
Size = Literal["tiny", "small", "base"]


# Positions the shared model knows: no history may be longer.
HISTORY: Final = 20


class LocalTraining(BaseModel):
    """Public constants of local training.

    ``steps`` are counted per round. Each draws every user with probability ``expected_batch`` / ``bucket``
    and divides by ``expected_batch``; ``bucket`` is the declared size, never the private number of users. With
    a privacy plan its steps, rate and denominator hold instead. ``negatives`` are drawn uniformly from the
    public catalogue; ``history`` is the number of latest items the model looks at; the squared error scales
    ratings in ``value_range`` to ±1.

    Raises:
        pydantic.ValidationError: also when more users are expected than the bucket holds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    loss: Loss = "softmax"
    optimizer: Optimizer = "sgd"
    learning_rate: PositiveFloat = 0.5
    steps: PositiveInt = 3
    bucket: PositiveInt = 2048
    expected_batch: PositiveFloat = 256.0
    negatives: PositiveInt = 512
    history: Annotated[int, Field(ge=2, le=HISTORY)] = HISTORY
    value_range: tuple[float, float] = (0.5, 5.0)

    @property
    def sample_rate(self) -> float:
        """The probability with which a user takes part in a step."""
        return self.expected_batch / self.bucket

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.expected_batch > self.bucket:
            raise ValueError("expected_batch exceeds bucket: no user is drawn with more than certainty")
        if self.value_range[0] >= self.value_range[1]:
            raise ValueError("value_range does not rise")
        return self
