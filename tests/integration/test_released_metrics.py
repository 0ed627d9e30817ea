"""Metrics that a federation releases: one more round after training, charged before any data are read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clients.metrics import sum_of
from common.certificate.certificate import Certificate
from common.certificate.check import faults
from common.errors import AggregationAborted
from common.evaluation import METRICS, SYSTEMS, ReleasedMetrics
from common.model.scorer import Scorer
from common.requests import AdvertiseRequest
from scenarios.experiments.channel import InProcessChannel
from scenarios.experiments.federation import found
from scenarios.experiments.ground import stand, survey
from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec
from server.certify import CERTIFICATE
from server.checkpoint import Checkpoint
from server.rounds import conduct

Shops = Callable[..., ExperimentSpec]


@pytest.fixture
def ground(shops: Shops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HANSE_CACHE", str(tmp_path / "cache"))
    spec = shops(tmp_path, metrics={"share": 0.5}, privacy={"ceiling": 40.0, "epsilons": (8.0,), "spare": 1})
    return stand(spec, survey(spec))


def pooled(ground: Any, checkpoint: Checkpoint) -> ReleasedMetrics:
    """From all platforms' rows, in one place."""
    scorer = Scorer(checkpoint.released, ground.spec.model.size)
    sums = [
        sum_of(scorer, ground.data(name).features(ground.basis), ground.data(name).platform.split.test)
        for name in ground.scenarios
    ]
    return ReleasedMetrics.of(np.sum(sums, axis=0), 0.0)


def test_with_privacy_off_they_are_those_of_all_rows_in_one_place(ground: Any, tmp_path: Path) -> None:
    federation = found(ground, Cell("federated", 1, None), tmp_path / "open")
    checkpoint = federation.conduct(lambda outcome: None)
    exact, told = pooled(ground, checkpoint), checkpoint.metrics
    assert told is not None
    assert told.users == pytest.approx(exact.users, abs=1e-3)
    for system in SYSTEMS:
        for metric in METRICS:
            assert told.means[system][metric] == pytest.approx(exact.means[system][metric], abs=1e-4)
    assert told.means["text"]["recall@10"] > 0
    assert federation.run.latest().metrics == told


def test_they_are_charged_after_the_last_round_and_within_the_same_ceiling(
    ground: Any, tmp_path: Path
) -> None:
    federation = found(ground, Cell("federated", 1, 8.0), tmp_path / "private")
    checkpoint = federation.conduct(lambda outcome: None)
    assert checkpoint.metrics is not None
    charter = federation.run.charter()
    for name, site in federation.sites.items():
        releases = [entry.charge.release for entry in site.ledger().entries()]
        assert releases == ["training", "training", "metrics"]
        assert site.ledger().history()[-1] == charter.mechanism(name, "metrics")
        assert site.ledger().spent().prv <= 8.0
    certificate = Certificate.load(federation.run.path / CERTIFICATE)
    assert faults(certificate) == ()
    assert [record.name for record in certificate.statement.rounds] == ["train/1", "train/2", "metrics/1"]
    assert certificate.statement.final == "train/2"
    assert certificate.statement.rounds[-1].model == certificate.statement.model.values
    assert {word.finished[-1] for word in certificate.attestations} == {"metrics/1"}


class Deaf:
    """A channel over which nobody answers a round of metrics."""

    def __init__(self, inner: InProcessChannel) -> None:
        self._inner = inner

    def addresses(self) -> Any:
        return self._inner.addresses()

    def ask(self, requests: Any, timeout: float) -> Any:
        metrics = [
            frame
            for frame in requests.values()
            if frame.kind == AdvertiseRequest.kind and AdvertiseRequest.parse(frame).purpose == "metrics"
        ]
        return {} if metrics else self._inner.ask(requests, timeout)


def test_a_void_round_of_metrics_loses_no_round_of_training(ground: Any, tmp_path: Path) -> None:
    from clients.site import Site

    federation = found(ground, Cell("federated", 1, 8.0), tmp_path / "private")
    charter = federation.run.charter()
    sites = [Site(site, site.engagement(charter)).handle for site in federation.sites.values()]
    channel = InProcessChannel(sites)
    with pytest.raises(AggregationAborted):
        conduct(Deaf(channel), federation.run, lambda outcome: None)
    kept = federation.run.latest()
    assert (kept.round, kept.metrics) == (charter.rounds, None)
    again = conduct(channel, federation.run, lambda outcome: None)
    assert again.metrics is not None
    assert again.state.parameters.tobytes() == kept.state.parameters.tobytes()
    for site in federation.sites.values():
        releases = [entry.charge.release for entry in site.ledger().entries()]
        assert releases == ["training", "training", "metrics"]
