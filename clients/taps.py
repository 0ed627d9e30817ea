"""Every call of a trainable layer while a model runs: what went in, what came out, and whether it is per user."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from clients.layer_rules import RULES
from common.errors import HanseError

Layers = Mapping[str, nn.Module]
"""Trainable layers by their names."""


class NotPerUser(HanseError):
    """A model whose gradient cannot be split by user; the reason says which layer, and why."""


@dataclass(frozen=True, slots=True, eq=False)
class Tap:
    """One layer's call: ``given`` (B, L, in), or (B, L) indices of an embedding; ``made``: (B, L, out)."""

    layer: nn.Module
    given: torch.Tensor
    made: torch.Tensor
    versions: tuple[int, int]  # autograd's own count of what was done to the two in place

    @classmethod
    def of(cls, layer: nn.Module, given: torch.Tensor, made: torch.Tensor) -> "Tap":
        """The call, as it is now."""
        return cls(layer, given.detach(), made, (given._version, made._version))

    @property
    def stale(self) -> bool:
        """Whether the model overwrote the input or the output since: the gradient would be another one."""
        return (self.given._version, self.made._version) != self.versions


def tapped(layers: Layers, asked: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, list[Tap]]:
    """What ``asked`` gives, and every call of one of ``layers`` meanwhile."""
    taps: list[Tap] = []
    hooks = [
        layer.register_forward_hook(lambda layer, given, made: taps.append(Tap.of(layer, given[0], made)))
        for layer in layers.values()
    ]
    try:
        return asked(), taps
    finally:
        for hook in hooks:
            hook.remove()


def trainable_layers(model: nn.Module) -> Layers:
    """The modules that hold a trainable parameter themselves, by their names.

    Raises:
        NotPerUser: if there is none, or one without a rule for its type, its parameters or its options.
    """
    layers = {
        name: module
        for name, module in model.named_modules()
        if any(p.requires_grad for p in module.parameters(recurse=False))
    }
    if not layers:
        raise NotPerUser("no trainable layer", why="noise would be all that is released")
    for name, layer in layers.items():
        _check_rule(name, layer)
    return layers


def check_calls(layers: Layers, taps: list[Tap], users: int) -> None:
    """Whether each of ``layers`` was called once, with ``users`` as its first axis.

    Raises:
        NotPerUser: if not.
    """
    calls = [tap.layer for tap in taps]
    for name, layer in layers.items():
        where = told(name, layer)
        if calls.count(layer) != 1:
            why = "its gradients would be added up" if layer in calls else "its gradient would be noise alone"
            raise NotPerUser(f"called {calls.count(layer)} times in a step", where=where, why=why)
        tap = taps[calls.index(layer)]
        shape = tuple(tap.made.shape)
        if len(shape) != 3 or shape[0] != users:
            raise NotPerUser(f"made {shape} for {users} users", where=where, why=_misfit(shape))
        if tap.stale:
            raise NotPerUser(
                "its input or output was changed in place", where=where, why="so was its gradient"
            )


def told(name: str, layer: nn.Module) -> str:
    """A layer as messages name it."""
    return f"{name or 'model'} ({type(layer).__name__})"


def _misfit(shape: tuple[int, ...]) -> str:
    if len(shape) == 3 and shape[0] == 1:
        return "broadcast over the users: expand its input to (users, L)"
    if len(shape) == 2:
        return "a row would be an interaction, and clipping would bound each instead of each person"
    return "(users, L, ·) is needed"


def _check_rule(name: str, layer: nn.Module) -> None:
    where, rule = told(name, layer), RULES.get(type(layer))
    if rule is None:
        known = ", ".join(sorted(kind.__name__ for kind in RULES))
        raise NotPerUser("no rule for its gradient", where=where, hint=f"layers with a rule: {known}")
    unknown = {name for name, _ in layer.named_parameters(recurse=False)} - rule.parameters
    if unknown:
        raise NotPerUser(f"no rule for its {', '.join(sorted(unknown))}", where=where)
    if reason := rule.refusal(layer):
        raise NotPerUser("an option that no rule follows", where=where, why=reason)
