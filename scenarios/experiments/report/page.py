"""``report.html``: the templates filled with a report; one self-contained file that loads nothing."""

from collections.abc import Callable
from importlib.resources import files
from statistics import median
from typing import Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined

from scenarios.experiments.report import charts, names, tables, told, wording
from scenarios.experiments.report.alternatives import strongest
from scenarios.experiments.report.build import Report, cost_at, spent_at
from scenarios.experiments.report.document import notes, whose_ledger
from scenarios.experiments.report.figures import Figures
from scenarios.experiments.report.record import ExperimentRecord, RoundEntry
from scenarios.experiments.report.verdict import RELEVANT, headline

FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "corrected": told.corrected,
    "count": wording.count,
    "counted": wording.counted,
    "delta": wording.delta,
    "duration": wording.duration,
    "epsilon": wording.epsilon,
    "epsilon_title": charts.epsilon_title,
    "listed": wording.listed,
    "metric_title": names.metric_title,
    "outcome": told.outcome,
    "percent": wording.percent,
    "quality": wording.quality,
    "signed": wording.signed,
    "size": wording.size,
    "span": wording.span,
    "unbroken": wording.unbroken,
    "weights": wording.weights,
    "slice_title": names.slice_title,
    "system_title": names.system_title,
}


def render(report: Report, record: ExperimentRecord) -> str:
    """The whole page as text. Every value is escaped by the template engine."""
    figures = Figures(report.rows)
    rounds = headline_rounds(report, record)
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            report=report,
            record=record,
            setting=record.setting,
            platforms=[facts.name for facts in record.setting.platforms],
            epsilon=report.epsilon,
            chosen=headline(report.findings),
            strongest={one.platform: one for one in strongest(report.alternatives)},
            spent=spent_at(record.privacy, report.epsilon),
            cost=cost_at(record.rounds, report.epsilon),
            rounds=rounds,
            figures=figures,
            tables=tables,
            charts=charts,
            names=names,
            told=told,
            median=median,
            relevant=RELEVANT,
            notes=notes(record),
            whose_ledger=whose_ledger(record.privacy),
        )
    )


def headline_rounds(report: Report, record: ExperimentRecord) -> list[RoundEntry]:
    """The rounds of the first repeat of the federated system at the headline's ε."""
    cells = sorted(
        {entry.cell for entry in record.rounds if _is_headline(entry, report.epsilon)},
        key=lambda cell: cell.seed,
    )
    return [entry for entry in record.rounds if cells and entry.cell == cells[0]]


def _is_headline(entry: RoundEntry, epsilon: float | None) -> bool:
    return entry.cell.system == names.FEDERATED and entry.cell.epsilon == epsilon


def environment() -> Environment:
    """The templates of this package, with every value escaped and every missing one an error."""
    folder = files("scenarios.experiments.report") / "templates"
    environment = Environment(
        loader=FunctionLoader(lambda name: (folder / name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(FILTERS)
    return environment
