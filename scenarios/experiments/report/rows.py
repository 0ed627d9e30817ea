"""Rows of the report: means, paired differences and their intervals, per platform, system, ε, slice and metric."""

from dataclasses import dataclass
from typing import Any

from scenarios.experiments.report.record import ExperimentRecord


@dataclass(frozen=True, slots=True)
class Report:
    """A finished report; :meth:`to_json` is the content of ``report.json``."""

    answer: str

    def to_json(self) -> dict[str, Any]:
        """Plain values, in the shape of ``schema.json``."""
        raise NotImplementedError


def build_report(record: ExperimentRecord) -> Report:
    """Work out rows, verdicts and the answer of one experiment."""
    raise NotImplementedError
