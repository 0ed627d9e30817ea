"""Writing a report to a folder: the one file of this package that touches the disk."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

from common.files import write_atomically
from scenarios.experiments.report.build import Report
from scenarios.experiments.report.document import document
from scenarios.experiments.report.markdown import summary
from scenarios.experiments.report.page import render
from scenarios.experiments.report.record import METRICS_SCHEMA, ExperimentRecord


def write_report(report: Report, record: ExperimentRecord, folder: Path) -> Path:
    """Write ``metrics.parquet``, ``report.json``, ``report.md`` and ``report.html``; return the page's path.

    The measured values come first, so that they are safe whatever happens to the rest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    measured = BytesIO()
    record.metrics.select(METRICS_SCHEMA.names()).write_parquet(measured)
    page = folder / "report.html"
    for path, content in (
        (folder / "metrics.parquet", measured.getvalue()),
        (folder / "report.json", _json(document(report, record)).encode()),
        (folder / "report.md", summary(report, record).encode()),
        (page, render(report, record).encode()),
    ):
        write_atomically(path, content, mode=0o644)
    return page


def _json(content: dict[str, Any]) -> str:
    """One line for each row, so that a reader and ``diff`` can follow."""
    parts = []
    for key, value in content.items():
        if isinstance(value, list) and value:
            lines = ",\n".join(f"  {_compact(entry)}" for entry in value)
            parts.append(f"{_compact(key)}: [\n{lines}\n]")
        else:
            parts.append(f"{_compact(key)}: {_compact(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
