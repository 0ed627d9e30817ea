"""Times: every way to write one moment, and what is no time."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from scenarios.platforms.times import seconds

MOMENT = 1_704_096_000  # 2024-01-01 08:00:00 UTC


def read(values: list[object], dtype: pl.DataType | None = None, unit: str = "s") -> list[int | None]:
    frame = pl.DataFrame({"t": pl.Series(values, dtype=dtype)})
    return frame.select(seconds(pl.col("t"), frame.schema["t"], unit))["t"].to_list()


@pytest.mark.parametrize(
    "written",
    [
        "2024-01-01T08:00:00",
        "2024-01-01 08:00:00",
        "2024-01-01T08:00:00.250",
        "2024-01-01T08:00",
        "2024-01-01T08:00:00Z",
        "2024-01-01T09:00:00+01:00",
        "2024-01-01 03:00:00-0500",
        " 2024-01-01  08:00:00 ",
        "1704096000",
        "1704096000.0",
    ],
)
def test_text(written: str) -> None:
    assert read([written]) == [MOMENT]


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_numbers_count_their_unit(unit: str, factor: int) -> None:
    assert read([MOMENT * factor], unit=unit) == [MOMENT]
    assert read([str(MOMENT * factor)], unit=unit) == [MOMENT]


def test_typed_columns() -> None:
    assert read([datetime(2024, 1, 1, 8)]) == [MOMENT]
    assert read([datetime(2024, 1, 1, 8, tzinfo=UTC)]) == [MOMENT]
    assert read([date(2024, 1, 1)]) == [MOMENT - 8 * 3600]


@pytest.mark.parametrize(
    "written", ["yesterday", "", "2024-13-01", "01/02/2024", "-5", "1704096000000", "nan"]
)
def test_no_time(written: str) -> None:
    assert read([written]) == [None]


def test_missing_times_stay_missing() -> None:
    assert read([None, MOMENT]) == [None, MOMENT]
