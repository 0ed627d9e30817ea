"""Writing a report to a folder: the one file of this package that touches the disk."""

from pathlib import Path

from scenarios.experiments.report.record import ExperimentRecord
from scenarios.experiments.report.rows import Report


def write_report(report: Report, record: ExperimentRecord, folder: Path) -> Path:
    """Write ``report.html``, ``report.json``, ``report.md`` and ``metrics.parquet``; the path of ``report.html``."""
    raise NotImplementedError
