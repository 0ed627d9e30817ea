"""Too few survivors: exit 4 with the reason, no sum, no gap in any ledger; and the command afterwards goes on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clients.config import SiteFolder
from clients.site import Site
from common.cli import build, run
from common.deltas import AdapterDelta, Floats
from common.errors import DataError
from scenarios.experiments.spec import ExperimentSpec
from server.checkpoint import RunFolder

EXPERIMENT = """
title = "four shops"
platforms = {platforms}
rounds = 3
systems = ["federated"]
model = {{ size = "tiny", features = 16, encoder = "{encoder}" }}
privacy = {{ epsilons = [0.5], unprotected = false, spare = 2 }}
"""


@pytest.fixture
def experiment(
    shops: Callable[..., ExperimentSpec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    monkeypatch.setenv("HANSE_CACHE", str(tmp_path / "cache"))
    spec = shops(tmp_path)
    path = tmp_path / "experiment.toml"
    encoder = tmp_path / "encoder"
    path.write_text(EXPERIMENT.format(platforms=list(spec.platforms), encoder=encoder))
    yield path


def test_a_void_round_ends_with_4_and_the_next_command_finishes(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In round 2 two of four platforms fail once their charge is made: two are left where three are needed."""
    trained, out = Site._train, str(tmp_path / "out")

    def failing(site: Site, model: Floats, number: int) -> AdapterDelta:
        if number == 2 and site._member.platform in ("salt", "timber"):
            raise DataError("no rows today")
        return trained(site, model, number)

    with monkeypatch.context() as patch:
        patch.setattr(Site, "_train", failing)
        command = ["experiment", "run", str(experiment), "--out", out, "--workers", "1"]
        assert run(build(), command) == 4
    told = " ".join(capsys.readouterr().err.split())
    assert "Too few platforms are left for a sum that hides each of them" in told
    assert "2 of 4 are left, at least 3 needed" in told
    assert "hint: Wait until more platforms are within reach" in told

    (server,) = (tmp_path / "out" / "cells").glob("*/server")
    assert RunFolder(server).latest().round == 1
    assert not list((tmp_path / "out").glob("report.*"))
    sites = [SiteFolder(path) for path in sorted((server.parent / "sites").iterdir())]
    assert [charged(site) for site in sites] == [[1, 2]] * 4

    assert run(build(), ["experiment", "resume", out, "--workers", "1"]) == 0
    checkpoint = RunFolder(server).latest()
    assert [outcome.number for outcome in checkpoint.outcomes] == [1, 2, 3]
    assert [outcome.attempt for outcome in checkpoint.outcomes] == [1, 3, 4]
    assert all(len(outcome.survivors) == 4 for outcome in checkpoint.outcomes)
    assert [charged(site) for site in sites] == [[1, 2, 2, 3]] * 4
    for site in sites:
        assert site.ledger().spent().prv <= site.ledger().ceiling.epsilon
    assert (tmp_path / "out" / "report.html").exists()


def charged(site: SiteFolder) -> list[int]:
    """The rounds in the ledger, whose chain holds and whose entries are numbered without a gap."""
    ledger = site.ledger()
    ledger.verify()
    entries = ledger.entries()
    assert [entry.counter for entry in entries] == list(range(1, len(entries) + 1))
    assert len({(entry.charge.round, entry.charge.attempt) for entry in entries}) == len(entries)
    return [entry.charge.round for entry in entries]
