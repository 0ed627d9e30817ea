"""An experiment with robust terms: they reach the charter, the public score is the coordinator's, all is told."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from common.robust import RobustTerms
from scenarios.experiments.collect import _rounds
from scenarios.experiments.federation import found
from scenarios.experiments.folder import ExperimentFolder
from scenarios.experiments.ground import Ground, stand, survey
from scenarios.experiments.public import public_score
from scenarios.experiments.registry import load_experiment
from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec

Shops = Callable[..., ExperimentSpec]
OPEN = Cell("federated", 1, None)


@pytest.fixture
def ground(shops: Shops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ground]:
    monkeypatch.setenv("HANSE_CACHE", str(tmp_path / "cache"))

    def make(**terms: float) -> Ground:
        """The first three shops take part; the fourth is the public data set."""
        platforms = shops(tmp_path).platforms
        spec = shops(
            tmp_path, platforms=platforms[:3], public=platforms[3], robust={"rollback": 1.0, **terms}
        )
        return stand(spec, survey(spec))

    return make


def test_every_round_is_scored_on_the_public_data_and_the_same_parameters_score_the_same(
    ground: Callable[..., Ground], tmp_path: Path
) -> None:
    made = ground(norm_bound=1e6)
    federation = found(made, OPEN, tmp_path / "cell")
    assert federation.run.charter().robust == RobustTerms(norm_bound=1e6, rollback=1.0)
    sailed = federation.conduct(lambda outcome: None)
    last = sailed.outcomes[-1].score
    assert last is not None
    assert made.spec.public is not None
    assert public_score(made, made.spec.public)(sailed.state.parameters) == last.value
    assert 0 < last.value < 1
    assert all(outcome.refused == "" for outcome in sailed.outcomes)


def test_a_round_over_the_bound_changes_nothing_and_the_report_says_so(
    ground: Callable[..., Ground], tmp_path: Path
) -> None:
    made = ground(norm_bound=1e-6)
    folder = ExperimentFolder.open(tmp_path / "out", made.spec)
    sailed = found(made, OPEN, folder.cell(OPEN)).conduct(lambda outcome: None)
    assert np.allclose(sailed.state.parameters, made.initial, atol=1e-6)
    for entry in _rounds(folder, OPEN):
        (group,) = entry.groups
        assert entry.void == f"no sum within the norm bound: {group.excluded}"
        assert group.platforms == entry.cohort


def test_the_public_scenario_counts_from_the_experiments_folder(tmp_path: Path) -> None:
    path = tmp_path / "experiment.toml"
    for name in "abcd":
        (tmp_path / f"{name}.toml").touch()
    path.write_text(
        'title = "t"\nplatforms = ["a.toml", "b.toml", "c.toml"]\npublic = "d.toml"\n'
        "[robust]\nnorm_bound = 2\nrollback = 0.01\n"
    )
    spec = load_experiment(path)
    assert spec.public == str(tmp_path / "d.toml")
    assert spec.robust == RobustTerms(norm_bound=2, rollback=0.01)
