"""The shared model: a causal transformer whose zero-initialised residual corrects a text-only recommender.

A query is the recency-weighted mean of the history plus the residual; an item's score is τ · query · x.
Untrained, the residual is zero and the model is exactly the zero-shot text recommender.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import torch
from torch import nn

from common.model.adapters import BottleneckAdapter
from common.model.training import HISTORY, Size
from common.randomness import KeyedRandomness

# Public constants: part of what the platforms agree on, never fitted to anyone's data.
DECAY: Final = 0.9
TEMPERATURE: Final = 6.0
EPSILON: Final = 1e-4


@dataclass(frozen=True, slots=True)
class Dimensions:
    """What a size means: the transformer's width, heads and hidden width, and the adapter's bottleneck."""

    width: int
    heads: int
    hidden: int
    bottleneck: int


SIZES: Final[dict[Size, Dimensions]] = {
    "tiny": Dimensions(width=24, heads=2, hidden=48, bottleneck=8),
    "small": Dimensions(width=48, heads=2, hidden=96, bottleneck=16),
    "base": Dimensions(width=96, heads=4, hidden=192, bottleneck=32),
}


class SharedModel(nn.Module):
    """Features of a history in, one query per position out. Build it with :func:`build_model`."""

    def __init__(self, dimensions: Dimensions, features: int) -> None:
        super().__init__()
        self.width = dimensions.width
        self.base: nn.Module = nn.Identity()  # what the residual corrects; frozen, and no part of the layout
        self.adapter = BottleneckAdapter(features, dimensions.width, dimensions.bottleneck)
        self.positions = nn.Embedding(HISTORY, dimensions.width)
        self.block = Block(dimensions)
        self.residual = nn.Linear(dimensions.width, features)  # its bias: what everyone likes

    def forward(self, history: torch.Tensor) -> torch.Tensor:
        """``history``: (B, L, features), L ≤ HISTORY; gives the queries after each position, same shape."""
        batch, length, _ = history.shape
        # Position ids are expanded: broadcast ids would have no user axis, and no per-user gradient.
        places = torch.arange(length).expand(batch, length)
        stream = self.adapter(history) + self.positions(places)  # (B, L, width)
        stream = normalise(self.block(stream)) / math.sqrt(self.width)
        queries: torch.Tensor = self.base(recency_queries(history)) + self.residual(stream)
        return queries


class Block(nn.Module):
    """A pre-LN transformer block (Xiong et al. 2020, arXiv:2002.04745), causal, norms without affine."""

    def __init__(self, dimensions: Dimensions) -> None:
        super().__init__()
        width, self.heads = dimensions.width, dimensions.heads
        self.attend = nn.Linear(width, 3 * width, bias=False)
        self.merge = nn.Linear(width, width, bias=False)
        self.expand = nn.Linear(width, dimensions.hidden)
        self.contract = nn.Linear(dimensions.hidden, width, bias=False)

    def forward(self, stream: torch.Tensor) -> torch.Tensor:
        """``stream``: (B, L, width), and so is the result."""
        stream = stream + self.merge(self._attention(normalise(stream)))
        hidden = nn.functional.gelu(self.expand(normalise(stream)))  # (B, L, hidden)
        result: torch.Tensor = stream + self.contract(hidden)
        return result

    def _attention(self, stream: torch.Tensor) -> torch.Tensor:
        batch, length, width = stream.shape
        heads = self.attend(stream).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each (B, heads, L, width / heads)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return mixed.transpose(1, 2).reshape(batch, length, width)


def normalise(stream: torch.Tensor) -> torch.Tensor:
    """LayerNorm without affine; its epsilon bounds the gradient of a nearly constant row."""
    return nn.functional.layer_norm(stream, stream.shape[-1:], eps=EPSILON)


def recency_queries(history: torch.Tensor) -> torch.Tensor:
    """Unit-norm recency-weighted means of (B, L, F), each up to its position; zero stays zero."""
    means = recency_weights(history.shape[1]).to(history.dtype) @ history
    return nn.functional.normalize(means, dim=-1, eps=EPSILON)


@lru_cache(maxsize=4)
def recency_weights(length: int) -> torch.Tensor:
    """Row t weighs position s ≤ t by DECAY^(t−s); later positions by 0. Shape (L, L)."""
    age = torch.arange(length)[:, None] - torch.arange(length)
    return torch.where(age >= 0, DECAY ** age.clamp(min=0).double(), 0.0).float()


def build_model(size: Size, features: int, seed: int = 0) -> SharedModel:
    """A model over ``features`` inputs, initialised from the public ``seed`` and not from torch's state."""
    model = SharedModel(SIZES[size], features)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(_initial(name, parameter, seed))
    return model


def _initial(name: str, parameter: torch.Tensor, seed: int) -> torch.Tensor:
    """Rows of unit variance for unit-norm inputs; the residual and the biases are zero."""
    if name.startswith("residual") or name.endswith("bias"):
        return torch.zeros_like(parameter)
    # Item features have unit norm, inner activations unit variance.
    scale = {"adapter.project": 1.0, "adapter.down": 1.0, "positions": 0.1}
    spread = scale.get(name.removesuffix(".weight"), parameter.shape[-1] ** -0.5)
    draws = KeyedRandomness("initialisation", seed, name, parameter.numel()).normal(parameter.numel())
    return torch.from_numpy(spread * draws).to(parameter.dtype).view_as(parameter)
