"""One gradient per user, from what went into each layer and what came back to its output.

Opacus' hooks compute the same (a test holds the two equal); one backward pass to the layers' outputs alone
spares the weight gradients that DP-SGD would throw away.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from common.errors import HanseError


class NotPerUser(HanseError):
    """A layer whose gradient cannot be split by user: an unknown type, used twice, or without a user axis."""


@dataclass(frozen=True, slots=True, eq=False)
class _Tap:
    """One layer's call: ``given`` (B, L, in), or (B, L) indices of an embedding; ``made``: (B, L, out)."""

    layer: nn.Module
    given: torch.Tensor
    made: torch.Tensor


def user_gradients(model: nn.Module, losses: Callable[[], torch.Tensor]) -> list[torch.Tensor]:
    """Gradients of each user's loss, (B, *shape) for every trainable parameter, in the model's order.

    ``losses`` asks the model and gives one loss per user, (B,), from that user's rows alone. B may be 0.

    Raises:
        NotPerUser: unless every trainable layer is a Linear or an Embedding, called once, on (B, L, ·).
    """
    layers = [m for m in model.modules() if any(p.requires_grad for p in m.parameters(recurse=False))]
    taps: list[_Tap] = []
    hooks = [
        m.register_forward_hook(lambda m, given, made: taps.append(_Tap(m, given[0].detach(), made)))
        for m in layers
    ]
    try:
        each = losses()
    finally:
        for hook in hooks:
            hook.remove()
    _check(layers, taps, len(each))
    upstream = torch.autograd.grad(each.sum(), [tap.made for tap in taps])
    found: dict[torch.Tensor, torch.Tensor] = {}
    for tap, gradient in zip(taps, upstream, strict=True):
        found.update(_of_layer(tap, gradient))
    return [found[p] for p in model.parameters() if p.requires_grad]


def _check(layers: list[nn.Module], taps: list[_Tap], users: int) -> None:
    called = [tap.layer for tap in taps]
    for layer in layers:
        if not isinstance(layer, nn.Linear | nn.Embedding):
            raise NotPerUser(f"no per-user gradient for a {type(layer).__name__}")
        if called.count(layer) != 1:
            raise NotPerUser(
                f"a {type(layer).__name__} was called {called.count(layer)} times", why="once is needed"
            )
    for tap in taps:
        if tap.made.dim() != 3 or len(tap.made) != users:
            raise NotPerUser(
                f"a layer made {tuple(tap.made.shape)} for {users} users", why="(users, L, ·) is needed"
            )


def _of_layer(tap: _Tap, gradient: torch.Tensor) -> dict[torch.Tensor, torch.Tensor]:
    """``gradient``: (B, L, out), of each user's loss with respect to the layer's output."""
    layer = tap.layer
    if isinstance(layer, nn.Embedding):
        rows = gradient.new_zeros(len(gradient), *layer.weight.shape)  # (B, places, out)
        return {layer.weight: rows.scatter_add_(1, tap.given.unsqueeze(-1).expand_as(gradient), gradient)}
    weight, bias = layer.get_parameter("weight"), getattr(layer, "bias", None)
    found: dict[torch.Tensor, torch.Tensor] = {weight: gradient.transpose(1, 2) @ tap.given}  # (B, out, in)
    if bias is not None:
        found[bias] = gradient.sum(1)
    return found
