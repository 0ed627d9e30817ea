import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import polars as pl
import pytest
from jsonschema import Draft202012Validator

from scenarios.experiments.report import (
    METRICS_SCHEMA,
    BlendWeight,
    Cell,
    ExperimentRecord,
    Report,
    build_report,
    write_report,
)
from scenarios.experiments.report.wording import percent_interval

MakeRecord = Callable[..., ExperimentRecord]
Written = tuple[Path, Report, ExperimentRecord]
EFFECTS = {"grocery": 0.06, "drugstore": 0.0, "fresh": 0.05, "video": 0.0}


@pytest.fixture(scope="module")
def written(make_record: MakeRecord, tmp_path_factory: pytest.TempPathFactory) -> Written:
    record = make_record(EFFECTS, seeds=2, epsilons=(None, 8.0, 1.0), scale=0.3)
    report = build_report(record)
    return write_report(report, record, tmp_path_factory.mktemp("report")), report, record


@pytest.fixture(scope="module")
def content(written: Written) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = json.loads(
        written[0].with_name("report.json").read_text("utf-8")
    )
    return found


def schema() -> dict[str, object]:
    text = (files("scenarios.experiments.report") / "schema.json").read_text("utf-8")
    found: dict[str, object] = json.loads(text)
    return found


def test_report_json_is_what_its_schema_says(content: dict[str, object]) -> None:
    Draft202012Validator.check_schema(schema())
    Draft202012Validator(schema()).validate(content)


def test_a_seed_under_privacy_says_that_it_is_the_number_of_a_repeat(
    content: dict[str, list[dict[str, object]]],
) -> None:
    for kind in ("rows", "gates", "rounds"):
        told = {(one["epsilon"] is None, one["seed"] is None, one["seed_is"]) for one in content[kind]}
        assert told - {(True, True, None), (False, True, None)} == {
            (True, False, "seed"),
            (False, False, "repeat number"),
        }


def test_the_page_keeps_seeds_and_repeat_numbers_apart(written: Written) -> None:
    text = " ".join(Page(written[0].read_text("utf-8")).text.split())
    assert re.search(
        r"Seeds.*federated: 0, 1.*Repeat numbers with ε, which are no seeds ?federated: 0, 1", text
    )


def test_the_schema_refuses_a_row_without_its_interval(content: dict[str, list[dict[str, object]]]) -> None:
    row = {key: value for key, value in content["rows"][0].items() if key != "low"}
    assert not Draft202012Validator(schema()).is_valid({**content, "rows": [row]})


def test_every_platform_and_system_has_every_metric_with_users_and_interval(
    content: dict[str, list[dict[str, object]]], written: Written
) -> None:
    cells = written[2].metrics.select("platform", "system", "epsilon", "slice", "metric").unique().rows()
    keys = ("platform", "system", "epsilon", "slice", "metric")
    assert {tuple(row[key] for key in keys) for row in content["rows"]} == set(cells)
    assert all(row["low"] <= row["mean"] <= row["high"] and row["users"] for row in content["rows"])  # type: ignore[operator]


def test_federated_rows_are_compared_with_every_alternative(
    content: dict[str, list[dict[str, object]]],
) -> None:
    compared = {
        row["difference_to"]
        for row in content["rows"]
        if row["system"] == "federated" and row["epsilon"] == 8.0
    }
    assert compared == {None, "alone", "zero-exchange", "local-only", "pooled", "federated"}


def test_the_joint_entry_and_bytes_by_platform_are_there(content: dict[str, list[dict[str, object]]]) -> None:
    joint = [entry for entry in content["privacy"] if entry["platform"] == "joint"]
    assert [(entry["epsilon_prv"], entry["platforms"]) for entry in joint] == [
        (14.56, ["grocery", "drugstore", "fresh"]),
        (1.74, ["grocery", "drugstore", "fresh"]),
    ]
    for entry in content["rounds"]:
        platforms: dict[str, dict[str, int]] = entry["platforms"]  # type: ignore[assignment]
        assert entry["bytes_up"] == sum(one["bytes_up"] for one in platforms.values())


def test_metrics_parquet_keeps_every_value(written: Written) -> None:
    page, _, record = written
    kept = pl.read_parquet(page.with_name("metrics.parquet"))
    assert kept.schema == METRICS_SCHEMA
    assert kept.equals(record.metrics)


