"""The forecast against a run that was really made, and that it needs no data."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients.config import CeilingConfig, SiteFolder
from common.privacy.accountant import epsilon_of
from common.privacy.ledger import Charge
from scenarios.experiments.folder import ExperimentFolder
from scenarios.experiments.forecast import as_document, as_text, forecast
from scenarios.experiments.ground import site_config
from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec
from server.checkpoint import RunFolder

# Bodies beside the vectors: adverts, sealed shares and signatures of four platforms, in base64 and JSON.
FRAMING = 8_000


def test_it_agrees_with_what_the_run_spent_and_sent(voyage: Any) -> None:
    found, folder = forecast(voyage.spec), ExperimentFolder(voyage.out)
    cell = Cell("federated", 1, 8.0)
    assert found.cells == len(list(folder.cells.glob("*"))) - len(list(folder.cells.glob("alone-*")))
    run = RunFolder(folder.cell(cell) / "server")
    assert found.parameters == run.charter().model.parameters == len(run.latest().state.parameters)
    for outcome in run.latest().outcomes:
        for name in found.plans[8.0]:
            assert 0 <= outcome.bytes_up[name] - found.bytes_up < FRAMING
            assert 0 <= outcome.bytes_down[name] - found.bytes_down < FRAMING
    for entry in json.loads((voyage.out / "report.json").read_text())["privacy"]:
        plan = found.plans[8.0][entry["platform"]]
        assert entry["epsilon_prv"] == pytest.approx(plan.forecast().prv, abs=1e-9)
        assert entry["epsilon_pld"] == pytest.approx(plan.forecast().pld, abs=1e-9)
        assert entry["epsilon_rdp"] == pytest.approx(plan.forecast().rdp, abs=1e-9)


def test_it_needs_no_data_and_writes_nothing(shops: Callable[..., ExperimentSpec], tmp_path: Path) -> None:
    spec = shops(tmp_path, privacy={"epsilons": (8.0, 1.0), "repeats": 3})
    for path in (*tmp_path.glob("*.csv"), *(tmp_path / "encoder").iterdir()):
        path.unlink()
    before = sorted(tmp_path.rglob("*"))
    found = forecast(spec)
    assert sorted(tmp_path.rglob("*")) == before
    assert found.cells == 1 + 1 + 1 + 2 * 3
    assert set(found.plans) == {8.0, 1.0}
    assert found.processor_minutes > 0


def test_without_federated_systems_nothing_is_spent(
    shops: Callable[..., ExperimentSpec], tmp_path: Path
) -> None:
    spec = shops(tmp_path, systems=("local-only",))
    found = forecast(spec)
    assert (found.plans, found.joint) == ({}, {})
    assert as_document(spec, found)["privacy"] == []


def test_the_joint_figure_is_of_those_who_share_people(
    shops: Callable[..., ExperimentSpec], tmp_path: Path
) -> None:
    spec = shops(tmp_path)
    alone = forecast(spec).joint[8.0][1].prv
    for name, others in (("amber", ["herring", "salt"]), ("herring", ["salt"])):
        path = tmp_path / f"{name}.toml"
        path.write_text(path.read_text() + f"relations.shares_people_with = {others}\n")
    group, together = forecast(spec).joint[8.0]
    assert group == ("amber", "herring", "salt")
    assert alone <= 8.0 < together.prv


def test_it_is_told_in_words_and_for_programs(shops: Callable[..., ExperimentSpec], tmp_path: Path) -> None:
    spec = shops(tmp_path)
    found = forecast(spec)
    words = as_text(spec, found)
    assert words.startswith("four shops: 4 cells, 2 rounds, ")
    assert "ε ≤ 8  salt" in words
    assert words.endswith("nothing was read, nothing spent")
    document = as_document(spec, found)
    assert [entry["platform"] for entry in document["privacy"]] == ["amber", "herring", "salt", "timber"]
    assert document["bytes_down_per_round"] == 4 * document["parameters"]


def test_a_named_site_is_forecast_from_what_its_ledger_holds(
    shops: Callable[..., ExperimentSpec], tmp_path: Path
) -> None:
    privacy = {"epsilons": (1.0,), "unprotected": False, "spare": 0, "ceiling": 1.2}
    spec = shops(tmp_path, sites=str(tmp_path / "named"), privacy=privacy)
    path = tmp_path / "amber.toml"
    path.write_text(path.read_text() + 'relations.shares_people_with = ["salt"]\n')
    settings = site_config(spec, "salt").model_copy(
        update={"ceiling": CeilingConfig(epsilon=1.2, delta=1e-5)}
    )
    site = SiteFolder.create(tmp_path / "named" / "salt", settings)
    round_ = forecast(spec).plans[1.0]["salt"].per_round
    for number in (1, 2):
        site.ledger().charge(Charge("an earlier run", number, 1, "training", round_))

    found = forecast(spec)
    new, continued = found.accounts["amber"], found.accounts["salt"]
    assert (new.history, continued.history) == ((), (round_, round_))
    assert new.fits and not continued.fits
    assert continued.total == epsilon_of([round_] * 4, 1e-5)
    assert found.joint_accounts == (("amber", "salt"), epsilon_of([round_] * 6, 1e-5))
    assert continued.spent == new.total

    document, words = as_document(spec, found), as_text(spec, found)
    told = {entry["platform"]: entry for entry in document["sites"]}
    assert told["salt"]["epsilon_prv"] == continued.total.prv > told["salt"]["ceiling"]
    assert (told["amber"]["fits"], told["salt"]["fits"], told["salt"]["rounds_left"]) == (True, False, 0)
    left = told["amber"]["rounds_left"]
    assert epsilon_of([round_] * (2 + left), 1e-5).prv <= 1.2 < epsilon_of([round_] * (3 + left), 1e-5).prv
    assert document["joint_sites"] == pytest.approx(found.joint_accounts[1].prv)
    assert "which is refused" in next(line for line in words.splitlines() if "its ledger  salt" in line)
    assert len(site.ledger().entries()) == 2


def test_a_what_if_has_no_past(shops: Callable[..., ExperimentSpec], tmp_path: Path) -> None:
    spec = shops(tmp_path)
    found = forecast(spec)
    assert (found.accounts, found.joint_accounts) == ({}, None)
    assert "its ledger" not in as_text(spec, found)
