"""From an experiment's record to its report: rows with intervals, a two-line answer, and four files."""

from scenarios.experiments.report.build import Report, build_report
from scenarios.experiments.report.record import (
    METRICS_SCHEMA,
    BlendWeight,
    Cell,
    Charges,
    ExperimentRecord,
    GateDecision,
    GroupSum,
    PlatformFacts,
    PrivacyEntry,
    Published,
    RoundEntry,
    Setting,
    Traffic,
)
from scenarios.experiments.report.writer import write_report

__all__ = [
    "METRICS_SCHEMA",
    "BlendWeight",
    "Cell",
    "Charges",
    "ExperimentRecord",
    "GateDecision",
    "GroupSum",
    "PlatformFacts",
    "PrivacyEntry",
    "Published",
    "Report",
    "RoundEntry",
    "Setting",
    "Traffic",
    "build_report",
    "write_report",
]