class Page(HTMLParser):
    """Balanced tags, links that lead somewhere, nothing loaded from elsewhere."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.targets: list[str] = []
        self.loads: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.look(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.look(tag, attrs)

    def look(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.add(value or "")
            if name == "href":
                self.targets.append(value or "")
            if name in {"src", "srcset", "data", "poster", "xlink:href"} or tag in {
                "script",
                "link",
                "iframe",
            }:
                self.loads.append(f"{tag} {name}")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_one_small_file_that_loads_nothing(written: Written) -> None:
    text = written[0].read_text("utf-8")
    page = Page(text)
    assert len(text.encode()) < 1_000_000
    assert page.open == [] and page.loads == []
    assert all(target.startswith("#") and target[1:] in page.ids for target in page.targets)
    assert not re.search(r"url\(|@import|https?:", text)


def test_the_page_opens_with_the_answer(written: Written) -> None:
    _, report, _ = written
    text = Page(written[0].read_text("utf-8")).text.replace("\xa0", " ")
    headline, price = text.index(report.answer.headline), text.index(report.answer.price)
    assert report.answer.headline == "Yes for grocery and fresh, not shown for drugstore and video."
    sample = text.index("A quarter of the households took part")
    assert headline < price < sample < text.index("Would it help?")


@pytest.mark.parametrize(
    "said",
    [
        "Publishing it is itself not covered by any ε",
        "nobody can repeat it",
        "Each system, ε and repeat is a what-if",
        "one person on grocery, drugstore and fresh",
        "all records of one account on one platform",
        "add/remove one user",
        "cold, 0 events",
        "cold items",
        "Up against plain float32",
        "exact sum of the others",
        "Smallest difference",
        "opacus 1.6.0",
        "A quarter of the households took part",
    ],
)
def test_the_page_says(written: Written, said: str) -> None:
    assert said in " ".join(Page(written[0].read_text("utf-8")).text.split())


def test_the_same_record_gives_the_same_report(written: Written) -> None:
    _, report, record = written
    assert build_report(record) == report


HOSTILE = '<script>alert("1")</script>|**x**'


def test_text_from_outside_is_escaped_everywhere(make_record: MakeRecord, tmp_path: Path) -> None:
    record = make_record(0.0, platforms=("grocery", "fresh"), epsilons=(8.0,), scale=0.1)
    told = {"title": HOSTILE, "source": HOSTILE, "dropped_rows": {HOSTILE: 1}}
    facts = tuple(replace(one, **told) for one in record.setting.platforms)
    record = replace(
        record,
        setting=replace(record.setting, title=HOSTILE, limits=(HOSTILE,), platforms=facts),
        gates=tuple(replace(gate, reason=HOSTILE) for gate in record.gates),
        rounds=tuple(replace(entry, void=HOSTILE) for entry in record.rounds),
        versions={HOSTILE: HOSTILE},
        metrics=record.metrics.with_columns(pl.col("system").replace("popularity", HOSTILE)),
    )
    page = write_report(build_report(record), record, tmp_path)
    assert "<script" not in page.read_text("utf-8")
    assert "&lt;script&gt;" in page.read_text("utf-8")
    markdown = page.with_name("report.md").read_text("utf-8")
    assert "<script" not in markdown and "**x**" not in markdown


@pytest.mark.parametrize("left_out", ["gates", "privacy", "rounds"])
def test_a_page_can_be_made_without(make_record: MakeRecord, tmp_path: Path, left_out: str) -> None:
    record = replace(
        make_record(0.0, epsilons=(8.0,), scale=0.05, platforms=("grocery", "fresh")), **{left_out: ()}
    )
    page = write_report(build_report(record), record, tmp_path)
    assert page.read_text("utf-8").endswith("</html>\n")


def test_gates_that_could_not_open_leave_the_question_open(make_record: MakeRecord) -> None:
    record = make_record(0.0, epsilons=(8.0,), scale=0.05, closed=True, platforms=("grocery", "fresh"))
    blind = tuple(replace(gate, low=-1.0, high=1.0) for gate in record.gates if gate.platform == "fresh")
    others = tuple(gate for gate in record.gates if gate.platform != "fresh")
    report = build_report(replace(record, gates=others + blind))
    assert {(f.platform, f.untested) for f in report.findings} == {("grocery", False), ("fresh", True)}
    assert "fresh cannot be resolved" in report.answer.headline


def test_a_gate_without_validation_users_has_no_row_but_a_sentence(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    record = make_record(0.0, epsilons=(8.0,), scale=0.05, platforms=("grocery", "video"))
    nothing = {"task": "repurchase", "weight": 0.0, "gain": 0.0, "low": -1.0, "high": 1.0}
    none = [replace(gate, users=0, reason="asked nobody", **nothing) for gate in record.gates]
    few = replace(none[0], users=12, reason="twelve are too few")
    record = replace(record, gates=(*record.gates, few, none[1]))
    text = " ".join(
        Page(write_report(build_report(record), record, tmp_path).read_text("utf-8")).text.split()
    )
    assert "video has no gate for the task repurchase" in text and "asked nobody" not in text
    assert "grocery has no gate" not in text
    assert "12 too few users" in text and "twelve are too few" in text
    assert "−1.0000 to +1.0000" not in text
    Draft202012Validator(schema()).validate(json.loads((tmp_path / "report.json").read_text("utf-8")))


def test_a_gate_for_another_task_or_system_does_not_stand_for_one_that_could_not_open(
    make_record: MakeRecord,
) -> None:
    """Users enough to judge repurchases say nothing of new items, nor does the warm start's gate."""
    record = make_record(0.0, epsilons=(8.0,), scale=0.05, closed=True, platforms=("grocery", "fresh"))
    blind = [replace(gate, low=-1.0, high=1.0, users=3) for gate in record.gates]
    others = [replace(gate, task="repurchase") for gate in record.gates]
    warm = [replace(gate, cell=replace(gate.cell, system="federated-warm")) for gate in record.gates]
    report = build_report(replace(record, gates=(*blind, *others, *warm)))
    assert [finding.untested for finding in report.findings] == [True, True]
    assert [finding.untested for finding in report.slices["repurchase"]] == [False, False]
    assert [finding.untested for finding in report.slices["light"]] == [True, True]


