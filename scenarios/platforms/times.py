"""Times in any column type, as seconds since 1970; null where a value is no time."""

from typing import Final

import polars as pl

_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FORMATS: Final = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d")
_ZONED: Final = ("%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%.f%z")
_YEAR_2200: Final = 7_258_118_400


def seconds(column: pl.Expr, dtype: pl.DataType, unit: str) -> pl.Expr:
    """Int64 seconds since 1970 (UTC); ``unit`` is what plain numbers count.

    Text may be a number or ISO 8601, with a zone or in UTC. A time before 1970 or after 2200 is taken for an
    error: most likely its unit is wrong.
    """
    if dtype == pl.Date or isinstance(dtype, pl.Datetime):
        found = column.dt.epoch("s")
    elif dtype == pl.String:
        found = pl.coalesce(_counted(column.cast(pl.Float64, strict=False), unit), *_written(column))
    else:
        found = _counted(column.cast(pl.Float64, strict=False), unit)
    return pl.when(found.is_between(0, _YEAR_2200)).then(found)


def _counted(numbers: pl.Expr, unit: str) -> pl.Expr:
    return (numbers / _PER_SECOND[unit]).floor().cast(pl.Int64, strict=False)


def _written(column: pl.Expr) -> list[pl.Expr]:
    text = column.str.strip_chars().str.replace(r"^(\d{4}-\d\d-\d\d) +", "${1}T").str.replace(r"[Zz]$", "")
    plain = [text.str.to_datetime(form, strict=False, time_unit="us") for form in _FORMATS]
    zoned = [text.str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC") for form in _ZONED]
    return [moment.dt.epoch("s") for moment in (*plain, *zoned)]
