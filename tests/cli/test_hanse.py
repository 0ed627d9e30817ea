"""The command line: fast help, exit codes, and no traceback unless asked for."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer
from typer.main import get_command

from common.cli import build, run
from common.errors import (
    AggregationAborted,
    ConfigError,
    DataError,
    EnvironmentProblem,
    PrivacyRefused,
    Problem,
)

HANSE = [sys.executable, "-c", "from common.cli import main; raise SystemExit(main())"]
HEAVY = ("torch", "polars", "numpy", "flwr", "pandas", "transformers", "opacus", "scipy", "ray")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options given in a test end with it."""
    monkeypatch.setenv("HANSE_QUIET", "")
    monkeypatch.setenv("HANSE_DEBUG", "")


def raising(error: BaseException) -> typer.Typer:
    app = build()

    @app.command("fail")
    def fail() -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (DataError("no such file", where="a.csv"), 1, "a.csv: error: no such file\n"),
        (ConfigError((Problem("a.toml:1", "x: unknown key"),)), 2, "a.toml:1: error: x: unknown key\n"),
        (PrivacyRefused("ceiling", hint="raise it"), 3, "error: ceiling\nhint: raise it\n"),
        (AggregationAborted("too few", why="2 of 4"), 4, "error: too few: 2 of 4\n"),
        (EnvironmentProblem("no ray"), 5, "error: no ray\n"),
        (KeyboardInterrupt(), 130, ""),
        (
            ZeroDivisionError("by zero"),
            1,
            "error: unexpected ZeroDivisionError: by zero\nhint: hanse --debug ... ",
        ),
        (typer.Exit(5), 5, ""),
    ],
)
def test_every_ending_has_its_exit_code(
    error: BaseException, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(raising(error), ["fail"]) == code
    out, err = capsys.readouterr()
    assert err.startswith(told)
    assert "Traceback" not in err
    assert out == ""


def test_debug_shows_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(raising(DataError("broken")), ["--debug", "fail"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told", "hint"),
    [
        (["scenario", "lst"], "error: no such command 'lst'", "hint: did you mean 'list'?"),
        (["scenario", "check"], "error: missing argument 'NAME|FILE'", "hint: hanse scenario check --help"),
        (["doctor", "--jsn"], "error: no such option", "hint: "),
    ],
)
def test_misuse(arguments: list[str], told: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(build(), arguments) == 2
    first, second = capsys.readouterr().err.splitlines()[-2:]
    assert first.startswith(told)
    assert second.startswith(hint)


def test_help_shows_flags_as_pairs_and_brackets_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(build(), ["demo", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "--fast / --no-fast A first look within a minute" in told
    assert "few items. [default: no-fast] --out" in told


def leaves(command: click.Command, *words: str) -> Iterator[tuple[str, ...]]:
    yield words
    if isinstance(command, click.Group):
        for word, inner in command.commands.items():
            yield from leaves(inner, *words, word)


def test_no_help_has_an_escape_of_another_markup(capsys: pytest.CaptureFixture[str]) -> None:
    app = build()
    for words in leaves(get_command(app)):
        assert run(app, [*words, "--help"]) == 0
        told = capsys.readouterr().out
        assert told.startswith(" ".join(["Usage: hanse", *words]))
        assert "\\" not in told, words


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from common.cli import build, run; code = run(build(), ['--help']);"
        f"sys.exit(code or ' '.join(name for name in {HEAVY} if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
    assert "scenario" in done.stdout
    assert done.returncode == 0


def test_help_is_there_at_once() -> None:
    """In seconds of processor time, which other work on the machine does not stretch."""
    before = os.times()
    for _ in range(3):
        subprocess.run([*HANSE, "--help"], capture_output=True, check=True)
    after = os.times()
    spent = (after.children_user + after.children_system) - (before.children_user + before.children_system)
    assert spent / 3 < 0.3


def test_control_c_ends_with_130(tmp_path: Path) -> None:
    script = (
        "import sys, time; from common.cli import build, run; app = build()\n"
        "@app.command('wait')\n"
        "def wait() -> None:\n"
        "    print('ready', flush=True); time.sleep(60)\n"
        "sys.exit(run(app, ['wait']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert process.wait(timeout=30) == 130
        assert time.monotonic() - began < 30
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_a_closed_pipe_is_no_error() -> None:
    show = f"{sys.executable} -c '{HANSE[2]}' scenario show grocery"
    shell = f"{show} | head -1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", shell], capture_output=True, text=True, check=False
    )
    assert done.stdout == 'name = "grocery"\n'
    assert "Traceback" not in done.stderr
    assert done.returncode == 0


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(build(), ["--version"]) == 0
    assert capsys.readouterr().out.startswith("hanse 0.")


def test_doctor_names_every_package_and_a_remedy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HANSE_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("common.doctor.REQUIRED", ("numpy", "no-such-package"))
    assert run(build(), ["doctor", "--json"]) == 5
    findings = {found["subject"]: found for found in json.loads(capsys.readouterr().out)}
    assert findings["numpy"]["state"] == "ok"
    assert findings["imports"]["state"] == "ok"
    for subject in ("no-such-package", "cache"):
        assert findings[subject]["state"] == "problem"
        assert findings[subject]["remedy"]


def test_doctor_in_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HANSE_CACHE", str(tmp_path))
    run(build(), ["doctor"])
    assert f"cache: {tmp_path}" in capsys.readouterr().out
