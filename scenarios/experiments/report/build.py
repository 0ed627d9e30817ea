"""From a record to a report: the one place where rows, findings and the answer come together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scenarios.experiments.report import names
from scenarios.experiments.report.alternatives import Alternative, alternatives
from scenarios.experiments.report.answer import Answer, Cost, Spent, answer
from scenarios.experiments.report.compare import Comparison, comparisons
from scenarios.experiments.report.findings import find
from scenarios.experiments.report.record import ExperimentRecord, GateDecision, PrivacyEntry, RoundEntry
from scenarios.experiments.report.rows import Row, build_rows
from scenarios.experiments.report.verdict import Finding, headline


@dataclass(frozen=True, slots=True)
class Report:
    """What an experiment found.

    ``findings``: one per platform and ε, over all users; ``slices``: the same on every other slice.
    ``alternatives``: what a platform could run alone and the test users prefer to its standalone choice.
    """

    answer: Answer
    findings: tuple[Finding, ...]
    slices: dict[str, tuple[Finding, ...]]
    alternatives: tuple[Alternative, ...]
    rows: tuple[Row, ...]

    @property
    def epsilon(self) -> float | None:
        """The planned ε the answer speaks of; ``None`` where nothing was run with differential privacy."""
        chosen = headline(self.findings)
        return chosen[0].epsilon if chosen else None


def build_report(record: ExperimentRecord) -> Report:
    """Work out rows, findings and the answer of one experiment; the same record gives the same report."""
    compared = tuple(comparisons(record.metrics))
    platforms = [facts.name for facts in record.setting.platforms]
    findings = _sorted(_find(compared, record.gates), platforms)
    chosen = headline(findings)
    epsilon = chosen[0].epsilon if chosen else None
    spent, cost = spent_at(record.privacy, epsilon), cost_at(record.rounds, epsilon)
    others = alternatives(compared, epsilon)
    return Report(
        answer=answer(findings, spent, cost, names.metric_title(names.HEADLINE_METRIC), others),
        findings=findings,
        slices={
            name: _sorted(_find(compared, record.gates, name), platforms) for name in _other_slices(compared)
        },
        alternatives=others,
        rows=build_rows(compared),
    )


def _find(
    compared: Sequence[Comparison], gates: Sequence[GateDecision], name: str = names.HEADLINE_SLICE
) -> tuple[Finding, ...]:
    return find(compared, _untested(gates, names.task_of(name)), name)


def _untested(gates: Sequence[GateDecision], task: str) -> frozenset[tuple[str, float | None]]:
    """Platform and ε where the federated system's gate for ``task`` never had validation users enough to open."""
    asked = [gate for gate in gates if (gate.cell.system, gate.task) == (names.FEDERATED, task)]
    tested = {(gate.platform, gate.cell.epsilon) for gate in asked if gate.tested}
    return frozenset({(gate.platform, gate.cell.epsilon) for gate in asked} - tested)


def _other_slices(compared: Sequence[Comparison]) -> list[str]:
    return [name for name in dict.fromkeys(one.slice for one in compared) if name != names.HEADLINE_SLICE]


def _sorted(findings: Sequence[Finding], platforms: Sequence[str]) -> tuple[Finding, ...]:
    """By platform as the setting lists them, without differential privacy first, then by falling ε."""
    place = {name: index for index, name in enumerate(platforms)}

    def order(finding: Finding) -> tuple[int, float]:
        return place.get(finding.platform, len(place)), -(finding.epsilon or float("inf"))

    return tuple(sorted(findings, key=order))


def spent_at(entries: Sequence[PrivacyEntry], epsilon: float | None) -> Spent | None:
    """The largest ε of any platform's ledger, and the largest joint one, for the plan of ``epsilon``."""
    planned = [entry for entry in entries if entry.target == epsilon]
    alone = [entry for entry in planned if entry.platform != "joint"]
    if not alone:
        return None
    dearest = max(alone, key=lambda entry: entry.epsilon_prv)
    joint = max((e for e in planned if e.platform == "joint"), key=lambda e: e.epsilon_prv, default=None)
    unaggregated = max((e.epsilon_alone for e in alone if e.epsilon_alone is not None), default=None)
    spent = Spent(dearest.epsilon_prv, dearest.delta, unaggregated=unaggregated)
    if joint is None:
        return spent
    return replace(spent, joint=joint.epsilon_prv, joint_delta=joint.delta, platforms=joint.platforms)


def cost_at(rounds: Sequence[RoundEntry], epsilon: float | None) -> Cost | None:
    """Bytes of the dearest platform and seconds, over all rounds of the slowest repeat at ``epsilon``."""
    cells = {
        entry.cell
        for entry in rounds
        if entry.cell.system == names.FEDERATED and entry.cell.epsilon == epsilon
    }
    if not cells:
        return None
    costs = [_cost([entry for entry in rounds if entry.cell == cell]) for cell in cells]
    return max(costs, key=lambda cost: cost.seconds)


def _cost(rounds: Sequence[RoundEntry]) -> Cost:
    platforms = {platform for entry in rounds for platform in entry.traffic}
    up = {p: sum(entry.traffic[p].up for entry in rounds if p in entry.traffic) for p in platforms}
    down = {p: sum(entry.traffic[p].down for entry in rounds if p in entry.traffic) for p in platforms}
    seconds = sum(sum(entry.seconds_by_phase.values()) for entry in rounds)
    return Cost(len(rounds), max(up.values(), default=0), max(down.values(), default=0), seconds)
