"""One round of ``shared-noise``: the clipped sum of this platform's users, whose noise the ring's integers get.

Nothing here is private by itself: only what is rounded and noised afterwards may leave the site.
"""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from clients.guard import rehearse
from clients.per_user import validate
from clients.private_optimizer import drop_non_finite
from clients.trainer import Shelf
from clients.user_gradients import GradientBuffer
from common.data.sequences import Sequences
from common.deltas import AdapterDelta, Floats
from common.model.base import load_model
from common.model.training import LocalTraining, Size
from common.privacy.sampling import poisson_sample
from common.privacy.shared import SharedNoisePlan
from common.randomness import OsRandomness


def clipped_sum(
    vector: Floats, size: Size, features: NDArray[np.float32], sequences: Sequences, terms: LocalTraining,
    plan: SharedNoisePlan, randomness: OsRandomness,
) -> AdapterDelta:  # fmt: skip
    """The plain step that this platform asks for: −rate · clipped sum / denominator; float32, (d,).

    It is worked out from the sum itself, in float64: the difference of two float32 models would be rounded to
    the models' own precision, and one user would move it further than the plan accounts for.

    Raises:
        NotPerUser: the model's gradients cannot be told apart by user; before any row is read.
        SilentFailure: a layer gets no gradient, or one that is not a user's own, on made-up rows.
    """
    model = load_model(vector, size, features.shape[1])
    validate(model, features.shape[1])
    rehearse(model, features.shape[1])
    shelf, buffer = Shelf.of(features, sequences, terms.history), GradientBuffer(model)
    users = poisson_sample(shelf.windows.users, plan.sample_rate, randomness)
    total = torch.zeros(plan.coordinates, dtype=torch.float64)
    for part in buffer.parts(partial(shelf.losses, model, users, terms, randomness)):
        drop_non_finite([part])
        total += clipped(part.double(), plan.clip).sum(dim=0)
    step = total.numpy() * (-terms.learning_rate / plan.denominator)
    return AdapterDelta(step.astype(np.float32))


def clipped(gradients: torch.Tensor, clip: float) -> torch.Tensor:
    """Each row of (b, d), shortened to the L2 norm ``clip`` where it is longer."""
    norms = torch.linalg.vector_norm(gradients, dim=1, keepdim=True)
    shortened: torch.Tensor = gradients * (clip / norms.clamp(min=clip))
    return shortened
