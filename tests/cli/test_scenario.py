"""`hanse scenario`: what each command prints, where, and how it ends."""

import json
from pathlib import Path

import pytest

from common.cli import build, run

CSV = "user,item,time,title\n" + "".join(
    f"u{user},p{(user + day) % 5},2024-01-0{day + 1},Item {(user + day) % 5}\n"
    for user in range(8)
    for day in range(5)
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HANSE_QUIET", "")
    monkeypatch.chdir(tmp_path)


def hanse(*arguments: str) -> int:
    return run(build(), arguments)


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert hanse("scenario", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["drugstore", "fresh", "grocery", "video"]
    assert hanse("scenario", "list", "--json") == 0
    assert json.loads(capsys.readouterr().out)[3]["name"] == "video"


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert hanse("scenario", "show", "video") == 0
    assert 'by = "leave-last-out"' in capsys.readouterr().out
    assert hanse("scenario", "show", "video", "--json") == 0
    assert json.loads(capsys.readouterr().out)["columns"]["value"] == "rating"


def test_from_a_csv_to_a_checked_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    Path("shop.csv").write_text(CSV)
    assert hanse("scenario", "new", "shop.csv") == 0
    out, err = capsys.readouterr()
    assert out == "shop.toml\n"
    assert err == "next: hanse scenario check shop.toml\n"
    assert hanse("scenario", "check", "shop.toml") == 0
    out, err = capsys.readouterr()
    assert out.startswith("shop: 8 users, 5 items, 40 events\n")
    assert out.endswith("  conforms\n")
    assert err.startswith("Reading shop ...\n")


def test_check_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    Path("shop.csv").write_text(CSV + "u1,p1,never,Item 1\n")
    hanse("scenario", "new", "shop.csv", "--json")
    assert json.loads(capsys.readouterr().out) == {"file": "shop.toml", "unknown": []}
    assert hanse("scenario", "check", "shop.toml", "--json") == 0
    assert json.loads(capsys.readouterr().out)["dropped"] == {"unparsable time": 1}


def test_new_overwrites_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Path("shop.csv").write_text(CSV)
    Path("shop.toml").write_text("precious")
    assert hanse("scenario", "new", "shop.csv") == 2
    assert capsys.readouterr().err.startswith("shop.toml: error: exists already\n")
    assert Path("shop.toml").read_text() == "precious"


def test_new_makes_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    Path("shop.csv").write_text(CSV)
    assert hanse("scenario", "new", "shop.csv", "--out", "absent/shop.toml") == 2
    assert capsys.readouterr().err.startswith("absent: error: no such folder\n")


def test_new_says_what_it_could_not_guess(capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.csv").write_text("a,item,time,title\n1,2,3,4\n")
    assert hanse("scenario", "new", "x.csv") == 0
    err = capsys.readouterr().err
    assert 'x.toml: columns.user: no column looks like it: replace "?"' in err
    assert 'x.toml: training.bucket: no row tells it: replace "?"' in err
    assert 'next: replace every "?", then hanse scenario check x.toml' in err
    assert hanse("scenario", "check", "x.toml") == 2
    assert 'x.toml:13: error: columns.user: is still "?": name a column' in capsys.readouterr().err


def test_a_scenario_that_does_not_hold_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    Path("shop.csv").write_text("user,item,time,title\n" + "u1,p1,2024-01-01,Tea\nu1,p1,2024-06-01,Tea\n")
    hanse("scenario", "new", "shop.csv")
    assert hanse("scenario", "check", "shop.toml") == 1
    assert "problem: nobody has a new item in the test period" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("nothing.toml", 2, "nothing.toml: error: no such file\n"),
        ("grocer", 2, 'error: no scenario "grocer"\nhint: did you mean "grocery"?\n'),
    ],
)
def test_what_is_not_there(name: str, code: int, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert hanse("scenario", "check", name) == code
    assert capsys.readouterr().err.endswith(told)


def test_an_empty_csv_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    Path("shop.csv").write_text("")
    assert hanse("scenario", "new", "shop.csv") == 1
    assert capsys.readouterr().err.endswith("shop.csv: error: the file is empty\n")
