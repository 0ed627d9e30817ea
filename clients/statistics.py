"""The platform's part of the closed-form statistics: its users' pairs, and all the noise they need."""

from typing import Final

import numpy as np
import torch

from clients.trainer import Shelf
from common.data.sequences import Sequences
from common.deltas import AdapterDelta, Floats
from common.model.closed_form import Moments
from common.model.losses import shifted
from common.model.sequence import recency_queries
from common.model.windows import PADDING, gather
from common.randomness import OsRandomness

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


def release(moments: Moments, noise: float, randomness: OsRandomness) -> AdapterDelta:
    """The packed sum with Gaussian noise of standard deviation ``noise`` on every number, float32.

    Guarantee: the Gaussian mechanism of sensitivity 1, by :meth:`Moments.of_users`; each number's noise is drawn
    once, A's above the diagonal, so the mirrored half is post-processing. Rounding to float32 and to the ring
    comes after the noise.
    Refuses: nothing; repeatable randomness is refused by its type.
    """
    exact = moments.packed()
    return AdapterDelta((exact + noise * randomness.normal(exact.size)).astype(np.float32))


def exact(moments: Moments) -> AdapterDelta:
    """The packed sum as it is, for runs with privacy off."""
    return AdapterDelta(moments.packed().astype(np.float32))
