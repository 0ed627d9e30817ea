"""The documents about scenarios: every key has its row, every example runs."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from common.cli import build, run
from common.model.training import LocalTraining
from scenarios.platforms.registry import load_scenario
from scenarios.platforms.spec import Columns, Items, Relations, ScenarioSpec, Source, SplitRule

DOCS = Path(__file__).parents[2] / "docs"
TABLES: dict[str, type[BaseModel]] = {
    "[source]": Source,
    "[columns]": Columns,
    "[items]": Items,
    "[split]": SplitRule,
    "[training]": LocalTraining,
    "[relations]": Relations,
}


def sections(text: str) -> dict[str, str]:
    return {
        head.strip(" `"): body for head, body in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    }


@pytest.mark.parametrize("table", TABLES)
def test_the_reference_has_every_key_and_no_other(table: str) -> None:
    body = sections((DOCS / "reference" / "scenario.md").read_text())[table]
    assert set(re.findall(r"^\| `(\w+)`", body, re.M)) == set(TABLES[table].model_fields)


def test_the_reference_has_the_top_level_and_every_table() -> None:
    found = sections((DOCS / "reference" / "scenario.md").read_text())
    keys = set(re.findall(r"^\| `(\w+)`", found["Top level"], re.M))
    assert keys | {table.strip("[]") for table in TABLES} == set(ScenarioSpec.model_fields)


@pytest.mark.parametrize("model", [Columns, SplitRule, LocalTraining])
def test_the_reference_knows_the_defaults(model: type[BaseModel]) -> None:
    text = (DOCS / "reference" / "scenario.md").read_text()
    for name, field in model.model_fields.items():
        if isinstance(field.default, str | int | float):
            (row,) = re.findall(rf"^\| `{name}` \|.*$", text, re.M)
            shown = row.split("|")[3].strip(' `"')
            assert shown == (field.default if isinstance(field.default, str) else f"{field.default:g}"), name


def test_the_guide_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HANSE_QUIET", "")
    text = (DOCS / "how-to" / "own-data.md").read_text()
    blocks = dict(re.findall(r"^```(csv|toml)\n(.*?)^```", text, re.M | re.S))
    commands = re.findall(r"^\$ hanse (.*)\n(.*)$", text, re.M)
    Path("orders.csv").write_text(blocks["csv"])
    (new, drafted), (check, kept) = commands
    assert run(build(), new.split()) == 0
    assert capsys.readouterr().out.strip() == drafted
    guess, declared = load_scenario("orders.toml"), tmp_path / "declared.toml"
    declared.write_text(blocks["toml"])
    assert guess.columns == load_scenario(declared).columns
    assert guess.items == load_scenario(declared).items
    declared.rename("orders.toml")
    assert run(build(), check.split()) == 0
    out = capsys.readouterr().out
    assert out.startswith(kept + "\n")
    assert out.endswith("conforms\n")
