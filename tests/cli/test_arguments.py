"""Whatever names a file or folder that is not there ends with 2 in every command, and says which and what next."""

from pathlib import Path

import pytest

from common.cli import build, run

MISSING = [
    ("verify", "no.json"),
    ("verify", "certificate", "no.json"),
    ("verify", "here.json", "--model", "no.json"),
    ("verify", "here.json", "--charter", "no.json"),
    ("verify", "round", "no", "--site", "here"),
    ("verify", "round", "here", "--site", "no"),
    ("model", "publish", "no"),
    ("model", "publish", "here", "--charter", "no.json"),
    ("model", "publish", "here", "--audit", "no.json"),
    ("model", "list", "--registry", "no"),
    ("model", "show", "1", "--registry", "no"),
    ("scenario", "new", "no.csv"),
    ("site", "run", "no"),
    ("site", "ledger", "no"),
]


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HANSE_QUIET", "")
    monkeypatch.setenv("HANSE_DEBUG", "")
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    Path("here.json").write_text("{}")


@pytest.mark.parametrize("arguments", MISSING, ids=" ".join)
def test_what_is_missing(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    name = next(word for word in arguments if word.startswith("no"))
    kind = "file" if "." in name else "folder"
    assert run(build(), arguments) == 2
    assert capsys.readouterr().err.splitlines()[0] == f"{name}: error: no such {kind}"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("verify", "here"), "here: error: not a file\n"),
        (("verify", "here.json/deeper"), "here.json/deeper: error: no such file\n"),
        (("verify", "round", "here.json", "--site", "here"), "here.json: error: not a folder\n"),
        (("verify", "heer.json"), 'heer.json: error: no such file\nhint: did you mean "here.json"?\n'),
        (("site", "ledger", "salt"), "salt: error: no such folder\nhint: hanse site init makes a site\n"),
        (("model", "show", "1"), "registry: error: no such folder\nhint: name the registry with --registry"),
    ],
)
def test_what_it_is_instead_and_what_to_do(
    arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(build(), arguments) == 2
    assert capsys.readouterr().err.startswith(told)


@pytest.mark.parametrize(
    ("arguments", "name", "fault"),
    [
        (("verify", "here"), "here", "not a file"),
        (("verify", "hree"), "hree", "no such file"),
        (("verify", "round", "here.json", "--site", "here"), "here.json", "not a folder"),
        (("verify", "round", "heer.json", "--site", "here"), "heer.json", "no such folder"),
    ],
)
def test_only_what_would_be_accepted_is_suggested(
    arguments: tuple[str, ...], name: str, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(build(), arguments) == 2
    assert capsys.readouterr().err == f"{name}: error: {fault}\n"


def test_a_name_that_the_system_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(build(), ("site", "ledger", "n" * 300)) == 2
    assert (
        capsys.readouterr().err
        == f"{'n' * 300}: error: cannot be read: File name too long\nhint: hanse site init makes a site\n"
    )
