"""`hanse verify round`: what it prints, where, and how it ends."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.cli import build, run
from server.archive import BUNDLE
from server.rounds import conduct

Make = Callable[..., Any]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANSE_QUIET", "")
    monkeypatch.setenv("HANSE_DEBUG", "")


def hanse(*arguments: str | Path) -> int:
    return run(build(), [str(argument) for argument in arguments])


@pytest.fixture
def sailed(fleet: Make) -> tuple[list[Path], Path]:
    """The replays of two rounds, and a site that finished both."""
    made = fleet(replay_days=7, rounds=2)
    conduct(made.tape(), made.run, lambda outcome: None)
    return sorted(made.run.path.glob("replays/*")), made.folders["salt"].path


def test_a_round_that_holds(sailed: tuple[list[Path], Path], capsys: pytest.CaptureFixture[str]) -> None:
    (first, last), site = sailed
    assert hanse("verify", "round", first, "--site", site) == 0
    said, model, average = capsys.readouterr().out.splitlines()
    assert said == "round 1 holds: its result is the sum of amber, herring, salt, timber"
    assert model.startswith("model    ") and model.endswith(" (this site received it in the next round)")
    assert average.startswith("average  ")
    assert hanse("verify", "round", last, "--site", site) == 0
    assert "(not yet seen at this site in the next round)" in capsys.readouterr().out


def test_it_says_what_it_had_to_take_as_told(
    sailed: tuple[list[Path], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (first, last), site = sailed
    (first / BUNDLE).unlink()
    assert hanse("verify", "round", last, "--site", site) == 0
    assert "moments before the step are taken as told" in capsys.readouterr().out


def test_for_programs(sailed: tuple[list[Path], Path], capsys: pytest.CaptureFixture[str]) -> None:
    (first, _), site = sailed
    assert hanse("verify", "round", first, "--site", site, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told.pop("model") != told.pop("average")
    assert told == {
        "holds": True,
        "round": 1,
        "attempt": 1,
        "survivors": ["amber", "herring", "salt", "timber"],
        "weight": 4.0,
        "moments_followed": True,
        "model_received": True,
    }


def test_a_round_that_does_not_hold_ends_with_4_and_the_reason(
    sailed: tuple[list[Path], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (first, _), site = sailed
    content = bytearray((first / BUNDLE).read_bytes())
    content[-1] ^= 1
    (first / BUNDLE).write_bytes(content)
    assert hanse("verify", "round", first, "--site", site, "--json") == 4
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert (told["holds"], told["reason"]) == (False, "NoTicket")
    assert "has no ticket for this bundle" in told["told"]
    assert "has no ticket for this bundle" in printed.err
    assert hanse("verify", "round", first, "--site", site) == 4
    assert capsys.readouterr().out == ""


def test_a_folder_without_a_bundle(
    sailed: tuple[list[Path], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hanse("verify", "round", tmp_path, "--site", sailed[1]) == 4
    assert "no bundle to replay" in capsys.readouterr().err


def test_the_site_must_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hanse("verify", "round", tmp_path) == 2
    assert "missing option '--site'" in capsys.readouterr().err
