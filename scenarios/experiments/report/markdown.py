"""``report.md``: the answer and its tables, short enough for a pull request or a letter."""

from collections.abc import Iterable, Sequence

from scenarios.experiments.report import told, wording
from scenarios.experiments.report.alternatives import Alternative
from scenarios.experiments.report.build import Report
from scenarios.experiments.report.charts import epsilon_title
from scenarios.experiments.report.document import notes
from scenarios.experiments.report.names import system_title
from scenarios.experiments.report.record import ExperimentRecord, PrivacyEntry
from scenarios.experiments.report.tables import blend, blending, ledger
from scenarios.experiments.report.verdict import Finding

_UPLIFT = ("platform", "ε", "users", "repeats", "uplift (95 %)", "p, corrected", "verdict")
_OTHERS = (
    "platform",
    "system",
    "users",
    "against the standalone choice (95 %)",
    "federated against it (95 %)",
)
_SPENT = ("plan", "platform", "ε (PRV)", "ε (PLD)", "ε (RDP)", "δ", "releases")


def summary(report: Report, record: ExperimentRecord) -> str:
    """The report in Markdown."""
    answer = report.answer
    parts = [
        f"# {_plain(record.setting.title)}",
        f"**{_plain(answer.headline)}**",
        _plain(answer.price),
        _plain(answer.evidence),
        "## Uplift in NDCG@10 against the standalone choice",
        _table(_UPLIFT, map(_uplift, report.findings)),
        _plain(f"{told.sentence(told.counting(len(report.findings)))} {told.CHOICE}"),
        "## What else could be run alone",
        *_others(report.alternatives),
        "## λ, the weight of the model",
        *_weights(record),
        "## Privacy spent",
        _table(_SPENT, map(_spent, ledger(record.privacy))),
        "## Before you quote it",
        "\n".join(f"- {_plain(note)}" for note in (*notes(record), *record.setting.limits)),
        _plain(", ".join(f"{name} {version}" for name, version in record.versions.items())),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _uplift(finding: Finding) -> tuple[str, ...]:
    counts = (wording.count(finding.users), str(finding.repeats))
    cells = (finding.platform, epsilon_title(finding.epsilon), *counts, told.figure(finding))
    return (*cells, told.corrected(finding), told.outcome(finding))


def _others(found: Sequence[Alternative]) -> tuple[str, ...]:
    if not found:
        return (told.NONE_HIGHER,)
    return _table(_OTHERS, map(_other, found)), told.PICKED


def _other(one: Alternative) -> tuple[str, ...]:
    federated = one.federated_relative
    against = wording.percent_interval(*federated) if federated else "–"
    uplift = wording.percent_interval(*one.relative)
    return one.platform, system_title(one.system), wording.count(one.users), uplift, against


def _weights(record: ExperimentRecord) -> tuple[str, ...]:
    platforms = [facts.name for facts in record.setting.platforms]
    lines = [
        (
            system_title(system),
            epsilon_title(epsilon),
            *(wording.weights(blend(record.weights, name, system, epsilon)) for name in platforms),
        )
        for system, epsilon in blending(record.weights)
    ]
    return _table(("system", "ε", *platforms), lines), told.WEIGHT


def _spent(entry: PrivacyEntry) -> tuple[str, ...]:
    joint = f"one person on {wording.listed(entry.platforms)}"
    who = joint if entry.platform == "joint" else entry.platform
    figure, second = wording.epsilon(entry.epsilon_prv), wording.epsilon(entry.epsilon_pld)
    if entry.epsilon_alone is not None:  # the figure is RDP's, and there is no second opinion
        figure, second = f"{figure}; {wording.epsilon(entry.epsilon_alone)} if aggregation fails", "–"
    spent = (
        figure,
        second,
        wording.epsilon(entry.epsilon_rdp),
        wording.delta(entry.delta),
    )
    plan = epsilon_title(entry.target) + (" (whole ledger)" if entry.whole_ledger else "")
    return (plan, who, *spent, str(entry.releases))


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    cells = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(_plain(cell) for cell in line)} |" for line in cells)


def _plain(text: str) -> str:
    """``text`` without what Markdown or HTML in it would do."""
    escaped = "".join(f"\\{letter}" if letter in "\\`*_[]|#~" else letter for letter in text)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace("\n", " ")
