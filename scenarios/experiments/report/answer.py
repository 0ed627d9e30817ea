"""The answer in two lines: would federation help, at which ε, at what cost. A pure function of findings."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from scenarios.experiments.report import wording
from scenarios.experiments.report.alternatives import Alternative, strongest
from scenarios.experiments.report.names import ALONE, system_title
from scenarios.experiments.report.told import NOT_TRIED, OUTCOMES, UNCHANGED, counting, outcome
from scenarios.experiments.report.verdict import Finding, Verdict, headline, overall

Groups = dict[Verdict, list[Finding]]

_ORDER: Final = (Verdict.GAIN, Verdict.NONE, Verdict.UNRESOLVED, Verdict.HARM)
_WHY: Final = {
    UNCHANGED: "where the do-no-harm gate stayed closed",
    NOT_TRIED: "where too few validation users could judge it",
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


def answer(
    findings: Sequence[Finding],
    spent: Spent | None,
    cost: Cost | None,
    metric: str,
    alternatives: Sequence[Alternative] = (),
) -> Answer:
    """Answer from the ``findings`` of every ε; the rest belongs to the headline's ε.

    ``alternatives``: systems a platform could run alone that did better than what it is compared with.
    """
    chosen = headline(findings)
    if not chosen:
        return Answer("Nothing was compared: no federated system was evaluated.", "", "No ε was spent.")
    ordered = sorted(chosen, key=lambda finding: _ORDER.index(finding.verdict))
    groups = {verdict: list(group) for verdict, group in groupby(ordered, key=lambda f: f.verdict)}
    without = "" if chosen[0].epsilon is None else _without_privacy(groups, findings)
    others = strongest(alternatives)
    evidence = _evidence(groups, metric, len(findings)) + without + _alone(others)
    return Answer(_opening(groups) + _caveat(groups, others), evidence, _price(spent, cost))


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
    return _without_gain(groups)


def _without_gain(groups: Groups) -> str:
    if all(finding.unchanged and not finding.untested for group in groups.values() for finding in group):
        return "No: every do-no-harm gate stayed closed, so federation would change nothing."
    if Verdict.NONE not in groups:
        return "No gain was found, and this run is too small to exclude one."
    if Verdict.UNRESOLVED in groups:
        return (
            f"No gain was found; with so few users {_names(groups[Verdict.UNRESOLVED])} cannot be resolved."
        )
    return "No: federation would help no platform."


def _caveat(groups: Groups, others: Sequence[Alternative]) -> str:
    """A gain over the standalone choice is none over a system that would have done better alone."""
    gaining = {finding.platform for finding in groups.get(Verdict.GAIN, [])}
    above = [one for one in others if one.platform in gaining and one.above_federated]
    if not above:
        return ""
    which = wording.listed([f"{system_title(one.system)} on {one.platform}" for one in above])
    return f" But {which}, run alone, had a higher mean on the test users."


def _evidence(groups: Groups, metric: str, comparisons: int) -> str:
    every = [finding for group in groups.values() for finding in group]
    told = {word: [finding for finding in every if outcome(finding) == word] for word in OUTCOMES}
    parts = [_part(word, found) for word, found in told.items() if found]
    users = _range([finding.users for finding in every])
    repeats = "one repeat" if every[0].repeats == 1 else f"mean of {every[0].repeats} repeats"
    against = f"{metric} against the {system_title(ALONE)}, made on validation for each"
    return f"{against}: {'; '.join(parts)}; 95 % intervals over {users} users, {repeats}; {counting(comparisons)}."


def _part(word: str, found: Sequence[Finding]) -> str:
    if word in _WHY:
        return f"{word} for {_names(found)}, {_WHY[word]}"
    return f"{word} for {', '.join(_figure(finding) for finding in found)}"


def _alone(others: Sequence[Alternative]) -> str:
    """What the choice is not: the best that could be run alone, as only the test users tell."""
    better = ", ".join(_other(one) for one in others if one.better)
    higher = ", ".join(_other(one) for one in others if not one.better)
    parts = [f"better than that choice: {better}"] if better else []
    if higher:
        parts.append(f"higher by their means, which is not resolved: {higher}")
    return f" Other systems run alone, on the test users, are {'; '.join(parts)}." if parts else ""


def _other(one: Alternative) -> str:
    return f"{system_title(one.system)} on {one.platform} {wording.percent_interval(*one.relative)}"


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
    took = f"{wording.duration(cost.seconds)} in {wording.counted(cost.rounds, 'round')} on one machine"
    return f"Cost: at most {traffic} for a platform, {took}."


def _names(findings: Sequence[Finding]) -> str:
    return wording.listed([finding.platform for finding in findings])
