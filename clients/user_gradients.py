"""One gradient per user, from what went into each layer and what came back to its output.

One backward pass to the layers' outputs alone spares the weight gradients that DP-SGD would throw away. The
gradients go, a few users at a time, into memory that every step uses again and that fits into the caches.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

from clients.layer_rules import RULES
from clients.taps import NotPerUser, Tap, check_calls, tapped, told, trainable_layers

Losses = Callable[[], torch.Tensor]
"""Asks the model and gives one loss per user, (B,), from that user's rows alone. B may be 0."""

BUFFER_BYTES: Final = 4 << 20


def user_gradients(model: nn.Module, losses: Losses) -> list[torch.Tensor]:
    """Gradients of each user's loss, (B, *shape) for every trainable parameter, in the model's order.

    Raises:
        NotPerUser: unless every trainable layer has a rule and is called once, on (B, L, ·).
    """
    slots, batch = _Slots(model), _Batch.of(model, losses)
    whole = slots.rows(batch.users)
    batch.write(slice(0, batch.users), whole, slots)
    return slots.split(whole)


class GradientBuffer:
    """Room for the gradients of ``rows`` users, (rows, d), which every part of every batch overwrites."""

    def __init__(self, model: nn.Module, rows: int | None = None) -> None:
        self._model, self._slots = model, _Slots(model)
        self._memory = self._slots.rows(rows or max(1, BUFFER_BYTES // (4 * self._slots.width)))

    def parts(self, losses: Losses) -> Iterator[torch.Tensor]:
        """The gradients of each user's loss, in order: (b, d), b ≤ rows; no part if nobody was drawn.

        d runs over the trainable parameters in the model's order. A part is a new view, and the next one
        overwrites its numbers.

        Raises:
            NotPerUser: unless every trainable layer has a rule and is called once, on (B, L, ·).
        """
        batch, rows = _Batch.of(self._model, losses), len(self._memory)
        for begin in range(0, batch.users, rows):
            end = min(begin + rows, batch.users)
            part = self._memory[: end - begin]
            batch.write(slice(begin, end), part, self._slots)
            yield part


class _Slots:
    """Where each trainable parameter of a model lies in a row of d numbers."""

    def __init__(self, model: nn.Module) -> None:
        self._begins: dict[nn.Parameter, int] = {}
        self.width = 0
        for p in model.parameters():
            if p.requires_grad:
                self._begins[p] = self.width
                self.width += p.numel()

    def rows(self, count: int) -> torch.Tensor:
        """Memory for ``count`` users, (count, d), with anything in it."""
        kind = next(iter(self._begins))
        return torch.empty(count, self.width, dtype=kind.dtype, device=kind.device)

    def split(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """(b, d) as views (b, *shape) of the same memory, one for each parameter."""
        return [self.view(rows, p) for p in self._begins]

    def view(self, rows: torch.Tensor, p: nn.Parameter) -> torch.Tensor:
        """What of (b, d) belongs to ``p``, (b, *shape)."""
        begin = self._begins[p]
        return rows[:, begin : begin + p.numel()].view(len(rows), *p.shape)


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """What B users' gradients are made of: a call of every layer, and what came back to its output."""

    users: int
    taps: list[Tap]
    upstream: tuple[torch.Tensor, ...]

    @classmethod
    def of(cls, model: nn.Module, losses: Losses) -> "_Batch":
        each, taps = tapped(model, losses)
        check_calls(model, taps, len(each))
        upstream = torch.autograd.grad(each.sum(), [tap.made for tap in taps], allow_unused=True)
        return cls(len(each), taps, tuple(_reached(model, taps, upstream)))

    def write(self, users: slice, rows: torch.Tensor, slots: _Slots) -> None:
        """The gradients of ``users`` into ``rows`` (b, d), over whatever is there."""
        for tap, gradient in zip(self.taps, self.upstream, strict=True):
            named = tap.layer.named_parameters(recurse=False)
            views = {name: slots.view(rows, p) for name, p in named if p.requires_grad}
            RULES[type(tap.layer)].write(tap.given[users], gradient[users], views)


def _reached(
    model: nn.Module, taps: list[Tap], upstream: tuple[torch.Tensor | None, ...]
) -> Iterator[torch.Tensor]:
    names = {layer: name for name, layer in trainable_layers(model).items()}
    for tap, gradient in zip(taps, upstream, strict=True):
        if gradient is None:
            raise NotPerUser("its output reaches no loss", where=told(names[tap.layer], tap.layer))
        yield gradient
