"""What a run will spend, send and take, from public constants alone: no data are read and nothing is spent."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from common.model.layout import ParamLayout
from common.model.sequence import build_model
from common.privacy.accountant import AnyMechanism, Epsilon
from common.privacy.plan import rounds_within
from common.privacy.shared import SharedNoisePlan
from scenarios.experiments.admission import Account, accounts, require_public_catalogues
from scenarios.experiments.cells import cells, federations
from scenarios.experiments.ground import declared
from scenarios.experiments.plans import Plans, besides_training, cell_plans, metrics_terms, statistics_terms
from scenarios.experiments.relations import Group, dearest, sharing
from scenarios.experiments.report.names import FEDERATED, WARM
from scenarios.experiments.spec import ExperimentSpec
from scenarios.platforms.spec import ScenarioSpec

# Seconds of one processor for a local step, and to measure one cell at one platform: rough, to plan a break by.
_STEP = {"tiny": 0.05, "small": 0.2, "base": 0.5}
_MEASURE = 5.0


@dataclass(frozen=True, slots=True)
class WarmStart:
    """Noise multipliers of a cell that starts from statistics: theirs, and training's by platform."""

    statistics: float
    training: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Forecast:
    """``plans`` and ``joint`` by planned ε, ``joint`` with whose it is; bytes: one platform in one training round.

    ``accounts``: of named sites, by platform, the ledger that pays for all of it; ``joint_accounts`` what these
    ledgers then compose to. A what-if has no past: its plan is all it spends.
    """

    plans: Mapping[float, Plans]
    joint: Mapping[float, tuple[Group, Epsilon]]
    warm: Mapping[float, WarmStart]
    accounts: Mapping[str, Account]
    joint_accounts: tuple[Group, Epsilon] | None
    cells: int
    parameters: int
    bytes_up: int
    bytes_down: int
    processor_minutes: float


def forecast(spec: ExperimentSpec) -> Forecast:
    """The forecast of every cell.

    Raises:
        ConfigError: where a declaration is wrong.
        PrivacyRefused: where no noise reaches an ε, accountants disagree, a catalogue is not public, or a named
            site's ledger cannot be read.
    """
    scenarios = declared(spec)
    require_public_catalogues(spec, scenarios)
    plans = {
        epsilon: cell_plans(spec, scenarios, epsilon)
        for epsilon in spec.privacy.epsilons
        if "federated" in spec.systems
    }
    parameters = ParamLayout.of(build_model(spec.model.size, spec.model.features)).size
    asked = cells(spec)
    private = [cell for cell in asked if cell.epsilon] if spec.sites else []
    named = {name: account for name in scenarios for account in accounts(spec, name, scenarios, private)}
    steps = sum(scenario.training.steps for scenario in scenarios.values()) * spec.rounds * (len(asked) - 1)
    seconds = steps * _STEP[spec.model.size] + _MEASURE * len(asked) * len(scenarios)
    return Forecast(
        plans=plans,
        joint={
            epsilon: joint(scenarios, of, besides_training(spec, FEDERATED, epsilon))
            for epsilon, of in plans.items()
        },
        accounts=named,
        joint_accounts=_joint_of(scenarios, named),
        warm=_warm_starts(spec, scenarios),
        cells=len(asked),
        parameters=parameters,
        bytes_up=4 * (parameters + 2),
        bytes_down=4 * parameters,
        processor_minutes=seconds / 60,
    )


def _warm_starts(spec: ExperimentSpec, scenarios: Mapping[str, ScenarioSpec]) -> Mapping[float, WarmStart]:
    found = {}
    for epsilon in spec.privacy.epsilons if WARM in federations(spec) else ():
        terms = statistics_terms(spec, WARM, epsilon)
        if terms is not None and terms.noise_multiplier is not None:
            plans = cell_plans(spec, scenarios, epsilon, WARM)
            noise = {name: plan.whole.noise_multiplier for name, plan in plans.items()}
            found[epsilon] = WarmStart(terms.noise_multiplier, noise)
    return found


def joint(
    scenarios: Mapping[str, ScenarioSpec], plans: Plans, besides: Sequence[AnyMechanism]
) -> tuple[Group, Epsilon]:
    """The largest ε of a person on every platform of a group that shares people, and that group."""
    delta = next(iter(plans.values())).delta
    return dearest(sharing(scenarios), {name: [plan.whole, *besides] for name, plan in plans.items()}, delta)


def _joint_of(
    scenarios: Mapping[str, ScenarioSpec], named: Mapping[str, Account]
) -> tuple[Group, Epsilon] | None:
    """At the largest δ of any of the ledgers: it holds for all of them."""
    if not named:
        return None
    delta = max(account.ceiling.delta for account in named.values())
    return dearest(sharing(scenarios), {name: one.all for name, one in named.items()}, delta)


