"""Configuration files: every problem at once, each with its line, its dotted key and a hint."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from common.config import load_toml
from common.errors import ConfigError, Problem


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Columns(_Frozen):
    user: str
    time: str = "time"


class Member(_Frozen):
    name: str
    weight: float = 1.0


class Spec(_Frozen):
    name: str
    columns: Columns
    members: tuple[Member, ...] = ()
    rounds: int = 1


GOOD = """\
name = "news"
[columns]
user = "u"
[[members]]
name = "a"
[[members]]
name = "b"
weight = 2.5
"""


def problems(path: Path) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load_toml(path, Spec)
    assert caught.value.exit_code == 2
    return list(caught.value.problems)


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "news.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_good_file(tmp_path: Path) -> None:
    spec = load_toml(written(tmp_path, GOOD), Spec)
    assert spec.members == (Member(name="a"), Member(name="b", weight=2.5))


def test_all_problems_at_once_with_their_lines(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'rounds = "many"\n\n[columns]\ntiem = "t"\n\n[[members]]\nname = "a"\n\n[[members]]\nname = 3\n',
    )
    assert problems(path) == [
        Problem(f"{path}:1", "name: missing key"),
        Problem(f"{path}:3", "columns.user: missing key"),
        Problem(f"{path}:4", "columns.tiem: unknown key", 'did you mean "time"?'),
        Problem(f"{path}:10", "members.1.name: input should be a valid string"),
        Problem(f"{path}:1", "rounds: input should be a valid integer, unable to parse string as an integer"),
    ]


def test_a_value_where_a_table_belongs(tmp_path: Path) -> None:
    path = written(tmp_path, 'name = "news"\ncolumns = 3\n')
    assert problems(path) == [Problem(f"{path}:2", "columns: should be a table")]


def test_values_are_never_quoted(tmp_path: Path) -> None:
    text = GOOD.replace("rounds", "").replace('name = "news"', 'name = "news"\nrounds = "hunter2"')
    assert "hunter2" not in str(problems(written(tmp_path, text)))


def test_no_toml(tmp_path: Path) -> None:
    path = written(tmp_path, 'name = "news"\n[columns\n')
    (problem,) = problems(path)
    assert problem.where == f"{path}:2"
    assert problem.what.startswith("not TOML: ")


def test_a_missing_file_names_a_neighbour(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    path = tmp_path / "nesw.toml"
    assert problems(path) == [Problem(str(path), "no such file", 'did you mean "news.toml"?')]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path)
    assert problem.what.startswith("cannot be read: ")


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = written(tmp_path, 'name = "café"'.encode("latin1"))
    assert problems(path) == [Problem(str(path), "not UTF-8 text", "save the file as UTF-8")]
