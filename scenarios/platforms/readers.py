"""From a scenario's files to its catalogue and its cleaned interactions."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

import polars as pl

from common.data.catalog import ItemCatalog, merge_by_text
from common.data.interactions import Interactions, clean, count_users, label, order_users
from common.data.redact import redact
from common.errors import DataError
from scenarios.platforms.sources import Tables, tables_of
from scenarios.platforms.spec import Columns, ScenarioSpec
from scenarios.platforms.tables import collect, scan, schema_of
from scenarios.platforms.times import seconds


@dataclass(frozen=True, slots=True)
class ItemReading:
    """The catalogue, the item number of every key, and what happened on the way.

    ``rows``: items in the file; ``without_text``: those left out; ``redacted``: pieces of personal data by
    kind.
    """

    catalog: ItemCatalog
    index: Mapping[str, int] = field(repr=False)
    rows: int
    without_text: int
    redacted: Mapping[str, int]


def read(
    spec: ScenarioSpec, key: bytes | None = None, share: float = 1.0
) -> tuple[Interactions, ItemCatalog]:
    """The platform's cleaned events and its whole catalogue, items nobody chose included.

    ``key`` is the site's secret for hashing user identifiers. Without one they are hashed under the
    scenario's name, which hides nothing from someone who can guess them: right for public data only.
    ``share`` of the users are kept, see ``common.data.interactions.count_users``.

    Raises:
        DataError: where a file cannot be read, lacks a column, or nothing is left after cleaning.
    """
    tables = tables_of(spec.source)
    items = read_items(spec, tables)
    return read_events(spec, tables, items.index, key, share), items.catalog


def read_items(spec: ScenarioSpec, tables: Tables) -> ItemReading:
    """Every item that has a text, personal data redacted, equal texts merged."""
    key, columns = spec.items.key or spec.columns.item, spec.items.text
    table = scan(tables.items)
    schema_of(table, tables.items, [key, *columns])
    texts = [pl.col(column).cast(pl.String) for column in columns if column != key]
    rows = collect(
        table.select(pl.col(key).cast(pl.String), *texts)
        .filter(pl.col(key).is_not_null() & (pl.col(key) != ""))
        .unique()
        .sort(key, *columns, nulls_last=True)
        .unique(key, keep="first", maintain_order=True),
        tables.items,
    )
    describe = cache(lambda parts: redact(_joined(parts)))  # many items share a text
    found: Counter[str] = Counter()
    described = []
    for item, parts in zip(rows[key], rows.select(columns).iter_rows(), strict=True):
        text, kinds = describe(parts)
        found.update(kinds)
        if text:
            described.append((item, text))
    if not described:
        raise DataError("no item has a text", where=str(tables.items), why=f"of {len(rows)} items")
    catalog, index = merge_by_text(described)
    return ItemReading(catalog, index, len(rows), len(rows) - len(described), dict(found))


def _joined(parts: Iterable[str | None]) -> str:
    """The parts that say something, in one line."""
    plain = (" ".join(unicodedata.normalize("NFKC", part).split()) for part in parts if part)
    return ", ".join(part for part in plain if part)


def read_events(
    spec: ScenarioSpec,
    tables: Tables,
    index: Mapping[str, int],
    key: bytes | None = None,
    share: float = 1.0,
) -> Interactions:
    """The cleaned events of a ``share`` of the users; only the columns named in the scenario are read."""
    table = scan(tables.events)
    rows = _events(table, spec.columns, tables)
    named = rows.select(pl.col("user").unique()).filter(pl.col("user") != "")
    users = order_users(collect(named, tables.events)["user"])
    inside = pl.col("owner").is_null() | (pl.col("owner") < count_users(users, share))
    labelled = collect(label(rows, users, index, spec.split.end_seconds).filter(inside), tables.events)
    return clean(labelled, users, key if key is not None else f"hanse/public/{spec.name}".encode())


def _events(table: pl.LazyFrame, columns: Columns, tables: Tables) -> pl.LazyFrame:
    """The columns ``user``, ``item``, ``time`` and ``value`` that cleaning asks for."""
    named = [columns.user, columns.item, columns.time, *([columns.value] if columns.value else [])]
    schema = schema_of(table, tables.events, named)
    value = pl.col(columns.value).cast(pl.Float32, strict=False) if columns.value else pl.lit(1.0, pl.Float32)
    return table.select(
        user=pl.col(columns.user).cast(pl.String),
        item=pl.col(columns.item).cast(pl.String),
        time=seconds(pl.col(columns.time), schema[columns.time], columns.time_unit),
        value=value,
    )
