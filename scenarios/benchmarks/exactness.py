"""Whether per-user gradients are exact, and whether clipping bounds what one user made for the purpose can do."""

import copy
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import torch

from clients.private_optimizer import OsNoiseOptimizer
from clients.user_gradients import GradientBuffer, user_gradients
from common.model.layout import flatten
from common.model.losses import LOSSES, user_losses
from common.model.sequence import SharedModel
from common.model.training import LocalTraining, Loss
from common.randomness import KeyedRandomness, OsRandomness
from scenarios.benchmarks.steps import ITEMS, Case

CASE: Final = Case("small", batch=64, steps=1)
ALONE: Final = 4  # users whose gradients are held against batches of one
CLIPS: Final = (1.0, 0.1)

Rows = tuple[torch.Tensor, torch.Tensor]
"""Items and values, (B, L) each."""


def measure() -> dict[str, Any]:
    """The largest relative error by layer type, and the largest change of the sum by one user, over C."""
    errors, moved = dict[str, float](), dict[str, float]()
    for loss in LOSSES:
        world = World(loss)
        for kind, error in world.errors():
            errors[kind] = max(errors.get(kind, 0.0), error)
        for clip in CLIPS:
            for name, change in world.changes(clip):
                moved[name] = max(moved.get(name, 0.0), change / clip)
    return {
        "max_relative_gradient_error": max(errors.values()),
        "gradient_error_by_layer": errors,
        "sensitivity_over_C": max(moved.values()),
        "sensitivity_by_adversary": moved,
    }


class World:
    """A loss, a catalogue, users, and a model at parameters none of which is zero."""

    def __init__(self, loss: Loss) -> None:
        self._terms = LocalTraining(loss=loss)
        self._model, self._shelf = CASE.model(), CASE.shelf()
        drawn = KeyedRandomness("benchmark", "negatives").integers(ITEMS, self._terms.negatives)
        self._negatives = torch.from_numpy(drawn)

    def errors(self) -> Iterator[tuple[str, float]]:
        """Layer type, and ‖ours − alone‖ / ‖alone‖ of a user and parameter; alone is in double precision."""
        rows = self._rows(ALONE)
        ours = user_gradients(self._model, lambda: self._losses(self._model, rows))
        exact = copy.deepcopy(self._model).double()
        layers = (layer for layer in exact.modules() for _ in layer.parameters(recurse=False))
        kinds = [type(layer).__name__ for layer in layers]  # in the parameters' order
        for user in range(ALONE):
            single = rows[0][user : user + 1], rows[1][user : user + 1]
            alone = torch.autograd.grad(self._losses(exact, single).sum(), list(exact.parameters()))
            for kind, gradient, reference in zip(kinds, ours, alone, strict=True):
                yield kind, float((gradient[user] - reference).norm() / reference.norm())

    def changes(self, clip: float) -> Iterator[tuple[str, float]]:
        """Each adversary, and by how much the sum before noise moves, in L2 norm, when it joins a batch."""
        model = copy.deepcopy(self._model)
        buffer, flat = GradientBuffer(model), flatten(model)
        still = torch.optim.SGD([flat], lr=0.0)
        optimizer = OsNoiseOptimizer(
            still, noise_multiplier=1.0, clip=clip, denominator=1.0, noise=OsRandomness()
        )

        def summed(batch: Rows) -> torch.Tensor:
            optimizer.step_over(buffer.parts(lambda: self._losses(model, batch)))
            found: torch.Tensor = flat.summed_grad.double()  # type: ignore[attr-defined]  # set by Opacus
            return found

        rows = self._rows(CASE.batch)
        without = summed(rows)
        for name, (items, values) in _adversaries().items():
            joined = torch.cat([rows[0], items]), torch.cat([rows[1], values])
            yield name, float((summed(joined) - without).norm())

    def _rows(self, users: int) -> Rows:
        chosen = self._shelf.windows.of(np.arange(users))
        return torch.from_numpy(chosen.items), torch.from_numpy(chosen.values)

    def _losses(self, model: SharedModel, rows: Rows) -> torch.Tensor:
        kind = next(model.parameters()).dtype
        features, values = self._shelf.features.to(kind), rows[1].to(kind)
        return user_losses(model, features, rows[0], values, self._negatives, self._terms)


def _adversaries() -> dict[str, Rows]:
    """Users with full histories of one repeated item, and with ratings that are huge or not numbers at all."""
    draw = KeyedRandomness("benchmark", "adversary")
    items = torch.from_numpy(draw.integers(ITEMS, CASE.length)).view(1, -1)
    rated = {"huge": 1e6, "huger": 1e15, "too large to square": 1e25, "infinite": np.inf, "NaN": np.nan}
    return {
        "one item repeated": (items[:, :1].expand(1, CASE.length), torch.full((1, CASE.length), 5.0)),
        **{f"ratings {name}": (items, torch.full(items.shape, value)) for name, value in rated.items()},
    }