def test_closed_gates_everywhere_make_a_report_worth_reading(make_record: MakeRecord, tmp_path: Path) -> None:
    record = make_record(0.0, epsilons=(None, 8.0), scale=0.2, closed=True, platforms=("grocery", "fresh"))
    report = build_report(record)
    text = " ".join(Page(write_report(report, record, tmp_path).read_text("utf-8")).text.split())
    assert report.answer.headline.startswith("No: every do-no-harm gate stayed closed")
    assert "unchanged for grocery and fresh" in report.answer.evidence
    assert "gate closed; as for pooled" in text
    assert "0.0 to 0.0" not in text, "a gate that stayed closed is no exact measurement"
    assert "unchanged" in text and "The ε is spent all the same." in text
    Draft202012Validator(schema()).validate(json.loads((tmp_path / "report.json").read_text("utf-8")))


def test_a_ledger_that_goes_on_from_run_to_run_is_labelled(make_record: MakeRecord, tmp_path: Path) -> None:
    record = make_record(0.0, platforms=("grocery", "fresh"), epsilons=(8.0,), scale=0.05)
    record = replace(record, privacy=tuple(replace(entry, whole_ledger=True) for entry in record.privacy))
    page = write_report(build_report(record), record, tmp_path)
    text = " ".join(Page(page.read_text("utf-8")).text.split())
    assert "Planned for ε = 8: the whole of a ledger" in text and "is a what-if" not in text
    assert "| ε = 8 (whole ledger) | grocery |" in page.with_name("report.md").read_text("utf-8")


def test_an_experiment_without_privacy_says_so(make_record: MakeRecord, tmp_path: Path) -> None:
    record = make_record(0.0, epsilons=(None,), scale=0.05, platforms=("grocery",))
    text = Page(write_report(build_report(record), record, tmp_path).read_text("utf-8")).text
    assert "must not leave the machine" in text
    assert "Nothing was charged" in text


def test_nothing_federated_is_said_and_not_hidden(make_record: MakeRecord, tmp_path: Path) -> None:
    record = make_record(0.0, epsilons=(), scale=0.05, platforms=("grocery",))
    text = Page(write_report(build_report(record), record, tmp_path).read_text("utf-8")).text
    assert "Nothing was compared" in text


def test_markdown_holds_the_answer_and_the_ledger(written: Written) -> None:
    _, report, _ = written
    text = written[0].with_name("report.md").read_text("utf-8")
    assert report.answer.headline in text
    assert "| ε = 8 | one person on grocery, drugstore and fresh | 14.6 |" in text
    assert "not covered by any epsilon" in text


