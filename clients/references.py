"""The same model without a federation: on one platform's rows alone, or with all rows in one place.

Neither is private. They are what a federation is measured against, and never leave the process that trains them.
"""

from collections.abc import Sequence
from typing import Final

import torch

from clients.private_optimizer import drop_non_finite
from clients.trainer import Shelf, finite_change
from clients.user_gradients import user_gradients
from common.deltas import Floats
from common.model.layout import pack
from common.model.sequence import SharedModel, build_model
from common.model.training import LocalTraining, Size
from common.privacy.sampling import poisson_sample
from common.randomness import Randomness

# Tuned for the references themselves: a federation must not look good because what it is held against was not.
LEARNING_RATE: Final = 1e-2

Rows = tuple[Shelf, LocalTraining]
"""One platform's rows, and how it trains."""


def fit(
    platforms: Sequence[Rows], size: Size, rounds: int, randomness: Randomness, *, clip: float | None = None
) -> Floats:
    """Parameters after ``rounds`` times the first platform's steps of Adam, float32, (d,).

    Each step draws users of every platform, each against its own catalogue, and averages the platforms' means.
    With ``clip`` every user's gradient is clipped to that L2 norm, as in private training, and no noise is added.

    Raises:
        SilentFailure: when training diverged.
    """
    shelf, terms = platforms[0]
    model = build_model(size, shelf.features.shape[1])
    before = pack(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    for _ in range(rounds * terms.steps):
        optimizer.zero_grad()
        for rows in platforms:
            _add_gradient(model, rows, 1 / len(platforms), randomness, clip)
        optimizer.step()
    return before + finite_change(model, before)


def _add_gradient(
    model: SharedModel, rows: Rows, weight: float, randomness: Randomness, clip: float | None
) -> None:
    shelf, terms = rows
    users = poisson_sample(shelf.windows.users, terms.sample_rate, randomness)
    scale = weight / terms.expected_batch
    if clip is None:
        loss = scale * shelf.losses(model, users, terms, randomness).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return
    gradients = user_gradients(model, lambda: shelf.losses(model, users, terms, randomness))
    drop_non_finite(gradients)
    norms = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients]).norm(dim=0)  # (B,)
    factors = scale * (clip / (norms + 1e-6)).clamp(max=1.0)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        summed = torch.einsum("b,b...->...", factors, gradient)
        parameter.grad = summed if parameter.grad is None else parameter.grad + summed
