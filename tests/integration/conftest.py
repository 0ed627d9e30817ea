"""A small federation from scratch: four made-up shops and an encoder of a few thousand random weights."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from common.cli import build, run
from scenarios.experiments.federation import Federation, found
from scenarios.experiments.ground import stand, survey
from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec


@pytest.fixture
def federation(
    shops: Callable[..., ExperimentSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Federation]:
    """Makes a federation of the shops in a folder of the given name; two with one seed are alike."""
    monkeypatch.setenv("HANSE_CACHE", str(tmp_path / "cache"))
    spec = shops(tmp_path, rounds=3, replay_days=7, privacy={"ceiling": 0.5, "spare": 3})
    ground = stand(spec, survey(spec))

    def make(name: str, epsilon: float | None = None) -> Federation:
        return found(ground, Cell("federated", 1, epsilon), tmp_path / name)

    return make


@pytest.fixture
def verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[str]]]:
    """The exit code of ``hanse verify`` on a certificate's text, and the reasons that it gives, in their order."""

    def ask(text: bytes, *options: str | Path) -> tuple[int, list[str]]:
        path = tmp_path / "told.json"
        path.write_bytes(text)
        capsys.readouterr()
        code = run(build(), ["verify", str(path), *map(str, options), "--json"])
        told = json.loads(capsys.readouterr().out)
        assert told["holds"] == (code == 0)
        return code, [fault["reason"] for fault in told["faults"]]

    return ask
