"""The model as sites and scorers receive it: one vector of trainable parameters and, after them, a frozen map.

The map is what the charter's statistics gave. It corrects the text recommender's queries from below the
residual: untrained, the model ranks exactly by it. A vector without it stands for the identity.
"""

import numpy as np
import torch
from torch import nn

from common.deltas import Floats
from common.model.layout import ParamLayout, WrongLayout, unpack
from common.model.sequence import SharedModel, build_model
from common.model.training import Size


class LowRankMap(nn.Module):
    """q ↦ q + q · first · second, which nothing trains. ``first``: (F, r), ``second``: (r, F)."""

    first: torch.Tensor
    second: torch.Tensor

    def __init__(self, first: Floats, second: Floats) -> None:
        super().__init__()
        self.register_buffer("first", torch.from_numpy(first.copy()))
        self.register_buffer("second", torch.from_numpy(second.copy()))

    def forward(self, queries: torch.Tensor) -> torch.Tensor:
        """``queries``: (…, F), and so is the result."""
        return queries + queries @ self.first @ self.second


def map_size(features: int, rank: int) -> int:
    """How many numbers a frozen map takes."""
    return 2 * features * rank


def flat_map(first: Floats, second: Floats) -> Floats:
    """The map's two factors as the vector's end."""
    return np.concatenate([first.ravel(), second.ravel()])


def load_model(vector: Floats, size: Size, features: int) -> SharedModel:
    """The model at ``vector``: float32, (d,) or (d + :func:`map_size`,).

    Raises:
        WrongLayout: when the vector is of another length or type, or not finite.
    """
    model = build_model(size, features)
    count = ParamLayout.of(model).size
    unpack(vector[:count], model)
    if (tail := vector[count:]).size:
        model.base = _map_of(tail, features)
    return model


def _map_of(tail: Floats, features: int) -> LowRankMap:
    rank, rest = divmod(tail.size, map_size(features, 1))
    if rest or not np.isfinite(tail).all():
        raise WrongLayout(f"a frozen map of {tail.size} values", why="not two finite factors of one rank")
    half = features * rank
    return LowRankMap(tail[:half].reshape(features, rank), tail[half:].reshape(rank, features))
