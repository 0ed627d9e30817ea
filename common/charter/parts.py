"""What a charter is made of: its members, the model and how the server trains it, and the names they go by."""

from typing import Annotated, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from common.errors import HanseError
from common.model.training import LocalTraining, Size
from common.privacy.plan import PrivacyPlan
from common.privacy.shared import SharedNoisePlan

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Purpose = Literal["train", "statistics", "metrics"]
"""What a round is held for: each kind of release has rounds, a ring and a charge of its own."""
PURPOSES: Final = get_args(Purpose)


class CharterInvalid(HanseError):
    """The charter is not what every platform on its roster signed."""

    exit_code = 2


class Frozen(BaseModel):
    """Fixed once it is read, and without fields that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Member(Frozen):
    """One platform: its key, its contract weight, how it trains and what it may spend."""

    platform: Name
    public_key: Digest
    weight: PositiveFloat
    training: LocalTraining
    privacy: PrivacyPlan | SharedNoisePlan | None


class ModelTerms(Frozen):
    """The shared model, pinned: dial, feature width, and digests of encoder, feature basis and layout."""

    size: Size
    features: PositiveInt
    parameters: PositiveInt
    encoder: Digest
    basis: Digest
    layout: Digest


class TensorClip(Frozen):
    """One tensor of the vector and its largest coordinate on a ring of 16 bits."""

    size: PositiveInt
    clip: PositiveFloat


class ServerTraining(Frozen):
    """The coordinator's optimiser (FedAdam; Reddi et al., 2021) and the averaging of released parameters."""

    learning_rate: PositiveFloat = 0.03
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.99
    epsilon: PositiveFloat = 1e-4
    average: Annotated[float, Field(ge=0, lt=1)] = 0.5
