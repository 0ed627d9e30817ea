"""Scores of every catalogue item for many users: by the shared model, or by text alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from common.data.sequences import Sequences
from common.deltas import Floats
from common.model.base import load_model
from common.model.losses import shifted
from common.model.sequence import TEMPERATURE, recency_queries
from common.model.training import HISTORY, Size
from common.model.windows import PADDING, Windows, as_tensor, gather, last_windows

_BLOCK: Final = 256


@dataclass(frozen=True, slots=True)
class Scorer:
    """The shared model at ``vector``, as :func:`load_model` reads it, ready to rank; it holds no user's data."""

    vector: Floats
    size: Size

    def queries(self, histories: Sequences, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Where each user's history points, float32, (users, F)."""
        model = load_model(self.vector, self.size, features.shape[1])
        return _last_queries(model.eval(), histories, as_tensor(features))

    def scores(self, histories: Sequences, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """τ · query · x for every user and item, float32, (users, items); ``features``: (items, F)."""
        return _scores(self.queries(histories, features), features)


def zero_shot_scores(histories: Sequences, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """What text alone ranks, nothing trained: float32, (users, items); zeros for a user without history."""
    return _scores(_last_queries(recency_queries, histories, as_tensor(features)), features)


def _scores(queries: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((TEMPERATURE * queries) @ features.T, np.float32)


@torch.inference_mode()
def _last_queries(
    model: Callable[[torch.Tensor], torch.Tensor], histories: Sequences, features: torch.Tensor
) -> NDArray[np.float32]:
    windows = _with_open_end(last_windows(histories, HISTORY - 1))
    found = np.empty((windows.users, features.shape[1]), np.float32)
    for start in range(0, windows.users, _BLOCK):
        users = np.arange(start, min(start + _BLOCK, windows.users))
        items = torch.from_numpy(windows.items[users])
        queries = model(shifted(gather(features, items)))  # (B, L, F)
        found[users] = queries[torch.arange(len(users)), torch.from_numpy(windows.lengths[users])].numpy()
    return found


def _with_open_end(windows: Windows) -> Windows:
    """One more column, for the item that is still to come."""
    edge = ((0, 0), (0, 1))
    return Windows(np.pad(windows.items, edge, constant_values=PADDING), np.pad(windows.values, edge))
