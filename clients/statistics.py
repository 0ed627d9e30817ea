"""The platform's part of the closed-form statistics: its users' pairs, before any noise."""

from typing import Final

import numpy as np
import torch

from clients.trainer import Shelf
from common.data.sequences import Sequences
from common.deltas import Floats
from common.model.closed_form import Moments
from common.model.losses import shifted
from common.model.sequence import recency_queries
from common.model.windows import PADDING, gather

_BLOCK: Final = 256  # users at a time in double precision


def moments_of(features: Floats, sequences: Sequences, history: int) -> Moments:
    """The sum over all users, of each the pairs within the latest ``history`` items.

    ``features``: float32, (items, F). In double precision throughout, so that sums over platforms are those
    over all their users in one place to 1e-9.
    """
    shelf, width = Shelf.of(features, sequences, history), features.shape[1]
    total = Moments(np.zeros((width, width)), np.zeros((width, width)))
    for start in range(0, shelf.windows.users, _BLOCK):
        items = shelf.windows.items[start : start + _BLOCK]
        targets = gather(shelf.features, torch.from_numpy(items)).double()  # (B, L, F)
        queries = recency_queries(shifted(targets)).numpy() * (items != PADDING)[:, :, None]
        total += Moments.of_users(queries, targets.numpy())
    return total
