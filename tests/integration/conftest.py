"""A small federation from scratch: four made-up shops and an encoder of a few thousand random weights."""

from collections.abc import Callable
from pathlib import Path

import pytest

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
