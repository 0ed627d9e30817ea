"""``hanse scenario new``: a first TOML for one's own file, its columns guessed from their names."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from common.data.split import DAY
from scenarios.platforms.spec import UNKNOWN
from scenarios.platforms.tables import collect, scan, schema_of
from scenarios.platforms.times import seconds

REQUIRED: Final = ("user", "item", "time")
_ROLES: Final = {
    "user": ("user", "customer", "household", "account", "member", "reviewer", "client", "visitor", "person"),
    "item": ("item", "product", "sku", "article", "movie", "asin", "content", "news", "video", "track"),
    "time": ("time", "date", "timestamp", "datetime", "ts", "at", "when", "day", "bought", "ordered"),
    "value": ("rating", "score", "stars", "value", "overall"),
}
_TEXTS: Final = (
    "title",
    "name",
    "headline",
    "description",
    "category",
    "genre",
    "genres",
    "brand",
    "type",
    "text",
)
_UNITS: Final = ((10**17, "ns"), (10**14, "us"), (10**11, "ms"))

_TEMPLATE: Final = """\
# Drafted from the header of {file}. Check every line, then run: hanse scenario check {toml}
name = {name}
title = {title}
description = "What the platform is, who its users are, and which others know some of the same people."
licence = "private"

# Without items the catalogue is read from the events, which are private rows: right for a rehearsal alone.
# To train with differential privacy, give a public file of items: items = "items.csv"
[source]
events = {events}

[columns]
user = {user}
item = {item}
time = {time}
{optional}
# An item is its text: these columns, joined. Two items with the same text count as one.
[items]
text = {texts}

# The days count back from end; events at or after it are left out. This one is proposed from the latest row.
# In production it must be a public choice, such as the end of a quarter, and not be read from the rows: else
# one user would move what is learned from all others.
[split]
by = "global-time"
end = {end}
validation_days = {days}
test_days = {days}

# Public: a lower bound on the number of users, which δ and the sampling rate follow, and how many of them
# a training step sees.
[training]
bucket = {bucket}
expected_batch = {batch}
"""


def draft(file: Path, toml: Path) -> tuple[str, tuple[str, ...]]:
    """The TOML's text, and the keys that could not be guessed: each is ``UNKNOWN`` there, and no value.

    Raises:
        DataError: where the file cannot be read.
    """
    table = scan(file)
    columns = list(schema_of(table, file, []))
    roles = guess_roles(columns)
    texts = [column for column in columns if column not in roles.values() and _words(column) & set(_TEXTS)]
    unit = _time_unit(table, file, roles["time"])
    users = _count_users(table, file, roles["user"])
    bucket = users and 1 << users.bit_length() - 1
    end, days = _end_and_days(table, file, roles["time"], unit)
    optional = {"value": roles["value"], "time_unit": unit if unit != "s" else None}
    text = _TEMPLATE.format(
        file=file.name,
        toml=toml.name,
        name=_quoted(_name(file.stem)),
        title=_quoted(file.stem.replace("_", " ").capitalize()),
        events=_quoted(file.name if file.parent.resolve() == toml.parent.resolve() else str(file.resolve())),
        **{role: _quoted(roles[role] or UNKNOWN) for role in REQUIRED},
        optional="".join(f"{key} = {_quoted(value)}\n" for key, value in optional.items() if value),
        texts=_quoted(texts or [UNKNOWN]),
        end=end.isoformat() if end else _quoted(UNKNOWN),
        days=days,
        bucket=bucket or _quoted(UNKNOWN),
        batch=max(1, bucket // 8) if bucket else _quoted(UNKNOWN),
    )
    known = {
        **{f"columns.{role}": roles[role] for role in REQUIRED},
        "items.text": texts,
        "split.end": end,
        "training.bucket": bucket,
        "training.expected_batch": bucket,
    }
    return text, tuple(key for key, value in known.items() if not value)


def guess_roles(columns: Sequence[str]) -> dict[str, str | None]:
    """The column of each role by its name, an ``id`` before a ``name``; ``None`` where no name fits."""
    found: dict[str, str | None] = {}
    for role, words in _ROLES.items():
        fitting = [
            ("id" not in _words(column), bool(_words(column) & set(_TEXTS)), words.index(word), place, column)
            for place, column in enumerate(columns)
            if column not in found.values()
            for word in _words(column) & set(words)
        ]
        found[role] = min(fitting)[-1] if fitting else None
    return found


def _count_users(table: pl.LazyFrame, file: Path, column: str | None) -> int:
    return int(collect(table.select(pl.col(column).n_unique()), file).item()) if column else 0


def _time_unit(table: pl.LazyFrame, file: Path, column: str | None) -> str:
    """What numbers in the time column must count to mean years of this century."""
    if column is None or schema_of(table, file, []).get(column) == pl.Date:
        return "s"
    numbers = pl.col(column).cast(pl.String).cast(pl.Float64, strict=False)
    latest = collect(table.select(numbers.max()), file).item() or 0
    return next((unit for least, unit in _UNITS if latest >= least), "s")


def _end_and_days(table: pl.LazyFrame, file: Path, column: str | None, unit: str) -> tuple[date | None, int]:
    """The midnight (UTC) after the last event, if any can be read; and six weeks, or an eighth of what the data
    span if less."""
    if column is None:
        return None, 42
    times = seconds(pl.col(column), schema_of(table, file, [])[column], unit)
    first, last = collect(table.select(times.min().alias("first"), times.max().alias("last")), file).row(0)
    if last is None:
        return None, 42
    days = int(min(42, max(1, (last - first) // (8 * DAY))))
    return datetime.fromtimestamp(last, UTC).date() + timedelta(days=1), days


def _name(stem: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")
    return (plain if plain[:1].isalpha() else f"platform-{plain}".strip("-"))[:32].rstrip("-")


def _words(column: str) -> set[str]:
    """``userId``, ``user_id`` and ``User ID`` are the words user and id."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", column)}


def _quoted(value: str | list[str]) -> str:
    """As TOML: JSON's strings and arrays of strings are TOML's."""
    return json.dumps(value, ensure_ascii=False)
