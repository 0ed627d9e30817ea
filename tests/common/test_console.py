"""The terminal: which stream says what, and what --quiet and NO_COLOR leave out."""

import json

import pytest

from common import console
from common.errors import ConfigError, DataError, Problem


@pytest.fixture(autouse=True)
def loud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HANSE_QUIET", raising=False)


def test_results_go_to_stdout_and_talk_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    console.show("result")
    console.show_json({"ε": 8})
    console.say("talk")
    out, err = capsys.readouterr()
    assert out.startswith("result\n")
    assert json.loads(out.removeprefix("result\n")) == {"ε": 8}
    assert err == "talk\n"


def test_quiet_leaves_results_warnings_and_errors(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANSE_QUIET", "1")
    console.say("talk")
    with console.progress("work") as update:
        update(1, 2)
    console.warn("careful", "look")
    console.complain(DataError("broken"))
    assert capsys.readouterr().err == "warning: careful\nhint: look\nerror: broken\n"


def test_progress_away_from_a_terminal_is_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress("Reading") as update:
        update(1, 2)
    first, last = capsys.readouterr().err.splitlines()
    assert first == "Reading ..."
    assert last.startswith("Reading: ")
    assert last.endswith(" s")


def test_progress_on_a_terminal_is_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with console.progress("Reading") as update:
        update(2, 2)
    assert "100%" in capsys.readouterr().err


def test_errors_look_like_a_compilers(capsys: pytest.CaptureFixture[str]) -> None:
    console.complain(DataError("no such file", where="a.csv", why="gone", hint="look elsewhere"))
    console.complain(ConfigError((Problem("a.toml:1", "x: unknown key", "y?"), Problem("", "z"))))
    assert capsys.readouterr().err.splitlines() == [
        "a.csv: error: no such file: gone",
        "hint: look elsewhere",
        "a.toml:1: error: x: unknown key",
        "hint: y?",
        "error: z",
    ]


@pytest.mark.parametrize(("no_color", "painted"), [("", True), ("1", False)])
def test_no_color_is_respected(
    no_color: str, painted: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", no_color)
    console.warn("careful")
    assert ("\x1b[" in capsys.readouterr().err) == painted
