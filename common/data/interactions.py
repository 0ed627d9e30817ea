"""Interactions: cleaned events, and the rule by which rows are dropped, each counted under its reason."""

import hashlib
import hmac
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from common.data.sequences import Sequences
from common.errors import DataError

MISSING_USER: Final = "missing user"
MISSING_ITEM: Final = "missing item"
UNKNOWN_ITEM: Final = "item without text"
UNPARSABLE_TIME: Final = "unparsable time"
AFTER_END: Final = "after the split's end"
UNPARSABLE_VALUE: Final = "unparsable value"
DUPLICATE: Final = "duplicate event"
_HINTS: Final = {
    UNPARSABLE_TIME: "times are ISO 8601, such as 2024-03-01T09:12:00, or numbers: see columns.time and time_unit",
    AFTER_END: "see split.end in the scenario",
}
REASONS: Final = (MISSING_USER, MISSING_ITEM, UNKNOWN_ITEM, UNPARSABLE_TIME, AFTER_END, UNPARSABLE_VALUE)


@dataclass(frozen=True, slots=True, eq=False)
class Interactions:
    """Events sorted by user, time and item.

    ``users``, ``items``: int32 (events,). ``times``: int64 (events,), seconds since 1970. ``values``: float32
    (events,). ``user_keys[u]`` is the keyed hash of user ``u``'s identifier. ``dropped``: rows per reason.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    times: NDArray[np.int64]
    values: NDArray[np.float32]
    user_keys: tuple[str, ...] = field(repr=False)
    dropped: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.users)

    def sequences(self) -> Sequences:
        """The same events, grouped by user."""
        return Sequences.group(len(self.user_keys), self.users, self.items, self.times, self.values)

    def with_first_items(self, count: int) -> "Interactions":
        """The events with the first ``count`` items of the catalogue; users left without one stay."""
        mask = self.items < count
        kept = (self.users[mask], self.items[mask], self.times[mask], self.values[mask])
        return Interactions(*kept, user_keys=self.user_keys, dropped=self.dropped)


def order_users(names: Iterable[str]) -> tuple[str, ...]:
    """Users in a public pseudo-random order (SHA-256), so that the first ones are a fair sample."""
    return tuple(sorted(names, key=_place))


def count_users(ordered: Sequence[str], share: float) -> int:
    """How many of the users, ordered by :func:`order_users`, belong to a public ``share`` (0 to 1) of them.

    A user belongs where SHA-256 of the identifier lies below ``share`` of its range: nobody else decides, as
    somebody would in a cut-off by rank, so one user more or less leaves all others where they are. A person
    is in or out on every platform alike, and a smaller share is part of a larger.
    """
    return bisect_left(ordered, share * 2**256, key=lambda name: int.from_bytes(_place(name)))


def _place(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def label(
    rows: pl.LazyFrame, users: Sequence[str], index: Mapping[str, int], end: int | None = None
) -> pl.LazyFrame:
    """Lazily, for each row the numbers of its user and item, and the ``reason`` to drop it, if any.

    ``rows`` has the columns ``user`` and ``item`` (text), ``time`` (seconds, null where unparsable) and ``value``
    (float, null where unparsable). ``index`` gives the number of each item that has a text; ``end`` (seconds) is
    the moment from which on events are left out. Identifiers, by far the largest columns, end here.
    """
    owners = pl.LazyFrame({"user": users, "owner": range(len(users))}, {"user": pl.String, "owner": pl.Int32})
    numbers = pl.LazyFrame(
        {"item": list(index), "number": list(index.values())}, {"item": pl.String, "number": pl.Int32}
    )
    reasons = (
        (MISSING_USER, pl.col("owner").is_null()),
        (MISSING_ITEM, pl.col("item").is_null() | (pl.col("item") == "")),
        (UNKNOWN_ITEM, pl.col("number").is_null()),
        (UNPARSABLE_TIME, pl.col("time").is_null()),
        (AFTER_END, pl.col("time") >= pl.lit(end, pl.Int64)),
        (UNPARSABLE_VALUE, pl.col("value").is_null() | ~pl.col("value").is_finite()),
    )
    reason = pl.coalesce(pl.when(bad).then(pl.lit(reason)) for reason, bad in reasons)
    numbered = rows.join(owners, on="user", how="left").join(numbers, on="item", how="left")
    return numbered.select("owner", "number", "time", "value", reason=reason.cast(pl.Enum(REASONS)))


def clean(labelled: pl.DataFrame, users: Sequence[str], key: bytes) -> Interactions:
    """Drop the rows that have a reason, merge duplicates, and hash the identifiers of the users that are left.

    A second event of the same user with the same item in the same second is a duplicate. The result does not
    depend on the order of rows. ``key`` is what users are hashed under, see :func:`hash_user`.

    Raises:
        DataError: where no row is left, naming the reasons.
    """
    counts = dict(labelled["reason"].drop_nulls().value_counts().rows())
    good = labelled.filter(pl.col("reason").is_null()).drop("reason").sort("owner", "time", "number", "value")
    if not len(good):
        why = ", ".join(f"{reason} × {count}" for reason, count in counts.items()) or "there is no row"
        most = max(counts, key=counts.__getitem__, default=None)
        hint = _HINTS.get(most or "", "see columns and items in the scenario")
        raise DataError("no event is left after cleaning", why=why, hint=hint)
    first = good.select(pl.struct("owner", "time", "number").rle_id().diff().fill_null(1) > 0).to_series()
    unique = good.filter(first)
    if len(unique) < len(good):
        counts[DUPLICATE] = len(good) - len(unique)
    present, owners = np.unique(unique["owner"].to_numpy(), return_inverse=True)
    return Interactions(
        users=owners.astype(np.int32),
        items=unique["number"].to_numpy(),
        times=unique["time"].cast(pl.Int64).to_numpy(),
        values=unique["value"].cast(pl.Float32).to_numpy(),
        user_keys=tuple(hash_user(users[number], key) for number in present),
        dropped=counts,
    )


def hash_user(name: str, key: bytes) -> str:
    """HMAC-SHA256 (RFC 2104) of an identifier under the site's key, 64 hexadecimal digits."""
    return hmac.digest(key, name.encode(), "sha256").hex()
