"""The content of ``report.json``, in the shape of ``schema.json``: values that JSON can say."""

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from scenarios.experiments.report.alternatives import Alternative
from scenarios.experiments.report.build import Report
from scenarios.experiments.report.names import ALONE
from scenarios.experiments.report.record import (
    BlendWeight,
    ExperimentRecord,
    GateDecision,
    GroupSum,
    PrivacyEntry,
    Published,
    RoundEntry,
)
from scenarios.experiments.report.rows import Row
from scenarios.experiments.report.verdict import Finding
from scenarios.experiments.report.wording import coarse

_WHAT_IF: Final = (
    "Each system, ε and repeat is a what-if with a ledger of its own; releasing several of them would compose. "
    "The ledger shown for an ε is that of its dearest repeat."
)
_WHOLE: Final = (
    "The sites are named ones and their ledgers go on from run to run: every privacy entry is the whole of a "
    "ledger, the same whatever ε it stands beside."
)
_NOTES: Final = (
    "Made by someone who holds every platform's data: publishing this report is not covered by any epsilon.",
    "With an epsilon, a row's seed is the number of a repeat: operating-system noise cannot be repeated.",
    "Intervals are 95 % percentile bootstraps over users, paired; they hold the model fixed.",
    "Times are rounded to two digits.",
)
_DIGITS: Final = 7


def document(report: Report, record: ExperimentRecord) -> dict[str, Any]:
    """All of ``report.json``; tuples become lists when it is written."""
    return {
        "answer": report.answer.text,
        "rows": [_row(row) for row in report.rows],
        "privacy": [_privacy(entry) for entry in record.privacy],
        "rounds": [_round(entry) for entry in record.rounds],
        "published": [_published(entry) for entry in record.published],
        "versions": dict(record.versions),
        "findings": [
            _finding(finding, name)
            for name, findings in (("new", report.findings), *report.slices.items())
            for finding in findings
        ],
        "alternatives": [_alternative(one) for one in report.alternatives],
        "gates": [_gate(gate) for gate in record.gates],
        "weights": [_weight(weight) for weight in record.weights],
        "setting": asdict(record.setting),
        "notes": notes(record),
    }


def notes(record: ExperimentRecord) -> tuple[str, ...]:
    """What to know before quoting a figure."""
    return *_NOTES, whose_ledger(record.privacy)


def whose_ledger(entries: Iterable[PrivacyEntry]) -> str:
    """Whether a ledger belongs to one cell or goes on from run to run."""
    return _WHOLE if any(entry.whole_ledger for entry in entries) else _WHAT_IF


def _row(row: Row) -> dict[str, Any]:
    return {name: _rounded(value) for name, value in asdict(row).items()} | _repeat(row.seed, row.epsilon)


def _repeat(seed: int | None, epsilon: float | None) -> dict[str, str | None]:
    """What the number in ``seed`` is: with an ε it cannot be one that repeats a draw."""
    return {"seed_is": None if seed is None else "seed" if epsilon is None else "repeat number"}


def _rounded(value: Any) -> Any:
    return round(value, _DIGITS) if isinstance(value, float) else value


def _finding(finding: Finding, name: str) -> dict[str, Any]:
    verdict = {
        "slice": name,
        "reference": ALONE,
        "verdict": finding.verdict,
        "resolvable": finding.resolvable,
    }
    return {key: _rounded(value) for key, value in {**asdict(finding), **verdict}.items()}


def _alternative(one: Alternative) -> dict[str, Any]:
    plain = {key: _rounded(value) for key, value in asdict(one).items()}
    return {**plain, "reference": ALONE, "federated": one.federated and [_rounded(v) for v in one.federated]}


def _gate(gate: GateDecision) -> dict[str, Any]:
    plain = asdict(gate)
    told = _repeat(gate.cell.seed, gate.cell.epsilon)
    return {"platform": plain.pop("platform"), **plain.pop("cell"), **told, "open": gate.open, **plain}


def _weight(weight: BlendWeight) -> dict[str, Any]:
    told = _repeat(weight.cell.seed, weight.cell.epsilon)
    told_of = {"platform": weight.platform, **asdict(weight.cell), **told, "task": weight.task}
    return {**told_of, "weight": weight.weight}


def _privacy(entry: PrivacyEntry) -> dict[str, Any]:
    plain = asdict(entry)
    if entry.epsilon_alone is None:
        del plain["epsilon_alone"]
    elif math.isinf(entry.epsilon_alone):
        plain["epsilon_alone"] = None
    return plain


def _published(entry: Published) -> dict[str, Any]:
    plain = asdict(entry)
    return {**plain.pop("cell"), **_repeat(entry.cell.seed, entry.cell.epsilon), **plain}


def _round(entry: RoundEntry) -> dict[str, Any]:
    return {
        "number": entry.number,
        **asdict(entry.cell),
        **_repeat(entry.cell.seed, entry.cell.epsilon),
        "seconds_by_phase": {phase: coarse(taken) for phase, taken in entry.seconds_by_phase.items()},
        "bytes_up": entry.bytes_up,
        "bytes_down": entry.bytes_down,
        "cohort": entry.cohort,
        "dropped": entry.dropped,
        "platforms": {
            name: {"bytes_up": traffic.up, "bytes_down": traffic.down}
            for name, traffic in entry.traffic.items()
        },
        "void": entry.void,
        **({"groups": [_group(group) for group in entry.groups]} if entry.groups else {}),
    }


def _group(group: GroupSum) -> dict[str, Any]:
    return {name: _rounded(value) for name, value in asdict(group).items()}
