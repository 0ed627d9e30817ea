"""The same experiment in one process and under Flower's engine, and what happens when it cannot be."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from common.certificate.certificate import Certificate
from common.certificate.check import faults
from common.certificate.model_file import require_file
from common.errors import EnvironmentProblem, PrivacyRefused
from common.robust import RobustTerms
from common.secagg.groups import LEAST_PLATFORMS
from scenarios.experiments.federation import Federation, found
from scenarios.experiments.ground import stand, survey
from scenarios.experiments.processes import marked
from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec
from server.certify import CERTIFICATE, MODEL
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
    for name in ("alone", "flower"):
        run = tmp_path / name / "server"
        certificate, model = Certificate.load(run / CERTIFICATE), (run / MODEL).read_bytes()
        assert faults(certificate, model=model) == ()
        assert len({word.code for word in certificate.attestations}) == 1
        assert require_file(certificate.statement.model, model).tobytes() == flower.state.average.tobytes()
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


@pytest.mark.slow
@pytest.mark.timeout(600)  # nine sites, each a process that loads PyTorch
def test_groups_are_drawn_and_summed_apart_under_flower_as_in_one_process(
    shops: Callable[..., ExperimentSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANSE_CACHE", str(tmp_path / "cache"))
    first = Path(shops(tmp_path).platforms[0])
    quays = [tmp_path / f"quay-{number}.toml" for number in range(LEAST_PLATFORMS)]
    for quay in quays:
        quay.write_text(first.read_text().replace(f'name = "{first.stem}"', f'name = "{quay.stem}"'))
    robust = RobustTerms(norm_bound=1e6, statistic="mean")
    spec = shops(tmp_path, platforms=tuple(map(str, quays)), rounds=1, robust=robust)
    ground = stand(spec, survey(spec))
    alone = found(ground, Cell("federated", 1, None), tmp_path / "alone").conduct(lambda outcome: None)
    flower = found(ground, Cell("federated", 1, None), tmp_path / "flower").conduct_under_flower(
        lambda outcome: None
    )
    for sailed in (alone, flower):
        (round_,) = sailed.outcomes
        assert sorted(name for group in round_.groups for name in group.platforms) == [q.stem for q in quays]
        assert [group.excluded for group in round_.groups] == ["", ""]
        assert len(round_.survivors) == LEAST_PLATFORMS
        assert not round_.dropped
    assert flower.state.parameters.tobytes() == alone.state.parameters.tobytes()
