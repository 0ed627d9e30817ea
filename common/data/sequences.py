"""Sequences: every user's events in order, as one ragged array."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Sequences:
    """Events grouped by user, oldest first; user ``u`` owns ``offsets[u]:offsets[u + 1]``.

    ``offsets``: int64 (users + 1,). ``items``: int32 (events,), indices into the catalogue. ``times``: int64
    (events,), seconds since 1970. ``values``: float32 (events,), ratings, or 1 where the platform has none.
    """

    offsets: Longs
    items: Ints
    times: Longs
    values: Floats

    @classmethod
    def group(
        cls, users: int, owners: NDArray[np.integer], items: Ints, times: Longs, values: Floats
    ) -> Self:
        """From events already sorted by ``owners`` (user of each event, in ``[0, users)``) and time."""
        counts = np.bincount(owners, minlength=users)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(offsets, items, times, values)

    @property
    def users(self) -> int:
        """How many users there are, those without an event included."""
        return len(self.offsets) - 1

    @property
    def events(self) -> int:
        """How many events there are."""
        return len(self.items)

    @property
    def lengths(self) -> Longs:
        """Events per user, int64 (users,)."""
        return np.diff(self.offsets)

    @property
    def owners(self) -> Longs:
        """The user of each event, int64 (events,)."""
        return np.repeat(np.arange(self.users, dtype=np.int64), self.lengths)

    @property
    def positions(self) -> Longs:
        """The place of each event in its user's sequence, from 0, int64 (events,)."""
        return np.arange(self.events, dtype=np.int64) - np.repeat(self.offsets[:-1], self.lengths)

    def of(self, user: int) -> Ints:
        """One user's items, oldest first: a view, int32 (events of this user,)."""
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    def keep(self, mask: Mask) -> "Sequences":
        """The events where ``mask`` (events,) is true; every user stays, perhaps with none."""
        return Sequences.group(
            self.users, self.owners[mask], self.items[mask], self.times[mask], self.values[mask]
        )

    def take(self, users: Sequence[int] | NDArray[np.integer]) -> "Sequences":
        """These users only, in this order; user ``i`` of the result is ``users[i]``."""
        chosen = np.asarray(users, np.int64)
        lengths = self.lengths[chosen]
        starts = np.repeat(self.offsets[chosen] - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
        rows = starts + np.arange(lengths.sum(), dtype=np.int64)
        owners = np.repeat(np.arange(len(chosen)), lengths)
        return Sequences.group(len(chosen), owners, self.items[rows], self.times[rows], self.values[rows])

    def first_occurrences(self) -> "Sequences":
        """Each item once per user, where it first occurred."""
        pairs = pair_codes(self.owners, self.items)
        mask = np.zeros(self.events, np.bool_)
        mask[np.unique(pairs, return_index=True)[1]] = True
        return self.keep(mask)

    def last(self, count: int) -> "Sequences":
        """The latest ``count`` events of every user."""
        return self.keep(self.positions >= np.repeat(self.lengths - count, self.lengths))


def pair_codes(owners: NDArray[np.integer], items: NDArray[np.integer]) -> Longs:
    """One int64 per (user, item) pair, equal exactly where both are."""
    codes: Longs = (owners.astype(np.int64) << 32) | items.astype(np.int64)
    return codes
