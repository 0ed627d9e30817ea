"""`hanse experiment`: what each command prints, where, and how it ends."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients.site import Site
from common.cli import build, run
from common.deltas import AdapterDelta, Floats
from common.errors import DataError
from scenarios.experiments.spec import ExperimentSpec

Shops = Callable[..., ExperimentSpec]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HANSE_QUIET", "")
    monkeypatch.setenv("HANSE_DEBUG", "")
    monkeypatch.setenv("HANSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def hanse(*arguments: str | Path) -> int:
    return run(build(), [str(argument) for argument in arguments])


@pytest.fixture
def experiment(shops: Shops, tmp_path: Path) -> Callable[..., Path]:
    """The TOML file of an experiment on the shops; ``extra`` lines come first."""

    def make(*extra: str, privacy: str = "epsilons = [8], unprotected = false, spare = 0") -> Path:
        spec = shops(tmp_path)
        path = tmp_path / "experiment.toml"
        lines = [
            'title = "four shops"',
            f"platforms = {[Path(name).name for name in spec.platforms]}",
            *(extra or ['systems = ["federated"]', "rounds = 1"]),
            "trackers = []",
            f'model = {{ size = "tiny", features = 16, encoder = "{spec.model.encoder}" }}',
            f"privacy = {{ {privacy} }}",
        ]
        path.write_text("\n".join([*lines, ""]))
        return path

    return make


def test_a_run_ends_with_the_answer_and_where_the_report_is(
    experiment: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert hanse("experiment", "run", experiment(), "--out", "out", "--workers", "1") == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert len(lines) == 4
    assert lines[-1] == "Report: out/report.html"
    assert "ε" in out
    assert "training 1 system" in err
    assert Path("out/report.html").stat().st_size < 1_000_000


def test_a_run_without_a_name_for_its_folder_gets_one(
    experiment: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = experiment()
    capsys.readouterr()  # what making the encoder said
    assert hanse("--quiet", "experiment", "run", path, "--workers", "1", "--json") == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert err == ""
    assert told["answer"] == json.loads(Path(told["report"]).with_name("report.json").read_text())["answer"]
    assert Path(told["report"]).parts[0] == "runs"
    assert Path(told["report"]).parts[1].startswith("experiment-2")


def test_resume_goes_on_in_the_same_folder(
    voyage: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(voyage.out, tmp_path / "out")
    (tmp_path / "out" / "report.html").unlink()
    assert hanse("experiment", "resume", "out", "--workers", "1", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"answer": voyage.outcome.report.answer.text, "report": "out/report.html"}
    assert (tmp_path / "out" / "report.html").exists()


def test_a_forecast_needs_no_data_and_leaves_nothing(
    experiment: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = experiment()
    for gone in (*tmp_path.glob("*.csv"), *(tmp_path / "encoder").iterdir()):
        gone.unlink()
    before = sorted(tmp_path.rglob("*"))
    assert hanse("experiment", "run", path, "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert {entry["platform"] for entry in told["privacy"]} == {"amber", "herring", "salt", "timber"}
    assert told["cells"] == 2
    assert hanse("experiment", "run", path, "--dry-run") == 0
    assert "nothing was read, nothing spent" in capsys.readouterr().out
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["demo-fast", "four-platforms"])
def test_the_forecast_of_what_comes_with_the_project(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert hanse("experiment", "run", name, "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert {entry["platform"] for entry in told["privacy"]} == {"grocery", "drugstore", "fresh", "video"}
    for entry in told["privacy"]:
        assert entry["epsilon_prv"] <= entry["epsilon"]
        assert told["joint"][f"{entry['epsilon']:g}"] > entry["epsilon_prv"]


# --- endings -----------------------------------------------------------------------------------------------


def test_1_data_that_cannot_be_used(
    experiment: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = experiment()
    (tmp_path / "salt.csv").write_text("")
    assert hanse("experiment", "run", path, "--out", "out") == 1
    assert "salt.csv" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("run", "demo-fsat"), ('error: no experiment "demo-fsat"', 'hint: did you mean "demo-fast"?')),
        (("run", "nowhere.toml"), ("nowhere.toml: error: no such file",)),
        (
            ("resume", "nowhere"),
            ("nowhere: error: no experiment was begun here", "hint: hanse experiment run"),
        ),
        (("run",), ("error: missing argument 'NAME|FILE'",)),
        (("run", "demo", "--workers", "0"), ("error: invalid value for '--workers'",)),
        (("rnu",), ("error: no such command 'rnu'", "hint: did you mean 'run'?")),
    ],
)
def test_2_what_is_not_there(
    arguments: tuple[str, ...], told: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert hanse("experiment", *arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= len(told)
    assert all(line.startswith(start) for line, start in zip(lines, told, strict=False))


def test_2_every_mistake_in_the_file_at_once(
    experiment: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = experiment("round = 3", 'systems = ["federate"]', "seeds = []")
    assert hanse("experiment", "run", path) == 2
    err = capsys.readouterr().err
    for line, what in ((3, "round: unknown key"), (4, "systems.0: "), (5, "seeds: ")):
        assert f"{path}:{line}: error: {what}" in err
    assert 'hint: did you mean "rounds"?' in err


def test_2_another_experiment_in_the_folder(
    voyage: Any, tmp_path: Path, experiment: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(voyage.out, tmp_path / "out")
    assert hanse("experiment", "run", experiment(), "--out", "out") == 2
    assert "another experiment was begun here" in capsys.readouterr().err


def test_3_a_ceiling_below_the_plan(
    experiment: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = experiment(privacy="epsilons = [8], unprotected = false, ceiling = 1")
    for gone in tmp_path.glob("*.csv"):
        gone.unlink()
    assert hanse("experiment", "run", path, "--out", "out") == 3
    assert "amber: error: would spend ε = " in capsys.readouterr().err
    assert not Path("out").exists()


def test_4_a_round_without_a_sum(
    experiment: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(site: Site, model: Floats, number: int) -> AdapterDelta:
        raise DataError("no rows today")

    monkeypatch.setattr(Site, "_train", train)
    assert hanse("experiment", "run", experiment(), "--out", "out", "--workers", "1") == 4
    assert "error: Too few platforms are left" in capsys.readouterr().err


def test_5_results_that_cannot_be_kept(
    experiment: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("a file in the way")
    assert hanse("experiment", "run", experiment(), "--out", "out") == 5
    assert "hint: choose another --out" in capsys.readouterr().err


def test_the_demo_says_first_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, voyage: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own minutes are the benchmark's affair: here the run itself is replaced."""
    asked: list[tuple[str, Path]] = []

    def pretend(spec: ExperimentSpec, out: Path) -> Any:
        asked.append((spec.title, out))
        return voyage.outcome

    monkeypatch.setattr("scenarios.experiments.runner.run_experiment", pretend)
    assert hanse("demo", "--fast") == 0
    out, err = capsys.readouterr()
    assert err.startswith("Nothing is downloaded")
    assert "hanse scenario new" in err
    assert out.splitlines()[-1] == f"Report: {voyage.outcome.page}"
    assert hanse("demo", "--out", "here") == 0
    assert asked[0][1].parts[0] == "runs"
    assert asked[0][1].name.startswith("demo-fast-")
    assert asked[1][1] == Path("here")
    assert asked[0][0] != asked[1][0]


