"""One retailer's departments: converted once, its labels readable."""

from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest

from common.errors import DataError, EnvironmentProblem
from scenarios.platforms.convert_completejourney import convert
from scenarios.platforms.shelf_words import natural
from scenarios.platforms.sources import package_folder


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up package of the same layout."""
    monkeypatch.setenv("HANSE_CACHE", str(tmp_path / "cache"))
    data = tmp_path / "package" / "data"
    data.mkdir(parents=True)
    pl.DataFrame(
        {
            "product_id": [1, 2, 3],
            "department": ["GROCERY", "GROCERY", "MEAT"],
            "product_category": ["FRZN ICE", "FRZN ICE", "BEEF"],
            "product_type": ["ICE - CRUSHED/CUBED", "-", None],
            "package_size": ["22 LB", None, None],
            "brand": ["National"] * 3,
        }
    ).write_parquet(data / "products.parquet")
    pl.DataFrame(
        {
            "household_id": [7, 7, 8],
            "product_id": [1, 3, 2],
            "transaction_timestamp": pl.Series([0, 1, 2], dtype=pl.Datetime("ns")),
            "basket_id": [1, 2, 3],
        }
    ).write_parquet(data / "transactions.parquet")
    return data.parent


def test_only_the_departments_asked_for(package: Path) -> None:
    folder = convert(package, ["GROCERY"])
    assert pl.read_parquet(folder / "events.parquet")["product_id"].sort().to_list() == [1, 2]
    assert pl.read_parquet(folder / "items.parquet").rows() == [
        (1, "frozen ice", "ice crushed cubed", "22 pound"),
        (2, "frozen ice", None, None),
    ]


def test_it_converts_once_per_content_and_choice(package: Path) -> None:
    folder = convert(package, ["GROCERY", "MEAT"])
    assert convert(package, ["MEAT", "GROCERY"]) == folder
    assert convert(package, ["MEAT"]) != folder
    products = pl.read_parquet(package / "data" / "products.parquet")
    products.head(2).write_parquet(package / "data" / "products.parquet")
    assert convert(package, ["GROCERY"]) != folder


def test_an_unknown_department(package: Path) -> None:
    with pytest.raises(DataError, match="no department TOYS") as caught:
        convert(package, ["TOYS"])
    assert caught.value.hint == "known: GROCERY, MEAT"


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("FRZN MEAT/MEAT DNRS", "frozen meat meat dinners"),
        ("SALD DRSNG/SNDWCH SPRD", "salad dressing sandwich spread"),
        ("6 PK/11.2 OZ", "6 pack 11.2 ounce"),
        ("6 1/4 OZ", "6 1/4 ounce"),
        ("2% MILK", "2% milk"),
        (" - ", ""),
    ],
)
def test_labels_become_words(label: str, words: str) -> None:
    assert natural(label) == words


def test_a_missing_package_is_named_with_its_remedy() -> None:
    with pytest.raises(EnvironmentProblem, match="no_such_package is not installed") as caught:
        package_folder("no_such_package")
    assert "hanse[demo]" in caught.value.hint
    assert find_spec("no_such_package") is None
