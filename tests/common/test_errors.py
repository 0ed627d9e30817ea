"""The tree of errors: its exit codes, its one line, and whole passage between processes."""

import pickle
from collections.abc import Iterator

import pytest

import clients.site
import scenarios.experiments.runner  # noqa: F401 - so that every error of the project is defined
import server.rounds  # noqa: F401
from common.errors import (
    AggregationAborted,
    ConfigError,
    DataError,
    EnvironmentProblem,
    HanseError,
    PrivacyRefused,
    Problem,
)
from common.secagg.errors import BadAdvert, ProtocolAborted


def descendants(kind: type[HanseError]) -> Iterator[type[HanseError]]:
    for child in kind.__subclasses__():
        yield child
        yield from descendants(child)


EVERY = sorted(set(descendants(HanseError)), key=lambda kind: kind.__name__)


def example(kind: type[HanseError]) -> HanseError:
    if issubclass(kind, ConfigError):
        return kind((Problem("a.toml:1", "what", "hint"), Problem("a.toml:2", "what else")))
    if issubclass(kind, ProtocolAborted):
        return kind("share", "salt", why="why", hint="hint")
    return kind("what", where="where", why="why", hint="hint")


def test_each_branch_has_its_code() -> None:
    codes = {HanseError: 1, DataError: 1, ConfigError: 2, PrivacyRefused: 3, AggregationAborted: 4}
    for kind, code in {**codes, EnvironmentProblem: 5}.items():
        assert kind.exit_code == code
        assert all(child.exit_code == code for child in descendants(kind) if kind is not HanseError)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_error_passes_between_processes_whole(kind: type[HanseError]) -> None:
    error = example(kind)
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - bytes of our own
    assert type(back) is kind
    assert str(back) == str(error)
    assert vars(back) == vars(error)
    assert back.args == error.args


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_error_says_in_its_docstring_what_it_is(kind: type[HanseError]) -> None:
    assert kind.__doc__
    assert kind.__module__.split(".")[0] in ("common", "clients", "server", "scenarios")
    assert kind.exit_code in range(1, 6)


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ({}, "what"),
        ({"where": "a.csv"}, "a.csv: what"),
        ({"why": "empty"}, "what: empty"),
        ({"where": "a.csv", "why": "empty", "hint": "not in the line"}, "a.csv: what: empty"),
    ],
)
def test_one_line_as_compilers_print_it(parts: dict[str, str], line: str) -> None:
    assert str(HanseError("what", **parts)) == line


def test_all_problems_are_listed_at_once() -> None:
    error = ConfigError((Problem("a.toml:1", "x: unknown key", "did you mean y?"), Problem("", "no file")))
    assert str(error) == "a.toml:1: x: unknown key\nno file"


def test_a_reason_of_the_protocol_is_its_docstring() -> None:
    error = BadAdvert("share", "salt", why="another model")
    assert str(error).startswith("share: salt: The advertisement is not signed")
    assert clients.site.refuse(error).body == b"4 BadAdvert"
