"""The layers whose gradients can be told apart by user, and how; a layer that is not here is not trained.

A rule needs what went into the layer and what came back to its output. Opacus' hooks compute the same
(a test holds the two equal, for every rule).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

Views = Mapping[str, torch.Tensor]
"""Where a layer's gradients go, (B, *shape), by the names of its trainable parameters."""


@dataclass(frozen=True, slots=True)
class LayerRule:
    """A layer's parameters, how to write their gradients, and which of its options no rule can follow.

    ``write(given, upstream, views)``: ``given`` went in, (B, L, in) or (B, L) indices; ``upstream``
    (B, L, out) is the derivative of each user's loss by what came out; ``views`` are overwritten.
    ``refusal(layer)`` is the reason why this layer is refused after all, or nothing.
    """

    parameters: frozenset[str]
    write: Callable[[torch.Tensor, torch.Tensor, Views], None]
    refusal: Callable[[nn.Module], str]


def _write_linear(given: torch.Tensor, upstream: torch.Tensor, views: Views) -> None:
    if "weight" in views:
        # Batched multiplication is fastest into memory without gaps, which the view is not.
        views["weight"].copy_(upstream.transpose(1, 2) @ given)  # (B, out, in)
    if "bias" in views:
        torch.sum(upstream, 1, out=views["bias"])


def _write_embedding(given: torch.Tensor, upstream: torch.Tensor, views: Views) -> None:
    rows = views["weight"].zero_()  # (B, rows, out)
    if len(given) and given.stride(0) == 0:  # the same indices for everybody, as positions are
        rows.index_add_(1, given[:1].reshape(-1), upstream)
    else:
        users = torch.arange(len(given)).unsqueeze(1).expand_as(given)
        rows.index_put_((users, given), upstream, accumulate=True)


def _embedding_refusal(layer: nn.Module) -> str:
    shared = getattr(layer, "scale_grad_by_freq", False), getattr(layer, "max_norm", None) is not None
    if any(shared):
        return "scale_grad_by_freq and max_norm make one user's gradient depend on the others' rows"
    if getattr(layer, "padding_idx", None) is not None or getattr(layer, "sparse", False):
        return "padding_idx and sparse change the gradient, and no rule here follows them"
    return ""


RULES: Final[Mapping[type[nn.Module], LayerRule]] = {
    nn.Linear: LayerRule(frozenset({"weight", "bias"}), _write_linear, lambda _layer: ""),
    nn.Embedding: LayerRule(frozenset({"weight"}), _write_embedding, _embedding_refusal),
}
"""By the exact type: a subclass may compute something else."""