@pytest.fixture(scope="module")
def overtaken(make_record: MakeRecord, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """EASE is better than the standalone choice on grocery, by more than federation gains there."""
    record = make_record(EFFECTS, epsilons=(8.0,), scale=0.2)
    ease = (pl.col("system") == "ease") & (pl.col("platform") == "grocery")
    better = pl.when(ease).then(pl.col("value") * 1.3).otherwise(pl.col("value"))
    cells = [("local-only", 0, None), ("federated", 0, 8.0), ("federated", 1, 8.0), ("alone", 0, None)]
    weights = [
        BlendWeight(platform, Cell(*cell), task, weight)
        for platform, largest in (("grocery", 0.35), ("fresh", 1.7))
        for cell in cells
        for task, weight in (("new", largest * cell[1]), ("repurchase", 3.0))
    ]
    record = replace(record, metrics=record.metrics.with_columns(value=better), weights=tuple(weights))
    report = build_report(record)
    return write_report(report, record, tmp_path_factory.mktemp("overtaken")), report, record


def test_a_reader_is_told_what_would_have_been_better_alone(overtaken: Written) -> None:
    page, report, _ = overtaken
    text = " ".join(Page(page.read_text("utf-8")).text.replace("\xa0", " ").split())
    letter = page.with_name("report.md").read_text("utf-8")
    assert "But EASE on grocery, run alone, had a higher mean on the test users." in report.answer.headline
    assert "Alone, EASE reached" in text and "Picked by their means on the test users" in text
    ease = report.alternatives[0]
    uplift, against = percent_interval(*ease.relative), percent_interval(*(ease.federated_relative or ()))
    assert f"| grocery | EASE | {ease.users} | {uplift} | {against} |" in letter
    assert uplift.replace("(", "").replace(")", "") in text


def test_programs_are_told_too(overtaken: Written) -> None:
    page, report, _ = overtaken
    told = json.loads(page.with_name("report.json").read_text("utf-8"))
    Draft202012Validator(schema()).validate(told)
    one = next(one for one in told["alternatives"] if one["system"] == "ease")
    (row,) = (
        row
        for row in told["rows"]
        if (row["platform"], row["system"], row["slice"], row["metric"], row["difference_to"])
        == ("grocery", "ease", "new", "ndcg@10", "alone")
    )
    assert [one[key] for key in ("difference", "low", "high")] == [
        row[key] for key in ("difference", "difference_low", "difference_high")
    ]
    assert one["reference"] == "alone" and len(one["federated"]) == 3
    assert len(told["alternatives"]) == len(report.alternatives)


def test_the_weights_of_each_platform_and_system_are_on_page_letter_and_json(overtaken: Written) -> None:
    page, _, _ = overtaken
    letter = page.with_name("report.md").read_text("utf-8")
    assert "| local-only | no DP | 0 | – | 0 | – |" in letter
    assert "| federated | ε = 8 | 0, 0.35 | – | 0, 1.7 | – |" in letter
    figures = page.read_text("utf-8").split('<section id="figures">')[1]
    rows = re.findall(r"<tr><th scope=\"row\">([^<]*)<.*?</th>\s*<td>([^<]*)</td><td>([^<]*)</td>", figures)
    assert ("federated", "8", "0, 0.35") in rows and ("federated", "8", "0, 1.7") in rows
    assert ("EASE", "–", "–") in rows
    told = json.loads(page.with_name("report.json").read_text("utf-8"))["weights"]
    assert {
        "platform": "fresh",
        "system": "federated",
        "seed": 1,
        "seed_is": "repeat number",
        "epsilon": 8.0,
        "task": "new",
        "weight": 1.7,
    } in told
    assert len(told) == 16


def test_where_nothing_else_is_better_that_is_said(make_record: MakeRecord, tmp_path: Path) -> None:
    record = make_record(0.0, epsilons=(8.0,), scale=0.1, platforms=("grocery", "fresh"))
    lower = pl.when(pl.col("system").is_in(["zero-exchange", "local-only"])).then(0.0)
    record = replace(record, metrics=record.metrics.with_columns(value=lower.otherwise(pl.col("value"))))
    page = write_report(build_report(record), record, tmp_path)
    for text in (page.read_text("utf-8"), page.with_name("report.md").read_text("utf-8")):
        assert "No other system that a platform could run alone had a higher mean" in text


def test_nobody_is_told_of_a_best_that_validation_chose(overtaken: Written) -> None:
    for path in overtaken[0].parent.glob("report.*"):
        text = path.read_text("utf-8")
        assert "standalone choice" in text
        assert not re.search(r"best (each |a platform )?(has )?alone", text)
