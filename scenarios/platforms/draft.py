"""``hanse scenario new``: a first TOML for one's own file, its columns guessed from their names."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from scenarios.platforms.tables import collect, scan, schema_of

UNKNOWN: Final = "?"
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

[split]
by = "global-time"
validation_days = {days}
test_days = {days}

# Public: a lower bound on the number of users, which δ and the sampling rate follow, and how many of them
# a training step sees.
[training]
bucket = {bucket}
expected_batch = {batch}
"""


def draft(file: Path, toml: Path) -> tuple[str, tuple[str, ...]]:
    """The TOML's text, and the keys whose column could not be guessed.

    Raises:
        DataError: where the file cannot be read.
    """
    table = scan(file)
    columns = list(schema_of(table, file, []))
    roles = guess_roles(columns)
    taken = {column for role, column in roles.items() if column}
    texts = [column for column in columns if column not in taken and _words(column) & set(_TEXTS)]
    users, days, unit = _facts(table, file, roles)
    bucket = 1 << max(0, users.bit_length() - 1)
    name = re.sub(r"[^a-z0-9]+", "-", file.stem.lower()).strip("-")[:32] or "platform"
    optional = "".join(
        f"{key} = {_quoted(value)}\n" for key, value in (("value", roles["value"]), unit) if value
    )
    text = _TEMPLATE.format(
        file=file.name,
        toml=toml.name,
        name=_quoted(name if name[0].isalpha() else f"p-{name}"[:32]),
        title=_quoted(file.stem.replace("_", " ").capitalize()),
        events=_quoted(str(file.resolve() if file.parent.resolve() != toml.parent.resolve() else file.name)),
        **{role: _quoted(roles[role] or UNKNOWN) for role in ("user", "item", "time")},
        optional=optional,
        texts=_quoted(texts or [UNKNOWN]),
        days=days,
        bucket=bucket,
        batch=max(1, bucket // 8),
    )
    unknown = [f"columns.{role}" for role in ("user", "item", "time") if not roles[role]]
    return text, tuple(unknown if texts else [*unknown, "items.text"])


def guess_roles(columns: Sequence[str]) -> dict[str, str | None]:
    """The column of each role by its name, an ``id`` preferred; ``None`` where no name fits."""
    found: dict[str, str | None] = {}
    for role, words in _ROLES.items():
        fitting = [
            (-("id" in _words(column)), words.index(word), place, column)
            for place, column in enumerate(columns)
            if column not in found.values()
            for word in _words(column) & set(words)
        ]
        found[role] = min(fitting)[3] if fitting else None
    return found


def _facts(table: pl.LazyFrame, file: Path, roles: dict[str, str | None]) -> tuple[int, int, tuple[str, str]]:
    """Number of users, days of validation and of test, and the unit of times that are numbers."""
    user, time = roles["user"], roles["time"]
    asked = [pl.col(user).n_unique().alias("users") if user else pl.lit(1).alias("users")]
    if time:
        number = pl.col(time).cast(pl.String).cast(pl.Float64, strict=False)
        asked.append(number.max().alias("latest"))
    row = collect(table.select(asked), file).row(0, named=True)
    latest = row.get("latest") or 0
    unit = next((name for least, name in _UNITS if latest >= least), "")
    return int(row["users"]), 42, ("time_unit", unit)


def _words(column: str) -> set[str]:
    """``userId``, ``user_id`` and ``User ID`` are the words user and id."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", column)}


def _quoted(value: str | list[str]) -> str:
    """As TOML: JSON's strings and arrays of strings are TOML's."""
    return json.dumps(value, ensure_ascii=False)
