"""Per-user item sequences as rectangles: the last items of every user, aligned left and padded with -1."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from common.data.sequences import Sequences

PADDING: Final = -1


@dataclass(frozen=True, slots=True)
class Windows:
    """``items``: int64, (U, L), oldest first, :data:`PADDING` after the last; ``values``: float32, (U, L)."""

    items: NDArray[np.int64]
    values: NDArray[np.float32]

    @property
    def users(self) -> int:
        """U, how many users there are; some may have no item."""
        return len(self.items)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Items of each user, int64, shape (U,)."""
        return np.asarray((self.items != PADDING).sum(axis=1), np.int64)

    def of(self, users: NDArray[np.int64]) -> "Windows":
        """The windows of ``users``, in that order."""
        return Windows(self.items[users], self.values[users])


def last_windows(sequences: Sequences, length: int) -> Windows:
    """The last ``length`` items of every user; shorter histories are padded."""
    ends = sequences.offsets[1:]
    counts = np.minimum(np.diff(sequences.offsets), length)
    columns = np.arange(length)
    filled = columns < counts[:, None]  # (U, L)
    source = ((ends - counts)[:, None] + columns)[filled]
    items = np.full(filled.shape, PADDING, np.int64)
    values = np.zeros(filled.shape, np.float32)
    items[filled], values[filled] = sequences.items[source], sequences.values[source]
    return Windows(items, values)


def gather(features: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
    """Rows of ``features`` (n, F) for ``items`` (B, L), with zero rows where padded: (B, L, F)."""
    rows = features[items.clamp(min=0)]
    return rows * (items != PADDING).unsqueeze(-1)


def as_tensor(features: NDArray[np.float32]) -> torch.Tensor:
    """``features`` without a copy where they are writable memory; torch cannot wrap a read-only map."""
    return torch.from_numpy(features if features.flags.writeable else np.array(features))
