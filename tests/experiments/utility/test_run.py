"""``hanse experiment utility``: one command from nothing to a picture, and nothing is trained twice."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from common.cli import build, run
from common.errors import ConfigError
from scenarios.experiments.utility import training
from scenarios.experiments.utility.runner import run_study
from scenarios.experiments.utility.study import FAST


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("utility") / "fast"
    assert run(build(), ["experiment", "utility", "--fast", "--out", str(out), "--workers", "1"]) == 0
    return out


def test_it_writes_a_page_its_picture_and_its_figures(done: Path) -> None:
    found = {path.name for path in done.iterdir() if not path.name.startswith(".")}
    assert found == {"study.json", "cells", "report.html", "report.json", "report.md", "utility.svg"}


def test_the_figures_lie_between_nothing_and_the_best_possible(done: Path) -> None:
    report = json.loads((done / "report.json").read_text("utf-8"))
    oracle, zero_shot = (one["quality"] for one in report["references"])
    reached = {row["system"]: row["quality"]["mean"] for row in report["rows"]}
    assert zero_shot["mean"] < reached["private"] < reached["clipped"] < oracle["high"]
    assert zero_shot["mean"] < reached["open"] < oracle["high"]
    assert report["study"]["crowds"][0]["users"] == 300
    assert all(len(row["repeats"]) == 2 for row in report["rows"])


def test_the_picture_is_a_file_of_its_own_with_every_system_and_level(done: Path) -> None:
    picture = ET.fromstring((done / "utility.svg").read_text("utf-8"))  # noqa: S314 - written above by ourselves
    text = " ".join(picture.itertext())
    for shown in ("ε = 8", "clipped, σ = 0", "not clipped", "oracle", "zero-shot", "300 users"):
        assert shown in text
    assert len(picture.findall(".//{http://www.w3.org/2000/svg}polyline")) == 1


def test_page_and_letter_say_the_same_sentence_and_load_nothing(done: Path) -> None:
    answer = json.loads((done / "report.json").read_text("utf-8"))["answer"]
    assert answer.startswith("At ε = 8 a model keeps ")
    page = (done / "report.html").read_text("utf-8")
    assert answer in (done / "report.md").read_text("utf-8")
    assert answer in page.replace("\N{NO-BREAK SPACE}", " ")
    assert "<script" not in page and "http" not in page


def test_what_is_finished_is_not_trained_again(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (done / "report.json").read_bytes()
    monkeypatch.setattr(training, "fit", None)
    monkeypatch.setattr(training, "train", None)
    run_study(FAST, done, 1)
    assert (done / "report.json").read_bytes() == before


def test_a_folder_of_another_study_is_refused(done: Path) -> None:
    with pytest.raises(ConfigError, match="another study was begun here"):
        run_study(FAST.model_copy(update={"clip": 2.0}), done, 1)
