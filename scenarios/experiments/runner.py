"""An experiment from its specification to its report: forecast, ground, training, measuring, reporting."""

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from clients.platform_data import read_platform
from common import console
from scenarios.experiments import measuring, training
from scenarios.experiments.admission import admit, require_files
from scenarios.experiments.cells import cells
from scenarios.experiments.collect import collect
from scenarios.experiments.folder import ExperimentFolder
from scenarios.experiments.ground import declared, site_config
from scenarios.experiments.jobs import Run, Tell, crew, processors
from scenarios.experiments.report import Report, build_report, write_report
from scenarios.experiments.report.record import Cell
from scenarios.experiments.report.wording import counted
from scenarios.experiments.spec import ExperimentSpec
from scenarios.experiments.training import Engine


@dataclass(frozen=True, slots=True)
class Outcome:
    """The report and where its page is."""

    report: Report
    page: Path


def run_experiment(
    spec: ExperimentSpec, out: Path, *, engine: Engine = "process", workers: int | None = None
) -> Outcome:
    """Run what is left of the experiment in ``out`` and write its report there.

    ``engine``: sites in this process, or Flower's simulation engine with a process for each site.

    Raises:
        HanseError: the first reason why it cannot go on; everything finished so far stays.
    """
    began = time.monotonic()
    admit(spec, out)
    require_files(spec)
    folder = ExperimentFolder.open(out, spec)
    again = f"hanse experiment resume {shlex.quote(str(out))}{' --ray' if engine == 'ray' else ''}"
    with folder.alone(), console.resumable(again):
        # A crew for each: its processes end with it, and with them the memory that they needed.
        hands = 1 if engine == "ray" else workers or processors()
        with crew(hands) as run:
            _survey(folder, run)
        with crew(hands) as run:
            _train(folder, cells(spec), engine, run)
        with crew(hands) as run:
            _measure(folder, cells(spec), run)
        with console.progress("writing the report"):
            record = collect(folder.ground(), folder, cells(spec), minutes=(time.monotonic() - began) / 60)
            report = build_report(record)
            page = write_report(report, record, folder.path)
    return Outcome(report, page)


def _survey(folder: ExperimentFolder, run: Run) -> None:
    platforms = list(declared(folder.spec()))
    jobs = [partial(read_job, folder.path, platform) for platform in platforms]
    with console.progress("reading and encoding the platforms' catalogues") as update:
        run(jobs, _counted(update, [1] * len(jobs)))
        run([partial(survey_job, folder.path)], lambda job, done: None)


def _train(folder: ExperimentFolder, asked: Sequence[Cell], engine: Engine, run: Run) -> None:
    jobs = [partial(train_job, folder.path, cell, engine) for cell in asked]
    if kept := sum(training.is_trained(folder.cell(cell)) for cell in asked):
        console.say(
            f"{counted(kept, 'system')} of {len(jobs) - 1} are trained already and kept, in {folder.path}"
        )
    with console.progress(f"training {counted(len(jobs) - 1, 'system')}") as update:
        run(jobs, _counted(update, [folder.spec().rounds] * len(jobs)))


def _measure(folder: ExperimentFolder, asked: Sequence[Cell], run: Run) -> None:
    platforms = list(declared(folder.spec()))
    jobs = [partial(measure_job, folder.path, platform, asked) for platform in platforms]
    with console.progress(f"measuring {counted(len(asked), 'cell')} at {len(platforms)} platforms") as update:
        run(jobs, _counted(update, [len(asked)] * len(jobs)))


def _counted(update: console.Update, sizes: Sequence[int]) -> Callable[[int, int], None]:
    """Progress over all jobs from the progress of each."""
    done = [0] * len(sizes)

    def told(job: int, parts: int) -> None:
        done[job] = parts
        update(sum(done), sum(sizes))

    return told


def read_job(path: Path, platform: str, told: Tell) -> None:
    """Have one platform's texts encoded and kept, in whatever process."""
    read_platform(site_config(ExperimentFolder(path).spec(), platform))
    told(1)


def survey_job(path: Path, told: Tell) -> None:
    """Work out what all cells stand on, in whatever process."""
    ExperimentFolder(path).ground()
    told(1)


def train_job(path: Path, cell: Cell, engine: Engine, told: Tell) -> None:
    """One cell's training, in whatever process."""
    folder = ExperimentFolder(path)
    training.train_cell(folder.ground(), cell, folder.cell(cell), told, engine)


def measure_job(path: Path, platform: str, asked: Sequence[Cell], told: Tell) -> None:
    """One platform's measuring, in whatever process."""
    folder = ExperimentFolder(path)
    measuring.measure_platform(folder.ground(), platform, asked, folder.cells, told)
