"""Local training between two aggregations: from shared parameters to a delta, privately or with privacy off.

Nothing is kept between rounds: each starts a fresh optimiser, so a resumed run repeats exactly.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW

from clients.guard import SilentFailure, Watch
from clients.per_user import validate
from clients.private_optimizer import OsNoiseOptimizer
from clients.user_gradients import GradientBuffer
from common.data.sequences import Sequences
from common.deltas import AdapterDelta, Floats
from common.model.base import load_model
from common.model.layout import flatten, pack
from common.model.losses import user_losses
from common.model.sequence import SharedModel
from common.model.training import LocalTraining, Optimizer, Size
from common.model.windows import Windows, as_tensor, last_windows
from common.privacy.plan import PrivacyPlan
from common.privacy.sampling import poisson_sample
from common.randomness import KeyedRandomness, OsRandomness, Randomness

_OPTIMIZERS: Final[dict[Optimizer, Callable[..., torch.optim.Optimizer]]] = {
    "adam": Adam,
    "adamw": AdamW,
    "sgd": SGD,
    "adagrad": Adagrad,
}


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a platform trains on. ``features``: (items, F); ``windows``: users' latest first occurrences."""

    features: torch.Tensor
    windows: Windows

    @classmethod
    def of(cls, features: NDArray[np.float32], sequences: Sequences, history: int) -> "Shelf":
        """From item features (items, F) and every user's events."""
        return cls(as_tensor(features), _latest(sequences, history))

    def losses(
        self, model: SharedModel, users: NDArray[np.int64], terms: LocalTraining, draw: Randomness
    ) -> torch.Tensor:
        """One loss per user of the batch, (B,), against negatives drawn from ``draw``."""
        chosen = self.windows.of(users)
        negatives = torch.from_numpy(draw.integers(len(self.features), terms.negatives))
        items, values = torch.from_numpy(chosen.items), torch.from_numpy(chosen.values)
        return user_losses(model, self.features, items, values, negatives, terms)


@lru_cache(maxsize=4)
def _latest(sequences: Sequences, history: int) -> Windows:
    """Windows of first occurrences; kept, since every round asks for the same."""
    return last_windows(sequences.first_occurrences(), history)


@overload
def train(
    vector: Floats, size: Size, features: NDArray[np.float32], sequences: Sequences, terms: LocalTraining,
    privacy: PrivacyPlan, randomness: OsRandomness,
) -> AdapterDelta: ...  # fmt: skip
@overload
def train(
    vector: Floats, size: Size, features: NDArray[np.float32], sequences: Sequences, terms: LocalTraining,
    privacy: None, randomness: KeyedRandomness,
) -> AdapterDelta: ...  # fmt: skip
def train(
    vector: Floats, size: Size, features: NDArray[np.float32], sequences: Sequences, terms: LocalTraining,
    privacy: PrivacyPlan | None, randomness: OsRandomness | KeyedRandomness,
) -> AdapterDelta:  # fmt: skip
    """One round of local training: ``terms.steps`` steps from ``vector``, which :func:`load_model` reads.

    The delta is of its trainable parameters, float32, (d,).

    With a plan the delta is what DP-SGD at user level releases: every user drawn independently, one clipped
    gradient per user over the whole window, noise, the public denominator. Without one, the same steps with
    neither clipping nor noise, repeatable by the key.

    Raises:
        SilentFailure: what :class:`~clients.guard.Watch` finds, the noise could be repeated, or the result is
            not finite.
        NotPerUser: the model's gradients cannot be told apart by user; before any row is read.
    """
    model = load_model(vector, size, features.shape[1])
    before = pack(model)
    shelf = Shelf.of(features, sequences, terms.history)
    if privacy is None:
        train_openly(model, shelf, terms, randomness)
        return AdapterDelta(finite_change(model, before))
    if not isinstance(randomness, OsRandomness):
        raise SilentFailure(
            "private training was given repeatable noise", why="whoever knows the key removes it"
        )
    train_privately(model, shelf, terms, privacy, randomness)
    return AdapterDelta(finite_change(model, before))


def train_privately(
    model: SharedModel, shelf: Shelf, terms: LocalTraining, plan: PrivacyPlan, randomness: OsRandomness
) -> None:
    """``plan.local_steps`` steps of DP-SGD, which change ``model``.

    Raises:
        NotPerUser: as :func:`train` says.
    """
    validate(model, shelf.features.shape[1])
    buffer = GradientBuffer(model)
    optimizer = OsNoiseOptimizer(
        local_optimizer([flatten(model)], terms),
        noise_multiplier=plan.noise_multiplier,
        clip=plan.clip,
        denominator=plan.denominator,
        noise=randomness,
    )
    watch = Watch.over(model, optimizer, shelf.features.shape[1])
    for _ in range(plan.local_steps):
        users = poisson_sample(shelf.windows.users, plan.sample_rate, randomness)
        optimizer.step_over(buffer.parts(partial(shelf.losses, model, users, terms, randomness)))
    watch.check(model)


def train_openly(model: SharedModel, shelf: Shelf, terms: LocalTraining, randomness: Randomness) -> None:
    """``terms.steps`` steps with neither clipping nor noise, which change ``model``."""
    optimizer = local_optimizer(model.parameters(), terms)
    for _ in range(terms.steps):
        users = poisson_sample(shelf.windows.users, terms.sample_rate, randomness)
        optimizer.zero_grad()
        mean = shelf.losses(model, users, terms, randomness).sum() / terms.expected_batch
        mean.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def local_optimizer(parameters: Iterable[nn.Parameter], terms: LocalTraining) -> torch.optim.Optimizer:
    """The optimiser that ``terms`` name. Each works number by number: how they are cut does not matter."""
    return _OPTIMIZERS[terms.optimizer](parameters, lr=terms.learning_rate)


def finite_change(model: SharedModel, before: Floats) -> Floats:
    """Parameters now minus ``before``, float32, (d,).

    Raises:
        SilentFailure: when a number is not finite.
    """
    change = pack(model) - before
    if not np.isfinite(change).all():
        raise SilentFailure("local training diverged", hint="lower the learning rate")
    return change
