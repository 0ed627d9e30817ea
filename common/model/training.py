"""How one platform trains between two aggregations: fixed in the charter before any private row is read."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt

Loss = Literal["softmax", "bce", "mse"]
Optimizer = Literal["adam", "adamw", "sgd", "adagrad"]
Size = Literal["tiny", "small", "base"]


class LocalTraining(BaseModel):
    """Public constants of local training.

    ``steps`` are counted per round; ``negatives`` are drawn uniformly from the public catalogue; ``history``
    is the number of latest items the model looks at.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    loss: Loss = "softmax"
    optimizer: Optimizer = "adam"
    learning_rate: PositiveFloat = 1e-3
    steps: PositiveInt = 4
    negatives: PositiveInt = 256
    history: PositiveInt = 50
