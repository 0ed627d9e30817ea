"""`new`: columns guessed from names, and a TOML that loads."""

import re
from pathlib import Path

import polars as pl
import pytest

from common.errors import ConfigError
from scenarios.platforms.check import check
from scenarios.platforms.draft import draft, guess_roles
from scenarios.platforms.registry import load_scenario


@pytest.mark.parametrize(
    ("columns", "roles"),
    [
        (["userId", "movieId", "rating", "timestamp"], ("userId", "movieId", "timestamp", "rating")),
        (["customer", "sku", "ordered_at"], ("customer", "sku", "ordered_at", None)),
        (
            ["reviewer_name", "reviewer_id", "asin", "overall", "unix_time"],
            ("reviewer_id", "asin", "unix_time", "overall"),
        ),
        (["a", "b"], (None, None, None, None)),
        (["item_name", "item_id", "user"], ("user", "item_id", None, None)),
    ],
)
def test_roles_by_name(columns: list[str], roles: tuple[str | None, ...]) -> None:
    assert tuple(guess_roles(columns).values()) == roles


def test_the_draft_loads_and_holds(rows: list[str], tmp_path: Path) -> None:
    file, toml = tmp_path / "Corner shop.csv", tmp_path / "shop.toml"
    more = [f"u{user},p{user % 3 + 1},{1704096000000 + user * 10**9},5,," for user in range(20)]
    header, *first = rows
    numbers = [re.sub(r"2024-[^,]+", str(1704096000000 + place), row) for place, row in enumerate(first)]
    file.write_text("\n".join([header, *numbers, *more]))
    text, unknown = draft(file, toml)
    toml.write_text(text)
    assert unknown == ()
    spec = load_scenario(toml)
    assert spec.name == "corner-shop"
    assert spec.source.events == file
    assert spec.columns.model_dump() == {
        "user": "customer",
        "item": "product",
        "time": "bought",
        "value": "stars",
        "time_unit": "ms",
    }
    assert spec.items.text == ("title", "category")
    assert (spec.training.bucket, spec.training.expected_batch) == (16, 2)


def test_what_cannot_be_guessed_is_named(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("a,b\n1,2\n")
    text, unknown = draft(file, tmp_path / "table.toml")
    columns = ("columns.user", "columns.item", "columns.time", "items.text")
    assert unknown == (*columns, "split.end", "training.bucket", "training.expected_batch")
    (tmp_path / "table.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_scenario(tmp_path / "table.toml")
    told = [problem.what for problem in caught.value.problems]
    assert [what.split(": ")[0] for what in told] == list(unknown)
    assert told[0] == 'columns.user: is still "?": name a column'


def test_times_that_cannot_be_read_set_no_end(tmp_path: Path) -> None:
    """Today would be far from the rows, and nobody would be left to validate on."""
    file = tmp_path / "table.csv"
    file.write_text("user,item,date,title\nann,1,27.03.2024,Tea\n")
    assert draft(file, tmp_path / "table.toml")[1] == ("split.end",)


def test_names_with_quotes_survive(tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    columns = {'user "id"': ["ann"], "item": ["p1"], "time": ["2024-01-01"], "title": ["Tea"]}
    pl.DataFrame(columns).write_parquet(file)
    (tmp_path / "x.toml").write_text(draft(file, tmp_path / "x.toml")[0])
    assert load_scenario(tmp_path / "x.toml").columns.user == 'user "id"'


def test_a_draft_in_another_folder_finds_the_file(rows: list[str], tmp_path: Path) -> None:
    file, toml = tmp_path / "shop.csv", tmp_path / "else" / "shop.toml"
    toml.parent.mkdir()
    file.write_text("\n".join(rows))
    toml.write_text(draft(file, toml)[0].replace("_days = 42", "_days = 0.5"))
    assert check(load_scenario(toml)).users == 3


def test_the_end_is_proposed_as_the_midnight_after_the_last_event(rows: list[str], tmp_path: Path) -> None:
    file = tmp_path / "shop.csv"
    file.write_text("\n".join(rows))
    text, _ = draft(file, tmp_path / "shop.toml")
    assert "\nend = 2024-01-04\n" in text
    assert "must be a public choice" in text