def as_document(spec: ExperimentSpec, found: Forecast) -> dict[str, object]:
    """The forecast for programs."""
    return {
        "experiment": spec.model_dump(mode="json"),
        "delta": spec.privacy.delta,
        "privacy": [
            {"epsilon": epsilon, "platform": name, **_spending(plan.forecast()), **plan.model_dump()}
            for epsilon, plans in found.plans.items()
            for name, plan in plans.items()
        ],
        "joint": {f"{epsilon:g}": total.prv for epsilon, (_, total) in found.joint.items()},
        "sites": [
            {
                "platform": name,
                "epsilon_spent": account.spent.prv,
                **_spending(account.total),
                "delta": account.ceiling.delta,
                "ceiling": account.ceiling.epsilon,
                "fits": account.fits,
                "rounds_left": _rounds_left(name, account, found),
            }
            for name, account in found.accounts.items()
        ],
        "joint_sites": None if found.joint_accounts is None else found.joint_accounts[1].prv,
        "warm_start": {f"{epsilon:g}": asdict(warm) for epsilon, warm in found.warm.items()},
        "cells": found.cells,
        "parameters": found.parameters,
        "bytes_up_per_round": found.bytes_up,
        "bytes_down_per_round": found.bytes_down,
        "processor_minutes": found.processor_minutes,
    }


def as_text(spec: ExperimentSpec, found: Forecast) -> str:
    """The forecast for people; ε is for one account on one platform unless it says joint."""
    lines = [
        f"{spec.title}: {found.cells} cells, {spec.rounds} rounds, {found.parameters:,} shared parameters"
    ]
    for epsilon, plans in found.plans.items():
        for name, plan in plans.items():
            spent = plan.forecast(besides_training(spec, FEDERATED, epsilon))
            checks = f"PLD {spent.pld:.2f}, RDP bound {spent.rdp:.2f}" if spent.by == "PRV" else "by RDP"
            lines.append(
                f"  ε ≤ {epsilon:g}  {name:<12} spends {spent.prv:.2f} at δ = {plan.delta:g} ({checks}):"
                f" noise {plan.whole.noise_multiplier:.2f}, rate {plan.sample_rate:.3f},"
                f" {plan.whole.steps} steps"
            )
            if isinstance(plan, SharedNoisePlan):
                lines.append(f"           {name:<12} and {plan.epsilon_alone:.2f} if aggregation fails")
        group, total = found.joint[epsilon]
        lines.append(f"  joint, a person on {', '.join(group)}: ε = {total.prv:.2f}")
        if metrics := metrics_terms(spec, epsilon):
            lines.append(
                f"  at the end, metrics over all platforms with noise {metrics.noise_multiplier:.2f} each"
            )
    lines += [
        f"  ε ≤ {epsilon:g}  warm start: statistics with noise {warm.statistics:.2f}, then training with"
        f" {min(warm.training.values()):.2f} to {max(warm.training.values()):.2f}"
        for epsilon, warm in found.warm.items()
    ]
    lines += [_site_line(name, account, found) for name, account in found.accounts.items()]
    if found.joint_accounts:
        group, total = found.joint_accounts
        lines.append(
            f"  joint, a person on {', '.join(group)}, with all of their ledgers: ε = {total.prv:.2f}"
        )
    up, down = found.bytes_up / 1e3, found.bytes_down / 1e3
    lines.append(f"  {up:.0f} kB up and {down:.0f} kB down for each platform and round")
    lines.append(
        f"  about {found.processor_minutes:.0f} minutes of one processor; nothing was read, nothing spent"
    )
    return "\n".join(lines)


def _spending(spent: Epsilon) -> dict[str, float | str]:
    return {
        "accountant": spent.by,
        "epsilon_prv": spent.prv,
        "epsilon_pld": spent.pld,
        "epsilon_rdp": spent.rdp,
    }


def _site_line(name: str, account: Account, found: Forecast) -> str:
    fits = "" if account.fits else ", which is refused"
    return (
        f"  its ledger  {name:<12} from ε = {account.spent.prv:.2f} to {account.total.prv:.2f} of a ceiling of"
        f" {account.ceiling.epsilon:g}{fits}; then {_rounds_left(name, account, found)} more rounds would fit"
    )


def _rounds_left(name: str, account: Account, found: Forecast) -> int:
    """After everything planned, at the largest ε of the plans: the dearest rounds."""
    per_round = found.plans[max(found.plans)][name].per_round
    return rounds_within(account.ceiling.epsilon, account.ceiling.delta, account.all, per_round)
