"""One loss per user, from that user's own rows and public items only: no term joins two users of a batch.

Negatives are drawn uniformly from the public catalogue and shared by the batch; in-batch negatives, or
negatives by popularity, would let one user's rows move another's gradient, beyond what clipping bounds.
"""

import math
from collections.abc import Callable
from typing import Final

import torch
from torch.nn.functional import softplus

from common.model.sequence import TEMPERATURE, SharedModel
from common.model.training import LocalTraining, Loss
from common.model.windows import PADDING, gather


def user_losses(
    model: SharedModel, features: torch.Tensor, items: torch.Tensor, values: torch.Tensor,
    negatives: torch.Tensor, terms: LocalTraining,
) -> torch.Tensor:  # fmt: skip
    """Losses of shape (B,), each a sum over the user's positions divided by the public window length.

    ``features``: (n, F); ``items``, ``values``: (B, L); ``negatives``: (N,) catalogue indices. ``model`` maps
    (B, L, F) histories to queries; it is asked once.
    """
    targets = gather(features, items)  # (B, L, F)
    queries = model(shifted(targets))  # (B, L, F)
    hits = (queries * targets).sum(-1)  # (B, L)
    misses = queries @ features[negatives].T  # (B, L, N)
    share = len(negatives) / len(features)
    low, high = terms.value_range
    scaled = (values - (low + high) / 2) / ((high - low) / 2)
    losses = LOSSES[terms.loss](hits, misses, scaled, share) * (items != PADDING)
    return losses.sum(1) / terms.history


def shifted(items: torch.Tensor) -> torch.Tensor:
    """What came before each item: (B, L, F) moved one place on; a zero row stands for the empty history."""
    return torch.cat([torch.zeros_like(items[:, :1]), items[:, :-1]], dim=1)


def softmax_loss(
    hits: torch.Tensor, misses: torch.Tensor, _values: torch.Tensor, share: float
) -> torch.Tensor:
    """Sampled softmax (Jean et al. 2015, arXiv:1412.2007), each negative standing for 1 / ``share``. (B, L)."""
    hit = TEMPERATURE * hits
    others = torch.logsumexp(TEMPERATURE * misses, -1) - math.log(share)
    return torch.logaddexp(hit, others) - hit


def binary_loss(
    hits: torch.Tensor, misses: torch.Tensor, _values: torch.Tensor, _share: float
) -> torch.Tensor:
    """Binary cross-entropy of the item against 1 and of the negatives, averaged, against 0. (B, L)."""
    return softplus(-TEMPERATURE * hits) + softplus(TEMPERATURE * misses).mean(-1)


def squared_loss(
    hits: torch.Tensor, _misses: torch.Tensor, values: torch.Tensor, _share: float
) -> torch.Tensor:
    """Squared error of the score over τ against the rating scaled to ±1. (B, L)."""
    return (hits - values).square()


LOSSES: Final[dict[Loss, Callable[[torch.Tensor, torch.Tensor, torch.Tensor, float], torch.Tensor]]] = {
    "softmax": softmax_loss,
    "bce": binary_loss,
    "mse": squared_loss,
}
