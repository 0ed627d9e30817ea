"""One gradient per user, from what went into each layer and what came back to its output.

One backward pass to the layers' outputs alone spares the weight gradients that DP-SGD would throw away. The
gradients go, a few users at a time, into memory that every step uses again and that fits into the caches.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import torch
from torch import nn

from clients.layer_rules import RULES
from clients.taps import Layers, NotPerUser, Tap, check_calls, tapped, told, trainable_layers

Losses = Callable[[], torch.Tensor]
"""Asks the model and gives one loss per user, (B,), from that user's rows alone. B may be 0."""

BUFFER_BYTES: Final = 8 << 20  # smaller parts cost more calls, larger ones leave the caches


def user_gradients(model: nn.Module, losses: Losses) -> list[torch.Tensor]:
    """Gradients of each user's loss, (B, *shape) for every trainable parameter, in the model's order.

    Raises:
        NotPerUser: unless every trainable layer has a rule and is called once, on (B, L, ·).
    """
    slots = _Slots(model)
    batch = _Batch.of(slots.layers, losses)
    whole = slots.rows(batch.users)
    batch.write(slice(0, batch.users), whole, slots)
    return slots.split(whole)


class GradientBuffer:
    """Room for the gradients of ``rows`` users, (rows, d), which every part of every batch overwrites."""

    def __init__(self, model: nn.Module, rows: int | None = None) -> None:
        self._slots = _Slots(model)
        self._memory = self._slots.rows(rows or max(1, BUFFER_BYTES // (4 * self._slots.width)))

    def parts(self, losses: Losses) -> Iterator[torch.Tensor]:
        """The gradients of each user's loss, in order: (b, d), b ≤ rows; no part if nobody was drawn.

        d runs over the trainable parameters in the model's order. A part is a new view, and the next one
        overwrites its numbers.

        Raises:
            NotPerUser: unless every trainable layer has a rule and is called once, on (B, L, ·).
        """
        batch, rows = _Batch.of(self._slots.layers, losses), len(self._memory)
        for begin in range(0, batch.users, rows):
            end = min(begin + rows, batch.users)
            part = self._memory[: end - begin]
            batch.write(slice(begin, end), part, self._slots)
            yield part


class _Slots:
    """Where each trainable parameter of a model lies in a row of d numbers."""

    def __init__(self, model: nn.Module) -> None:
        self.layers = trainable_layers(model)
        self._trained = [p for p in model.parameters() if p.requires_grad]
        ends = accumulate((p.numel() for p in self._trained), initial=0)
        self._begins = dict(zip(self._trained, ends, strict=False))
        self._of_layer = {
            layer: {name: p for name, p in layer.named_parameters(recurse=False) if p.requires_grad}
            for layer in self.layers.values()
        }
        self.width = sum(p.numel() for p in self._trained)

    def rows(self, count: int) -> torch.Tensor:
        """Memory for ``count`` users, (count, d), with anything in it."""
        kind = self._trained[0]
        return torch.empty(count, self.width, dtype=kind.dtype, device=kind.device)

    def split(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """(b, d) as views (b, *shape) of the same memory, one for each parameter."""
        return [self._view(rows, p) for p in self._trained]

    def of(self, layer: nn.Module, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        """What of (b, d) belongs to ``layer``, by its parameters' names, each (b, *shape)."""
        return {name: self._view(rows, p) for name, p in self._of_layer[layer].items()}

    def _view(self, rows: torch.Tensor, p: nn.Parameter) -> torch.Tensor:
        begin = self._begins[p]
        return rows[:, begin : begin + p.numel()].view(len(rows), *p.shape)


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """What B users' gradients are made of: a call of every layer, and what came back to its output."""

    users: int
    taps: list[Tap]
    upstream: list[torch.Tensor]

    @classmethod
    def of(cls, layers: Layers, losses: Losses) -> "_Batch":
        each, taps = tapped(layers, losses)
        check_calls(layers, taps, len(each))
        found = torch.autograd.grad(each.sum(), [tap.made for tap in taps], allow_unused=True)
        upstream = [gradient for gradient in found if gradient is not None]
        for name, layer in layers.items():
            if any(
                tap.layer is layer and gradient is None for tap, gradient in zip(taps, found, strict=True)
            ):
                raise NotPerUser("its output reaches no loss", where=told(name, layer))
        return cls(len(each), taps, upstream)

    def write(self, users: slice, rows: torch.Tensor, slots: _Slots) -> None:
        """The gradients of ``users`` into ``rows`` (b, d), over whatever is there."""
        for tap, gradient in zip(self.taps, self.upstream, strict=True):
            RULES[type(tap.layer)].write(tap.given[users], gradient[users], slots.of(tap.layer, rows))
