"""Files as lazy tables: Parquet, CSV and JSON lines, and what is wrong with one that cannot be read."""

from pathlib import Path
from typing import Final

import polars as pl

from common.errors import DataError
from common.suggest import did_you_mean

SUFFIXES: Final = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson")


def scan(path: Path) -> pl.LazyFrame:
    """The file as a lazy table, by its suffix. Columns of CSV and JSON lines are text, whatever they hold.

    Were their types inferred, one row could change how all others are read: 1 would become 1.0.

    Raises:
        DataError: where the file is missing, empty, of another kind, or a CSV file has uneven rows.
    """
    if path.suffix not in SUFFIXES:
        hint = f"known: {', '.join(SUFFIXES)}"
        raise DataError(f'a file of unknown kind "{path.suffix}"', where=str(path), hint=hint)
    require_file(path)
    if path.stat().st_size == 0:
        raise DataError("the file is empty", where=str(path))
    if path.suffix == ".parquet":
        return pl.scan_parquet(path)
    if path.suffix in (".csv", ".tsv"):
        separator = "\t" if path.suffix == ".tsv" else ","
        table = pl.scan_csv(path, separator=separator, infer_schema=False)
        # Polars counts a row's fields only where it reads every column: else a stray comma shifts them unseen.
        collect(table.select(pl.all().count()), path)
        return table
    names = schema_of(pl.scan_ndjson(path, infer_schema_length=10_000), path, [])
    return pl.scan_ndjson(path, schema=dict.fromkeys(names, pl.String))


def require_file(path: Path) -> None:
    """Refuse what is no file.

    Raises:
        DataError: where there is none.
    """
    if not path.is_file():
        raise DataError("no such file", where=str(path), hint="paths count from the folder of the TOML file")


def schema_of(table: pl.LazyFrame, path: Path, needed: list[str]) -> pl.Schema:
    """Names and types of the table's columns.

    Raises:
        DataError: where a ``needed`` column is missing, or the file cannot be read.
    """
    try:
        schema = table.collect_schema()
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error
    missing = [name for name in needed if name not in schema]
    if missing:
        raise DataError(
            f"no column {', '.join(missing)}",
            where=str(path),
            hint=did_you_mean(missing[0], list(schema)) or f"columns: {', '.join(schema)}",
        )
    return schema


def collect(table: pl.LazyFrame, path: Path) -> pl.DataFrame:
    """The rows, computed in batches where polars can.

    Raises:
        DataError: where the file cannot be read.
    """
    try:
        return table.collect(engine="streaming")
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> DataError:
    """Why a file cannot be read. Polars' own words are left out: they may quote a row."""
    words = str(error).lower()
    if isinstance(error, pl.exceptions.NoDataError):
        return DataError("the file is empty", where=str(path))
    if isinstance(error, UnicodeDecodeError) or "utf-8" in words or "utf8" in words:
        hint = f"iconv -f latin1 -t utf-8 {path.name} > utf8{path.suffix}"
        return DataError("not UTF-8 text", where=str(path), hint=hint)
    if "more fields" in words:
        hint = f"put quotes around texts that hold a {'tab' if path.suffix == '.tsv' else 'comma'}"
        return DataError("a row has more fields than the header", where=str(path), hint=hint)
    why = f"{type(error).__name__} while reading it"
    return DataError(f"not a readable {path.suffix.removeprefix('.')} file", where=str(path), why=why)
