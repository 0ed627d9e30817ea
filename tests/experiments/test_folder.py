"""The experiment's folder: one experiment, one run at a time, and all it knows in files."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.errors import ConfigError, EnvironmentProblem
from scenarios.experiments.folder import ExperimentFolder
from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec

HOLDER = """
import pathlib, sys
from scenarios.experiments.folder import ExperimentFolder
with ExperimentFolder(pathlib.Path(sys.argv[1])).alone():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def spec() -> ExperimentSpec:
    return ExperimentSpec(title="t", platforms=("grocery", "drugstore", "fresh"))


def test_it_is_made_once_and_found_again(spec: ExperimentSpec, tmp_path: Path) -> None:
    made = ExperimentFolder.open(tmp_path / "out", spec)
    assert made.spec() == spec
    assert made.cells.is_dir()
    assert made.cell(Cell("federated", 2, 0.5)) == tmp_path / "out" / "cells" / "federated-eps0.5-2"
    (made.cells / "kept").touch()
    assert ExperimentFolder.open(tmp_path / "out", spec) == made
    assert (made.cells / "kept").exists()


def test_another_experiment_is_refused_and_nothing_is_changed(spec: ExperimentSpec, tmp_path: Path) -> None:
    ExperimentFolder.open(tmp_path, spec)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(ConfigError, match="another experiment was begun here") as caught:
        ExperimentFolder.open(tmp_path, spec.model_copy(update={"rounds": 21}))
    assert caught.value.problems[0].hint == "choose another --out"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def _own(home: Path) -> ExperimentSpec:
    (home / "books.csv").write_text("user,item,time\nann,tea,2024-03-01\n")
    (home / "items.csv").write_text("item,title\ntea,Green tea\n")
    (home / "books.toml").write_text(
        'name = "books"\ntitle = "t"\ndescription = "d"\nlicence = "l"\n'
        'source = {events = "books.csv", items = "items.csv"}\n'
        'columns = {user = "user", item = "item", time = "time"}\n'
        'items = {text = ["title"]}\nsplit = {end = 2025-01-01}\n'
    )
    return ExperimentSpec(title="t", platforms=(str(home / "books.toml"), "drugstore", "fresh"))


@pytest.mark.parametrize("name", ["books.csv", "items.csv", "books.toml"])
def test_results_of_other_data_are_not_mixed_in(name: str, tmp_path: Path) -> None:
    """Cells trained on the old rows would be measured on the new ones."""
    spec, out = _own(tmp_path), tmp_path / "out"
    begun, file = ExperimentFolder.open(out, spec), tmp_path / name
    content = file.read_text()
    file.write_text(
        content.replace("2024-03-01", "2024-03-02").replace("Green", "Black").replace("2025", "2026")
    )
    with pytest.raises(ConfigError, match=r"other data, of books$") as caught:
        ExperimentFolder.open(out, spec)
    assert caught.value.problems[0].hint == "choose another --out"
    file.write_text(content)
    assert ExperimentFolder.open(out, spec) == begun


@pytest.mark.parametrize("content", [None, b"", b"{"])
def test_a_folder_that_does_not_say_what_it_was_begun_on(tmp_path: Path, content: bytes | None) -> None:
    spec, out = _own(tmp_path), tmp_path / "out"
    ExperimentFolder.open(out, spec)
    (out / "inputs.json").unlink()
    if content is not None:
        (out / "inputs.json").write_bytes(content)
    with pytest.raises(ConfigError, match="it is not known on which data"):
        ExperimentFolder.open(out, spec)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff", b'{"title": "t"}'])
def test_where_nothing_was_begun(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "experiment.json").write_bytes(content)
    with pytest.raises(ConfigError, match="no experiment was begun here"):
        ExperimentFolder(tmp_path).spec()


def test_a_file_in_the_way(spec: ExperimentSpec, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(EnvironmentProblem, match="the results cannot be kept") as caught:
        ExperimentFolder.open(tmp_path / "out", spec)
    assert caught.value.hint == "choose another --out"


def test_a_full_disk_begins_nothing(
    spec: ExperimentSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scenarios.experiments.folder.write_atomically", full)
    with pytest.raises(EnvironmentProblem, match="No space left on device"):
        ExperimentFolder.open(tmp_path / "out", spec)
    monkeypatch.undo()
    assert ExperimentFolder.open(tmp_path / "out", spec).spec() == spec


def test_two_runs_do_not_work_in_one_folder(spec: ExperimentSpec, tmp_path: Path) -> None:
    folder = ExperimentFolder.open(tmp_path, spec)
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(EnvironmentProblem, match="another run is at work here"), folder.alone():
            pass
        other.kill()
    with folder.alone():
        assert folder.spec() == spec


def test_the_ground_is_worked_out_once(
    shops: Callable[..., ExperimentSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANSE_CACHE", str(tmp_path / "cache"))
    folder = ExperimentFolder.open(tmp_path / "out", shops(tmp_path))
    first = folder.ground()
    for path in tmp_path.glob("*.csv"):
        path.unlink()
    again = folder.ground()
    assert again.model == first.model
    assert again.initial.tobytes() == first.initial.tobytes()
    assert list(first.scenarios) == ["amber", "herring", "salt", "timber"]
    assert first.model.basis == first.basis.digest
    assert first.model.parameters == first.initial.size
