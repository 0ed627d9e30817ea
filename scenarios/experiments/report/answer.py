"""The answer in two lines: would federation help, at which ε, at what cost. A pure function of findings."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from scenarios.experiments.report import wording
from scenarios.experiments.report.verdict import RELEVANT, Finding, Verdict, headline, overall

Groups = dict[Verdict, list[Finding]]

_ORDER: Final = (Verdict.GAIN, Verdict.NONE, Verdict.UNRESOLVED, Verdict.HARM)
_HEADINGS: Final = {
    Verdict.GAIN: "gain for",
    Verdict.NONE: f"no difference beyond ±{100 * RELEVANT:g} % for",
    Verdict.UNRESOLVED: "not resolved for",
    Verdict.HARM: "harm to",
}


@dataclass(frozen=True, slots=True)
class Spent:
    """ε at ``delta`` for one account on one platform, and jointly for a person on all of ``platforms``.

    ``unaggregated``: with shared noise, the first of them if aggregation failed.
    """

    epsilon: float
    delta: float
    joint: float | None = None
    joint_delta: float | None = None
    platforms: tuple[str, ...] = ()
    unaggregated: float | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What the protocol took in one repeat: the dearest platform's bytes, and seconds over all rounds."""

    rounds: int
    up: int
    down: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """Would it help (``headline``), how we know (``evidence``), and at which ε and cost (``price``)."""

    headline: str
    evidence: str
    price: str

    @property
    def text(self) -> str:
        """Two lines."""
        return f"{self.headline} {self.evidence}\n{self.price}".strip()


def answer(findings: Sequence[Finding], spent: Spent | None, cost: Cost | None, metric: str) -> Answer:
    """Answer from the ``findings`` of every ε; ``spent`` and ``cost`` belong to the headline's ε."""
    chosen = headline(findings)
    if not chosen:
        return Answer("Nothing was compared: no federated system was evaluated.", "", "No ε was spent.")
    ordered = sorted(chosen, key=lambda finding: _ORDER.index(finding.verdict))
    groups = {verdict: list(group) for verdict, group in groupby(ordered, key=lambda f: f.verdict)}
    without = "" if chosen[0].epsilon is None else _without_privacy(groups, findings)
    return Answer(_opening(groups), _evidence(groups, metric) + without, _price(spent, cost))


def _opening(groups: Groups) -> str:
    gaining, harmed = (_names(groups.get(verdict, [])) for verdict in (Verdict.GAIN, Verdict.HARM))
    rest = _names([f for verdict in (Verdict.NONE, Verdict.UNRESOLVED) for f in groups.get(verdict, [])])
    if gaining and harmed:
        return f"Federation would help {gaining} and harm {harmed}."
    if harmed:
        return f"No: federation would harm {harmed}."
    if gaining:
        return (
            f"Yes for {gaining}, not shown for {rest}."
            if rest
            else "Yes: federation would help every platform."
        )
    if Verdict.NONE not in groups:
        return "No gain was found, and this run is too small to exclude one."
    if Verdict.UNRESOLVED in groups:
        return (
            f"No gain was found; with so few users {_names(groups[Verdict.UNRESOLVED])} cannot be resolved."
        )
    return "No: federation would help no platform."


def _evidence(groups: Groups, metric: str) -> str:
    every = [finding for group in groups.values() for finding in group]
    parts = [
        f"{_HEADINGS[verdict]} {', '.join(_figure(finding) for finding in changed)}"
        for verdict, group in groups.items()
        if (changed := [finding for finding in group if not finding.unchanged])
    ]
    unchanged = [finding for finding in every if finding.unchanged]
    if closed := [finding for finding in unchanged if not finding.untested]:
        parts.append(f"unchanged for {_names(closed)}, where the do-no-harm gate stayed closed")
    if untested := [finding for finding in unchanged if finding.untested]:
        parts.append(f"not tried for {_names(untested)}, where too few validation users could judge it")
    users = _range([finding.users for finding in every])
    repeats = "one repeat" if every[0].repeats == 1 else f"mean of {every[0].repeats} repeats"
    alone = f"{metric} against the best each has alone"
    return f"{alone}: {'; '.join(parts)}; 95 % intervals over {users} users, {repeats}."


def _figure(finding: Finding) -> str:
    return f"{finding.platform} {wording.percent_interval(*finding.relative)}"


def _range(users: Sequence[int]) -> str:
    low, high = wording.count(min(users)), wording.count(max(users))
    return low if low == high else f"{low} to {high}"


def _without_privacy(groups: Groups, every: Sequence[Finding]) -> str:
    without = [finding for finding in every if finding.epsilon is None]
    if Verdict.GAIN in groups or not without:
        return ""
    gaining = [finding for finding in without if finding.verdict is Verdict.GAIN]
    if gaining:
        return f" Without differential privacy {_names(gaining)} would gain: the noise costs that gain."
    if overall(without) is Verdict.NONE:
        return " Nor was there a gain without differential privacy: the noise is not the reason."
    return " Without differential privacy no gain was shown either."


def _price(spent: Spent | None, cost: Cost | None) -> str:
    return f"{_privacy(spent)} {_protocol(cost)}"


def _privacy(spent: Spent | None) -> str:
    if spent is None:
        return "No differential privacy in this run: such a model must not leave the machine."
    alone = f"{_epsilon(spent.epsilon, spent.delta)} for one account on one platform"
    if spent.unaggregated is not None:
        alone += f", with honest aggregation; if it fails, ε = {wording.epsilon(spent.unaggregated)}"
    if spent.joint is None or spent.joint_delta is None:
        return f"At {alone}."
    joint = _epsilon(spent.joint, spent.joint_delta)
    return f"At a joint {joint} for a person on {wording.listed(spent.platforms)}; {alone}."


def _epsilon(epsilon: float, delta: float) -> str:
    return f"ε = {wording.epsilon(epsilon)} (δ = {wording.delta(delta)})"


def _protocol(cost: Cost | None) -> str:
    if cost is None:
        return "The protocol's cost was not measured."
    traffic = f"{wording.size(cost.up)} up and {wording.size(cost.down)} down"
    took = f"{wording.duration(cost.seconds)} in {wording.counted(cost.rounds, 'round')}"
    return f"Cost: at most {traffic} for a platform, {took}."


def _names(findings: Sequence[Finding]) -> str:
    return wording.listed([finding.platform for finding in findings])
