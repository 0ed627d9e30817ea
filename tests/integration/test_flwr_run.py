"""The same experiment in one process and under Flower's engine, and what happens when it cannot be."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from common.errors import EnvironmentProblem, PrivacyRefused
from scenarios.experiments.federation import Federation
from scenarios.experiments.processes import marked
from server.outcome import RoundOutcome
from server.verify import verify_round

pytest.importorskip("ray", reason="Flower's engine is the extra 'ray'")

Make = Callable[..., Federation]


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """After each test none of the processes that it started are there."""
    yield
    assert marked(str((tmp_path / "flower" / "server" / "flower" / "logs").resolve())) == []


@pytest.mark.slow
def test_flower_gives_the_same_vector_bit_for_bit_and_its_rounds_hold(
    federation: Make, tmp_path: Path
) -> None:
    watched: list[RoundOutcome] = []
    alone = federation("alone").conduct(lambda outcome: None)
    flower = federation("flower").conduct_under_flower(watched.append)
    assert [outcome.number for outcome in watched] == [1, 2, 3]
    assert all(len(outcome.survivors) == 4 and not outcome.dropped for outcome in watched)
    assert np.abs(flower.state.parameters).max() > 0
    assert flower.state.parameters.tobytes() == alone.state.parameters.tobytes()
    assert flower.state.average.tobytes() == alone.state.average.tobytes()
    replays = sorted((tmp_path / "flower" / "server" / "replays").iterdir())
    site = tmp_path / "flower" / "sites" / "salt"
    assert [verify_round(replay, site).moments_followed for replay in replays] == [True] * 3


@pytest.mark.slow
def test_a_refusal_comes_back_as_one(federation: Make) -> None:
    """The ceiling of 0.5 is below the plan's ε of 8: every site refuses, and the run says so."""
    with pytest.raises(PrivacyRefused, match="the sites refuse this round"):
        federation("flower", epsilon=8.0).conduct_under_flower(lambda outcome: None)


@pytest.mark.slow
def test_a_site_that_cannot_start_is_named(federation: Make, tmp_path: Path) -> None:
    founded = federation("flower")
    (founded.sites["salt"].path / "site.key").unlink()
    with pytest.raises(EnvironmentProblem, match=r"salt ended with exit code 5.*no usable site key"):
        founded.conduct_under_flower(lambda outcome: None)
