"""An epoch of the shared model, on the same batches: with no privacy, by ours, and by four that are usual.

The usual ones are Opacus 1.6 as its documentation uses it (its optimiser, its noise from torch's generator), with
the gradients of its hooks, of its ghost clipping, and of ``torch.func``; ours is what a platform runs.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from opacus.grad_sample import GradSampleModule
from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import (
    GradSampleModuleFastGradientClipping,
)
from opacus.optimizers import DPOptimizer, DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPTensorFastGradientClipping
from torch import nn
from torch.func import functional_call, grad, vmap

from clients.trainer import Shelf, local_optimizer, train_privately
from common.model.losses import user_losses
from common.model.sequence import SharedModel, build_model
from common.model.training import LocalTraining, Size
from common.model.windows import Windows
from common.privacy.plan import PrivacyPlan
from common.randomness import KeyedRandomness, OsRandomness, Randomness

Users = NDArray[np.int64]
Step = Callable[[Users], object]
"""One step of training on a batch of users."""

ITEMS: Final = 5000
FEATURES: Final = 384  # as an experiment has them by default


@dataclass(frozen=True)
class Case:
    """What is trained: the size, how many users a batch expects, their histories' length, steps in an epoch."""

    size: Size
    batch: int = 64
    length: int = 50
    steps: int = 8

    @property
    def terms(self) -> LocalTraining:
        """The product's own defaults, at this batch."""
        return LocalTraining(bucket=self.batch * self.steps, expected_batch=self.batch, steps=self.steps)

    @property
    def plan(self) -> PrivacyPlan:
        """An epoch under DP-SGD; the time does not depend on σ."""
        users = self.batch * self.steps
        return PrivacyPlan(
            epsilon=8, delta=1e-6, noise_multiplier=1, sample_rate=self.batch / users, denominator=self.batch,
            clip=1, rounds=1, local_steps=self.steps, bucket=users,
        )  # fmt: skip

    def model(self) -> SharedModel:
        """At random parameters, none of them zero, with as many positions as the histories are long."""
        model, draw = build_model(self.size, FEATURES), KeyedRandomness("benchmark", "model")
        model.positions = nn.Embedding(self.length, model.width)
        with torch.no_grad():
            for p in model.parameters():
                p.copy_(0.1 * torch.from_numpy(draw.normal(p.numel())).view_as(p))
        return model

    def shelf(self) -> "RecordingShelf":
        """Made-up users with full histories over a made-up catalogue."""
        draw, shape = KeyedRandomness("benchmark", "rows"), (self.batch * self.steps, self.length)
        features = torch.from_numpy(draw.normal(ITEMS * FEATURES).astype(np.float32)).view(ITEMS, FEATURES)
        items = draw.integers(ITEMS, shape[0] * shape[1]).reshape(shape)
        values = (1 + 4 * draw.uniform(items.size)).astype(np.float32).reshape(shape)
        return RecordingShelf(nn.functional.normalize(features, dim=1), Windows(items, values))


@dataclass(frozen=True)
class RecordingShelf(Shelf):
    """Notes which users each step asked for."""

    batches: list[Users] = field(default_factory=list)

    def losses(
        self, model: SharedModel, users: Users, terms: LocalTraining, draw: Randomness
    ) -> torch.Tensor:
        """As a shelf's."""
        self.batches.append(users)
        return Shelf.losses(self, model, users, terms, draw)


class Bench:
    """One case, trained in several ways; every way has its own model and goes on training it."""

    def __init__(self, case: Case) -> None:
        self.case, self.terms, self.shelf = case, case.terms, case.shelf()
        self._draw = OsRandomness()

    def epoch(self, step: Step) -> Callable[[], None]:
        """``step`` on the batches that ours drew last."""

        def run() -> None:
            for users in list(self.shelf.batches):
                step(users)

        return run

    def hanse(self) -> Callable[[], None]:
        """A whole epoch as a platform trains it: sampling, noise and validation included."""
        model, plan = self.case.model(), self.case.plan

        def run() -> None:
            self.shelf.batches.clear()
            train_privately(model, self.shelf, self.terms, plan, self._draw)

        return run

    def plain(self) -> Step:
        """No clipping, no noise: the same losses, one backward pass, the same optimiser."""
        model = self.case.model()
        optimizer = local_optimizer(model.parameters(), self.terms)

        def step(users: Users) -> None:
            optimizer.zero_grad()
            mean = self._losses(model, users).sum() / self.terms.expected_batch
            mean.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

        return step

    def hooks(self) -> Step:
        """Opacus' hooks, which leave one gradient per user at every parameter."""
        model = GradSampleModule(self.case.model(), loss_reduction="sum")
        optimizer = DPOptimizer(local_optimizer(model.parameters(), self.terms), **self._opacus)

        def step(users: Users) -> None:
            optimizer.zero_grad()
            total = self._losses(model, users).sum()
            total.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

        return step

    def ghost(self) -> Step:
        """Opacus' ghost clipping: norms alone first, then a second backward pass on reweighted losses."""
        bare = self.case.model()
        # It cannot flatten expanded indices.
        bare.positions.register_forward_pre_hook(lambda _layer, given: (given[0].contiguous(),))
        model = GradSampleModuleFastGradientClipping(bare, loss_reduction="sum", max_grad_norm=1.0)
        inner = local_optimizer(model.parameters(), self.terms)
        optimizer = DPOptimizerFastGradientClipping(inner, **self._opacus)

        def step(users: Users) -> None:
            optimizer.zero_grad()
            losses = self._losses(model, users)
            DPTensorFastGradientClipping(model, optimizer, losses, "sum").backward()
            optimizer.step()

        return step

    def vmap(self) -> Step:
        """``torch.func``: the gradient of one user's loss, vectorised; Opacus' optimiser takes it from there."""
        model = self.case.model()
        optimizer = DPOptimizer(local_optimizer(model.parameters(), self.terms), **self._opacus)
        features, windows = self.shelf.features, self.shelf.windows

        def loss(
            parameters: dict[str, torch.Tensor],
            items: torch.Tensor,
            values: torch.Tensor,
            drawn: torch.Tensor,
        ) -> torch.Tensor:
            def called(history: torch.Tensor) -> Any:
                return functional_call(model, parameters, (history,))

            asked = cast(SharedModel, called)
            return user_losses(asked, features, items[None], values[None], drawn, self.terms)[0]

        each = vmap(grad(loss), in_dims=(None, 0, 0, None))

        def step(users: Users) -> None:
            optimizer.zero_grad()
            chosen, drawn = windows.of(users), self._draw.integers(ITEMS, self.terms.negatives)
            rows = torch.from_numpy(chosen.items), torch.from_numpy(chosen.values), torch.from_numpy(drawn)
            parameters = {name: p.detach() for name, p in model.named_parameters()}
            gradients = each(parameters, *rows)
            for name, p in model.named_parameters():
                p.grad_sample = gradients[name]  # type: ignore[attr-defined]  # where Opacus looks for it
            optimizer.step()

        return step

    def _losses(self, model: nn.Module, users: Users) -> torch.Tensor:
        return Shelf.losses(self.shelf, cast(SharedModel, model), users, self.terms, self._draw)

    @property
    def _opacus(self) -> dict[str, Any]:
        expected = self.case.batch
        return {"noise_multiplier": 1.0, "max_grad_norm": 1.0, "expected_batch_size": expected}
