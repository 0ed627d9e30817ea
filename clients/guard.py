"""What must not go wrong in silence: a model is tried on made-up rows before it trains, and looked at after.

Noise moves every layer and ε is spent whether or not a gradient ever arrived, so neither tells. Nothing here
looks at a user's row: that a round fails says nothing about anyone.
"""

import copy
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn
from torch.optim import Optimizer

from clients.user_gradients import user_gradients
from common.errors import HanseError

_USERS, _LENGTH = 3, 4
# Float32 sums in another order differ by 1e-6; a gradient with another user's in it by far more.
_TOLERANCE: Final = 1e-4


class SilentFailure(HanseError):
    """Training looked normal but was not: a layer never moved, or a gradient was not one per user."""


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    """A model before training: copies of what must move and of what must not."""

    trainable: dict[str, torch.Tensor]
    frozen: dict[str, torch.Tensor]

    @classmethod
    def over(cls, model: nn.Module, optimizer: Optimizer, features: int) -> "Watch":
        """Try ``model``, which maps (B, L, ``features``) to (B, ...), and what ``optimizer`` will move.

        Raises:
            SilentFailure: tensors on several devices or on none; an optimiser over anything but the model's
                trainable parameters; a gradient that is none, or is not that of a batch of one.
        """
        _check_devices(model)
        _check_owned(model, optimizer)
        rehearse(model, features)
        kept = {name: p.detach().clone() for name, p in _tensors(model)}
        moving = {name for name, p in model.named_parameters() if p.requires_grad}
        return cls(
            {name: tensor for name, tensor in kept.items() if name in moving},
            {name: tensor for name, tensor in kept.items() if name not in moving},
        )

    def check(self, model: nn.Module) -> None:
        """After noise was added to every parameter at least once.

        Raises:
            SilentFailure: what was to train did not move, or what was frozen did.
        """
        _check_devices(model)
        now = dict(_tensors(model))
        for name, before in self.trainable.items():
            if torch.equal(now[name], before):
                raise SilentFailure(f"{name} did not move", why="the optimiser's steps never reached it")
        for name, before in self.frozen.items():
            if not torch.equal(now[name], before):
                raise SilentFailure(f"{name} moved", why="it is frozen: nothing was clipped or noised there")


def rehearse(model: nn.Module, features: int) -> None:
    """Whether every trainable parameter of ``model`` gets a gradient, each user's own.

    The rows are made up, and a copy of the model has made-up parameters: an untrained residual of zeros would
    hide every layer behind it.

    Raises:
        SilentFailure: if not.
        NotPerUser: as :func:`~clients.user_gradients.user_gradients` says.
    """
    tried = copy.deepcopy(model)
    with torch.no_grad():
        for number, parameter in enumerate(tried.parameters()):
            parameter.copy_(_made_up(*parameter.shape, start=number) * parameter.shape[-1] ** -0.5)
    device = next(tried.parameters()).device
    rows = _made_up(_USERS, _LENGTH, features, start=1).to(device)
    named = [(name, p) for name, p in tried.named_parameters() if p.requires_grad]
    found = user_gradients(tried, lambda: _losses(tried(rows), slice(0, _USERS)))
    for user in range(_USERS):
        one = slice(user, user + 1)
        loss = _losses(tried(rows[one]), one).sum()
        alone = torch.autograd.grad(loss, [p for _, p in named], allow_unused=True)
        for (name, _), gradient, reference in zip(named, found, alone, strict=True):
            if reference is None or not reference.any():
                why = "the loss does not depend on it; noise would move it all the same"
                raise SilentFailure(f"{name} gets no gradient", why=why)
            if (gradient[user] - reference).norm() > _TOLERANCE * reference.norm():
                why = "it is not what a batch of that user alone gives"
                raise SilentFailure(f"{name}: a gradient that is not one user's", why=why)


def _losses(made: torch.Tensor, users: slice) -> torch.Tensor:
    """One loss for each of ``users``, (B,), of what the model made, (B, ...).

    Every user has weights of their own: with the same for all, what users take from each other would add up to
    what each would have had alone.
    """
    weights = _made_up(_USERS, *made.shape[1:], start=2)[users].to(made.device)
    return (made * weights).flatten(1).sum(1)


def _made_up(*shape: int, start: int) -> torch.Tensor:
    """Numbers in (−1, 1) without a pattern that a layer could cancel; the same for everyone, always."""
    count = torch.Size(shape).numel()
    return torch.sin(torch.arange(count, dtype=torch.float64).square() * 0.7 + start).float().view(shape)


def _tensors(model: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [*model.named_parameters(), *model.named_buffers()]


def _check_devices(model: nn.Module) -> None:
    devices = sorted({str(tensor.device) for _, tensor in _tensors(model)})
    if devices != devices[:1] or "meta" in devices:
        told = ", ".join(devices)
        hint = "move the model before wrapping it and before making its optimiser"
        raise SilentFailure("tensors that are not on one device", where=told, hint=hint)


def _check_owned(model: nn.Module, optimizer: Optimizer) -> None:
    """By memory and not by object: one flat parameter may stand for all of a model's."""
    moved = [p for group in optimizer.param_groups for p in group["params"]]
    for name, parameter in model.named_parameters():
        reached = any(_holds(whole, parameter) for whole in moved)
        if parameter.requires_grad and not reached:
            why = "it was made before the parameters that the model has now, or over a part of them"
            raise SilentFailure(f"the optimiser does not move {name}", why=why)
        if reached and not parameter.requires_grad:
            raise SilentFailure(f"the optimiser would move {name}", why="it is frozen")


def _holds(whole: torch.Tensor, part: torch.Tensor) -> bool:
    if whole.untyped_storage().data_ptr() != part.untyped_storage().data_ptr():
        return False
    begin = part.storage_offset() - whole.storage_offset()
    return begin >= 0 and begin + part.numel() <= whole.numel()
