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
    events, items, *_ = re.findall(r"^```csv\n(.*?)^```", text, re.M | re.S)
    finished, *_ = re.findall(r"^```toml\n(.*?)^```", text, re.M | re.S)
    (source,) = re.findall(r"^```text\n(.*?)^```", text, re.M | re.S)
    (new, drafted), *checks = re.findall(r"^\$ hanse (.*)\n(.*)$", text, re.M)
    Path("orders.csv").write_text(events)
    Path("items.csv").write_text(items)
    assert run(build(), new.split()) == 0
    assert capsys.readouterr().out.strip() == drafted
    guess = load_scenario("orders.toml")
    Path("finished.toml").write_text(finished)
    assert _unedited(guess) == _unedited(load_scenario("finished.toml"))
    public = re.sub(r"^\[source\]\n.*?\n(?=\n)", source, finished, flags=re.M | re.S)
    for (check, kept), content in zip(checks, (finished, public), strict=True):
        Path("orders.toml").write_text(content)
        assert run(build(), check.split()) == 0
        out = capsys.readouterr().out
        assert out.startswith(kept + "\n")
        assert out.endswith("conforms\n")
        assert ("read from the events" in out) == (content is finished)


def _unedited(scenario: ScenarioSpec) -> dict[str, object]:
    """All but what the guide changes in the draft: the description and the two numbers of days."""
    return scenario.model_dump(exclude={"description": True, "split": {"validation_days", "test_days"}})
