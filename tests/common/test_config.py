"""Configuration files: every problem at once, each with its line, its dotted key and a hint."""

import tomllib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from common.config import checked, load_toml
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
        Problem(f"{path}:10", "members.1.name: should be text in quotes"),
        Problem(f"{path}:1", "rounds: should be a whole number"),
    ]


def test_a_value_where_a_table_belongs(tmp_path: Path) -> None:
    path = written(tmp_path, 'name = "news"\ncolumns = 3\n')
    assert problems(path) == [Problem(f"{path}:2", "columns: should be a table")]


class Bounds(_Frozen):
    above: Annotated[float, Field(gt=0)] = 1
    least: Annotated[int, Field(ge=2)] = 2
    below: Annotated[float, Field(lt=1.5)] = 1
    most: Annotated[int, Field(le=3650)] = 1
    finite: Annotated[float, Field(allow_inf_nan=False)] = 1
    one: Literal["tiny", "small", "base"] = "tiny"
    flag: bool = True
    many: Annotated[tuple[str, ...], Field(min_length=1)] = ("a",)
    pair: tuple[float, float] = (0, 1)
    text: Annotated[str, Field(min_length=1)] = "a"
    name: Annotated[str, Field(pattern="^[a-z]$")] = "a"
    where: Path = Path()
    when: datetime | None = None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("above = 0", "above: should be above 0"),
        ("least = 1", "least: should be at least 2"),
        ("below = 1.5", "below: should be below 1.5"),
        ("most = 3651", "most: should be at most 3650"),
        ("most = 1.5", "most: should be a whole number"),
        ('above = "x"', "above: should be a number"),
        ("finite = inf", "finite: should be a finite number"),
        ('one = "huge"', 'one: should be "tiny", "small" or "base"'),
        ('flag = "maybe"', "flag: should be true or false"),
        ('many = "a"', "many: should be a list"),
        ("many = []", "many: should have 1 or more entries"),
        ('many = ["a", 3]', "many.1: should be text in quotes"),
        ("pair = [1]", "pair: an entry is missing"),
        ('text = ""', "text: should have 1 or more characters"),
        ('name = "B"', "name: should match ^[a-z]$"),
        ("where = 3", "where: should be a path in quotes"),
        ('when = "soon"', "when: should be a date or a time, such as 2024-01-01"),
        ("much = 3", "much: unknown key"),
    ],
)
def test_each_kind_of_mistake_in_plain_words(line: str, said: str, tmp_path: Path) -> None:
    """In a file, and of a command's options."""
    with pytest.raises(ConfigError) as caught:
        load_toml(written(tmp_path, f"\n{line}\n"), Bounds)
    (problem,) = caught.value.problems
    assert (problem.where, problem.what) == (f"{tmp_path}/news.toml:2", said)
    with pytest.raises(ConfigError) as caught:
        checked(tomllib.loads(line), Bounds)
    assert caught.value.problems[0].what == said.partition(": ")[2]


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


def test_no_neighbour_is_named_for_its_suffix_alone(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    assert problems(tmp_path / "ours.toml") == [Problem(str(tmp_path / "ours.toml"), "no such file")]


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path)
    assert problem.what.startswith("cannot be read: ")


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = written(tmp_path, 'name = "café"'.encode("latin1"))
    assert problems(path) == [Problem(str(path), "not UTF-8 text", "save the file as UTF-8")]
