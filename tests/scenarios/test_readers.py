"""Reading: columns by name from any format, and what is wrong with files that cannot be used."""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from common.errors import DataError
from scenarios.platforms.readers import read
from scenarios.platforms.spec import ScenarioSpec

Shop = Callable[[list[str] | bytes], ScenarioSpec]


def refusal(spec: ScenarioSpec) -> DataError:
    with pytest.raises(DataError) as caught:
        read(spec)
    assert caught.value.exit_code == 1
    assert caught.value.__cause__ is None or "ann" not in str(caught.value)
    return caught.value


def test_a_csv_file(shop: Shop, rows: list[str]) -> None:
    interactions, catalog = read(shop(rows))
    assert sorted(catalog.texts) == ["Green tea, drinks", "Rice, dry food", "Soap, bath"]
    assert len(interactions) == 6
    assert len(interactions.user_keys) == 3
    assert sorted(interactions.values.tolist()) == [2.0, 3.0, 4.0, 4.0, 5.0, 5.0]
    assert interactions.dropped == {}


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "tsv"])
def test_every_format_gives_the_same(suffix: str, shop: Shop, rows: list[str], tmp_path: Path) -> None:
    spec = shop(rows)
    table, path = pl.read_csv(tmp_path / "events.csv"), tmp_path / f"events.{suffix}"
    if suffix == "parquet":
        table.with_columns(pl.col("bought").str.to_datetime()).write_parquet(path)
    elif suffix == "jsonl":
        table.write_ndjson(path)
    else:
        table.write_csv(path, separator="\t")
    other = spec.model_copy(update={"source": spec.source.model_copy(update={"events": path})})
    (one, catalog), (same, same_catalog) = read(spec), read(other)
    assert catalog.digest == same_catalog.digest
    for name in ("users", "items", "times", "values"):
        assert getattr(one, name).tolist() == getattr(same, name).tolist()
    assert one.user_keys == same.user_keys


def test_items_may_have_a_file_of_their_own(shop: Shop, rows: list[str], tmp_path: Path) -> None:
    spec = shop(rows)
    (tmp_path / "items.csv").write_text("sku,title,category\np1,Green tea,drinks\np9,Bread,bakery\n")
    spec = spec.model_copy(
        update={
            "source": spec.source.model_copy(update={"items": tmp_path / "items.csv"}),
            "items": spec.items.model_copy(update={"key": "sku"}),
        }
    )
    interactions, catalog = read(spec)
    assert sorted(catalog.texts) == ["Bread, bakery", "Green tea, drinks"], "items nobody chose are kept"
    assert interactions.dropped == {"item without text": 4}


def test_rows_dropped_are_counted_by_reason(shop: Shop, rows: list[str]) -> None:
    bad = [
        "ann,p1,2024-01-01T08:00:00,5,Green tea,drinks",
        ",p1,2024-01-05,5,Green tea,drinks",
        "ann,p1,yesterday,5,Green tea,drinks",
        "ann,p9,2024-01-05,5,,",
        "ann,p1,2024-01-02,many,Green tea,drinks",
    ]
    interactions, _ = read(shop([*rows, *bad]))
    assert len(interactions) == 6
    assert dict(interactions.dropped) == {
        "duplicate event": 1,
        "missing user": 1,
        "unparsable time": 1,
        "item without text": 1,
        "unparsable value": 1,
    }


def test_personal_data_in_texts_is_redacted(shop: Shop, rows: list[str]) -> None:
    _, catalog = read(shop([*rows, "ann,p8,2024-01-05,5,Ask jane@example.org,drinks"]))
    assert "Ask [email], drinks" in catalog.texts


def test_an_empty_file(shop: Shop) -> None:
    assert refusal(shop(b"")).what == "the file is empty"


def test_a_file_with_a_header_only(shop: Shop, rows: list[str]) -> None:
    assert refusal(shop(rows[:1])).what == "no item has a text"


def test_a_missing_file(toml: Path) -> None:
    from scenarios.platforms.registry import load_scenario

    error = refusal(load_scenario(toml))
    assert error.what == "no such file"
    assert error.where.endswith("events.csv")


