"""The study from its cells to its report. Each finished cell is a file: a stopped study goes on where it was."""

import json
import shlex
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from common import console
from common.errors import ConfigError, EnvironmentProblem, Problem
from common.files import locked, write_atomically
from scenarios.experiments.jobs import Tell, crew, processors
from scenarios.experiments.utility.figures import references, rows
from scenarios.experiments.utility.report import UtilityReport, write_report
from scenarios.experiments.utility.study import Cell, Study, cells
from scenarios.experiments.utility.training import Trial


@dataclass(frozen=True, slots=True)
class Outcome:
    """The report and where its page is."""

    report: UtilityReport
    page: Path


def run_study(study: Study, out: Path, workers: int | None = None) -> Outcome:
    """Run what is left of ``study`` in ``out`` and write its report there.

    Raises:
        ConfigError: when another study was begun there.
        EnvironmentProblem: when it cannot be written, or another run is at work there.
        HanseError: the first reason why a cell failed; finished cells stay.
    """
    asked = out / "study.json"
    _open(asked, study)
    again = f"the same command and --out {shlex.quote(str(out))}"
    try:
        with locked(asked, wait=False), console.resumable(again), crew(workers or processors()) as run:
            jobs = [partial(train_job, study, out, cell) for cell in cells(study)]
            with console.progress(f"training {len(jobs)} models") as update:
                done: set[int] = set()

                def told(job: int, _parts: int) -> None:
                    done.add(job)
                    update(len(done), len(jobs))

                run(jobs, told)
            return _report(study, out)
    except BlockingIOError as error:
        raise EnvironmentProblem(
            "another run is at work here", where=str(out), hint="wait for it, or choose another --out"
        ) from error


def _report(study: Study, out: Path) -> Outcome:
    with console.progress("writing the report"):
        oracle, zero = references(Trial.of(study))
        found = rows(study, zero.quality.mean, partial(quality_of, out))
        report = UtilityReport(study, oracle, zero, found)
        return Outcome(report, write_report(report, out))


def train_job(study: Study, out: Path, cell: Cell, told: Tell) -> None:
    """One cell, unless its file is there, in whatever process."""
    path = _file(out, cell)
    if not path.exists():
        quality = float(Trial.of(study).trained(cell).mean())
        write_atomically(path, json.dumps({"ndcg@10": quality}).encode(), mode=0o644)
    told(1)


def quality_of(out: Path, cell: Cell) -> float:
    """Mean NDCG@10 over the test users that a finished cell reached."""
    return float(json.loads(_file(out, cell).read_bytes())["ndcg@10"])


def _file(out: Path, cell: Cell) -> Path:
    return out / "cells" / f"{cell.slug}.json"


def _open(asked: Path, study: Study) -> None:
    content = study.model_dump_json(indent=2).encode()
    try:
        (asked.parent / "cells").mkdir(parents=True, exist_ok=True)
        if not asked.exists():
            write_atomically(asked, content, mode=0o644)
        if asked.read_bytes() != content:
            problem = Problem(str(asked.parent), "another study was begun here", "choose another --out")
            raise ConfigError((problem,))
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise EnvironmentProblem(
            "the results cannot be kept", where=str(asked.parent), why=why, hint="choose another --out"
        ) from error