def workers_of(parent: int) -> list[str]:
    """The command lines of a process's workers."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    commands = [Path(f"/proc/{child}/cmdline").read_text() for child in children]
    return [command for command in commands if "spawn_main" in command]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["workers start", "workers train"])
def test_130_interrupted_at_the_terminal(stage: str, experiment: Callable[..., Path], tmp_path: Path) -> None:
    """Ctrl-C reaches every process of the group, also those that are still starting up. One line is said."""
    command = [sys.executable, "-c", "from common.cli import main; raise SystemExit(main())"]
    path = experiment("rounds = 100000", privacy="epsilons = [], spare = 0")
    asked = ["experiment", "run", str(path), "--out", "my out", "--workers", "2"]
    deadline = time.monotonic() + 200
    with subprocess.Popen(
        [*command, *asked], start_new_session=True, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            while not (
                len(workers_of(process.pid)) == 2
                if stage == "workers start"
                else list(tmp_path.glob("my out/cells/*/server/checkpoint.safetensors"))
            ):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.01)
            os.killpg(process.pid, signal.SIGINT)
            assert process.stderr is not None
            said = process.stderr.read()  # ends when every process of the group has ended
            assert process.wait(60) == 130, said
        finally:
            process.kill()
    *before, last = said.splitlines()
    assert last == "interrupted; what is finished is kept; go on with hanse experiment resume 'my out'"
    assert all(
        re.fullmatch(r"(reading|training|writing|measuring) .* (\.\.\.|[\d.]+ s)", line) for line in before
    )


def test_130_says_also_when_quiet_how_a_study_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(study: object, out: Path, cell: object, told: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("scenarios.experiments.utility.runner.train_job", interrupted)
    assert hanse("-q", "experiment", "utility", "--fast", "--out", "out", "--workers", "1") == 130
    assert capsys.readouterr().err == (
        "interrupted; what is finished is kept; go on with the same command and --out out\n"
    )


def test_130_before_anything_was_begun_says_nothing_of_going_on(
    experiment: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(spec: ExperimentSpec, out: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("scenarios.experiments.runner.admit", interrupted)
    path = experiment()
    capsys.readouterr()
    assert hanse("experiment", "run", path, "--out", "out") == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("engine", [(), ("--ray",)])
def test_130_goes_on_with_the_same_engine(
    engine: tuple[str, ...],
    experiment: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(config: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("scenarios.experiments.runner.read_platform", interrupted)
    path = experiment()
    capsys.readouterr()
    assert hanse("-q", "experiment", "run", path, "--out", "out", "--workers", "1", *engine) == 130
    assert capsys.readouterr().err.rstrip("\n").endswith(" ".join(["resume out", *engine]))
