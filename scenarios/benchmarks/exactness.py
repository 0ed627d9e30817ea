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
    errors = dict[str, float]()
    for loss in LOSSES:
        for kind, error in _errors(loss):
            errors[kind] = max(errors.get(kind, 0.0), error)
    moved = {
        name: max(_moved(name, loss, clip) / clip for loss in LOSSES for clip in CLIPS)
        for name in _adversaries()
    }
    return {
        "max_relative_gradient_error": max(errors.values()),
        "gradient_error_by_layer": errors,
        "sensitivity_over_C": max(moved.values()),
        "sensitivity_by_adversary": moved,
    }


def _errors(loss: Loss) -> Iterator[tuple[str, float]]:
    """Layer type, and ‖ours − alone‖ / ‖alone‖ for each user and parameter; alone is in double precision."""
    world = _World(loss)
    rows = world.rows(ALONE)
    ours = user_gradients(world.model, lambda: world.losses(world.model, rows))
    exact = copy.deepcopy(world.model).double()
    types = [
        type(layer).__name__ for layer in exact.modules() for _ in layer.parameters(recurse=False)
    ]  # in the order of the parameters
    for user in range(ALONE):
        single = rows[0][user : user + 1], rows[1][user : user + 1]
        total = world.losses(exact, single).sum()
        alone = torch.autograd.grad(total, list(exact.parameters()))
        for kind, gradient, reference in zip(types, ours, alone, strict=True):
            yield kind, float((gradient[user] - reference).norm() / reference.norm())


def _moved(adversary: str, loss: Loss, clip: float) -> float:
    """By how much the sum before noise moves, in L2 norm, when the adversary joins a batch."""
    world = _World(loss)
    rows, joining = world.rows(CASE.batch), _adversaries()[adversary]
    buffer, flat = GradientBuffer(world.model), flatten(world.model)
    still = torch.optim.SGD([flat], lr=0.0)
    optimizer = OsNoiseOptimizer(
        still, noise_multiplier=1.0, clip=clip, denominator=1.0, noise=OsRandomness()
    )

    def summed(batch: Rows) -> torch.Tensor:
        optimizer.step_over(buffer.parts(lambda: world.losses(world.model, batch)))
        found: torch.Tensor = flat.summed_grad.double()  # type: ignore[attr-defined]  # where Opacus keeps it
        return found

    without = summed(rows)
    joined = torch.cat([rows[0], joining[0]]), torch.cat([rows[1], joining[1]])
    return float((summed(joined) - without).norm())


def _adversaries() -> dict[str, Rows]:
    """Users with full histories of one repeated item, and with ratings that are huge or not numbers at all."""
    draw = KeyedRandomness("benchmark", "adversary")
    items = torch.from_numpy(draw.integers(ITEMS, CASE.length)).view(1, -1)
    rated = {"huge": 1e6, "huger": 1e15, "too large to square": 1e25, "infinite": np.inf, "NaN": np.nan}
    return {
        "one item repeated": (items[:, :1].expand(1, CASE.length), torch.full((1, CASE.length), 5.0)),
        **{f"ratings {name}": (items, torch.full(items.shape, value)) for name, value in rated.items()},
    }


class _World:
    """A loss, a catalogue, and a model at parameters none of which is zero."""

    def __init__(self, loss: Loss) -> None:
        self.terms = LocalTraining(loss=loss)
        self.model, self._shelf = CASE.model(), CASE.shelf()
        drawn = KeyedRandomness("benchmark", "negatives").integers(ITEMS, self.terms.negatives)
        self._negatives = torch.from_numpy(drawn)

    def rows(self, users: int) -> Rows:
        """The first ``users``' rows."""
        chosen = self._shelf.windows.of(np.arange(users))
        return torch.from_numpy(chosen.items), torch.from_numpy(chosen.values)

    def losses(self, model: SharedModel, rows: Rows) -> torch.Tensor:
        """One loss per user, in the model's own precision."""
        kind = next(model.parameters()).dtype
        features, values = self._shelf.features.to(kind), rows[1].to(kind)
        return user_losses(model, features, rows[0], values, self._negatives, self.terms)