def test_a_missing_column(shop: Shop, rows: list[str]) -> None:
    error = refusal(shop([rows[0].replace("title", "titel"), *rows[1:]]))
    assert error.what == "no column title"
    assert error.hint == 'did you mean "titel"?'


def test_unparsable_times_throughout(shop: Shop, rows: list[str]) -> None:
    error = refusal(shop([rows[0], *(row.replace("2024-", "the year 24 ") for row in rows[1:])]))
    assert error.what == "no event is left after cleaning"
    assert error.why == "unparsable time × 6"
    assert error.hint.startswith("times are ISO 8601")


def test_zero_users_after_cleaning(shop: Shop, rows: list[str]) -> None:
    error = refusal(shop([rows[0], *("," + row.split(",", 1)[1] for row in rows[1:])]))
    assert error.why == "missing user × 6"
    assert error.hint == "see columns and items in the scenario"


def test_text_that_is_not_utf8(shop: Shop, rows: list[str]) -> None:
    content = "\n".join([*rows, "ann,p7,2024-01-05,5,Café,drinks", ""]).encode("latin1")
    error = refusal(shop(content))
    assert error.what == "not UTF-8 text"
    assert "iconv" in error.hint


def test_json_lines_that_are_not_utf8(shop: Shop, rows: list[str], tmp_path: Path) -> None:
    spec, path = shop(rows), tmp_path / "events.jsonl"
    names = rows[0].split(",")
    line = json.dumps(
        dict(zip(names, rows[1].split(","), strict=True)) | {"title": "Café"}, ensure_ascii=False
    )
    path.write_bytes((line + "\n").encode("latin1"))
    error = refusal(spec.model_copy(update={"source": spec.source.model_copy(update={"events": path})}))
    assert error.what in ("not UTF-8 text", "not a readable jsonl file")


def test_a_row_with_too_many_fields(shop: Shop, rows: list[str]) -> None:
    error = refusal(shop([*rows, "ann,p7,2024-01-05,5,Salt, and pepper,drinks"]))
    assert error.what == "a row has more fields than the header"
    assert "quotes" in error.hint


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_a_file_of_another_kind_than_its_name_says(
    suffix: str, shop: Shop, rows: list[str], tmp_path: Path
) -> None:
    spec = shop(rows)
    path = (tmp_path / "events.csv").rename(tmp_path / f"events.{suffix}")
    error = refusal(spec.model_copy(update={"source": spec.source.model_copy(update={"events": path})}))
    assert error.what == f"not a readable {suffix} file"


def test_a_file_of_unknown_kind(shop: Shop, rows: list[str], tmp_path: Path) -> None:
    spec = shop(rows)
    path = (tmp_path / "events.csv").rename(tmp_path / "events.xls")
    error = refusal(spec.model_copy(update={"source": spec.source.model_copy(update={"events": path})}))
    assert error.what == 'a file of unknown kind ".xls"'


def test_no_item_has_a_text(shop: Shop, rows: list[str]) -> None:
    assert refusal(shop([rows[0], "ann,p1,2024-01-01,5,,"])).what == "no item has a text"


def test_a_user_with_one_event_is_kept(shop: Shop, rows: list[str]) -> None:
    interactions, _ = read(shop(rows))
    assert 1 in interactions.sequences().lengths


def test_one_line_of_json_does_not_change_how_others_are_read(
    shop: Shop, rows: list[str], tmp_path: Path
) -> None:
    spec, path = shop(rows), tmp_path / "events.jsonl"
    event = {
        "customer": "ann",
        "product": 1,
        "bought": "2024-01-01",
        "stars": 3,
        "title": "Tea",
        "category": "a",
    }
    (tmp_path / "items.csv").write_text("product,title,category\n1,Tea,a\n")
    files = {"events": path, "items": tmp_path / "items.csv"}
    spec = spec.model_copy(update={"source": spec.source.model_copy(update=files)})
    others = {"customer": "bob", "product": 1.5, "stars": "many"}
    path.write_text("\n".join(json.dumps(line) for line in (event, event | others)))
    interactions, _ = read(spec)
    assert len(interactions) == 1
    assert dict(interactions.dropped) == {"item without text": 1}
