"""Training a deep encoder's adapters in private, by Opacus' hooks: the way for machines with a GPU.

Each step encodes the items of every user again, some fifty times the work of cached features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from opacus import GradSampleModule

from clients.private_optimizer import OsNoiseOptimizer, drop_non_finite
from clients.taps import NotPerUser
from common.model.lora import DeepEncoder
from common.model.losses import shifted, softmax_loss
from common.model.sequence import recency_queries

Losses = Callable[[], torch.Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Histories:
    """Users' items as tokens, oldest first: ``ids`` and ``mask``, int64, (B, L, T)."""

    ids: torch.Tensor
    mask: torch.Tensor


def hooked(model: DeepEncoder) -> GradSampleModule:
    """``model`` under Opacus' hooks; its losses are summed over users, never averaged."""
    return GradSampleModule(model, loss_reduction="sum")


def next_item_losses(
    model: GradSampleModule, histories: Histories, negatives: torch.Tensor, share: float
) -> torch.Tensor:
    """Sampled softmax of each user's next items, (B,), summed over L; no term joins two users.

    ``negatives``: (N, width), unit-norm, of the frozen encoder, drawn uniformly from the public catalogue;
    ``share``: N over the catalogue's size. They are constants: encoded with the adapters they would carry one
    gradient for all users.
    """
    targets = model(histories.ids, histories.mask)  # (B, L, width)
    queries = recency_queries(shifted(targets))
    hits = (queries * targets).sum(-1)
    losses = softmax_loss(hits, queries @ negatives.T, torch.zeros_like(hits), share)
    return (losses * histories.mask.any(-1)).sum(1)


def hooked_gradients(model: GradSampleModule, losses: Losses) -> list[torch.Tensor]:
    """Gradients of each user's loss, (B, *shape) for every trainable parameter, in the model's order; B may be 0.

    They are also left in each parameter's ``grad_sample``, where Opacus looks for them.

    Raises:
        NotPerUser: when the hooks found other than one gradient for each user, as where a layer saw
            (B·L, T, ·): Opacus would clip each item instead of each person.
    """
    model.zero_grad(set_to_none=True)
    each = losses()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if len(each):
        each.sum().backward()  # type: ignore[no-untyped-call]
    else:
        for p in trained.values():
            p.grad_sample = p.new_zeros(0, *p.shape)
    return [_of_each(name, p, len(each)) for name, p in trained.items()]


def _of_each(name: str, parameter: torch.nn.Parameter, users: int) -> torch.Tensor:
    found = getattr(parameter, "grad_sample", None)
    if isinstance(found, torch.Tensor) and found.shape == (users, *parameter.shape):
        return found
    told = tuple(found.shape) if isinstance(found, torch.Tensor) else "none, or several"
    why = "a row of a layer would be an item, and clipping would bound each instead of each person"
    raise NotPerUser(f"gradients {told} for {users} users", where=name, why=why)


def hooked_step(model: GradSampleModule, optimizer: OsNoiseOptimizer, losses: Losses) -> None:
    """One step of DP-SGD on the adapters, by an ``optimizer`` over the model's trainable parameters.

    Raises:
        NotPerUser: as :func:`hooked_gradients` says; nothing has moved then.
    """
    drop_non_finite(hooked_gradients(model, losses))
    optimizer.step()
    model.zero_grad(set_to_none=True)
