"""What a run will spend, send and take, from public constants alone: no data are read and nothing is spent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clients.config import SiteFolder
from common.model.layout import ParamLayout
from common.model.sequence import build_model
from common.privacy.accountant import Epsilon, Mechanism, epsilon_of, joint_epsilon
from common.privacy.errors import CeilingExceeded
from common.privacy.plan import PrivacyPlan
from scenarios.experiments.cells import cells, slug
from scenarios.experiments.drafting import member_plan
from scenarios.experiments.ground import declared
from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec
from scenarios.platforms.spec import ScenarioSpec

# Seconds of one processor for a local step, and to measure one cell at one platform: rough, to plan a break by.
_STEP = {"tiny": 0.03, "small": 0.05, "base": 0.15}
_MEASURE = 5.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """``plans`` and ``joint`` by planned ε; bytes are those of one platform in one round."""

    plans: Mapping[float, Mapping[str, PrivacyPlan]]
    joint: Mapping[float, Epsilon]
    cells: int
    parameters: int
    bytes_up: int
    bytes_down: int
    processor_minutes: float


def forecast(spec: ExperimentSpec) -> Forecast:
    """The forecast of every cell.

    Raises:
        ConfigError: where a declaration is wrong.
        PlanUnsound: where no noise reaches an ε.
    """
    scenarios = declared(spec)
    plans = {
        epsilon: {name: member_plan(spec, scenario, epsilon) for name, scenario in scenarios.items()}
        for epsilon in spec.privacy.epsilons
        if "federated" in spec.systems
    }
    parameters = ParamLayout.of(build_model(spec.model.size, spec.model.features)).size
    asked = cells(spec)
    steps = sum(scenario.training.steps for scenario in scenarios.values()) * spec.rounds * (len(asked) - 1)
    seconds = steps * _STEP[spec.model.size] + _MEASURE * len(asked) * len(scenarios)
    return Forecast(
        plans=plans,
        joint={epsilon: joint(scenarios, of) for epsilon, of in plans.items()},
        cells=len(asked),
        parameters=parameters,
        bytes_up=4 * (parameters + 2),
        bytes_down=4 * parameters,
        processor_minutes=seconds / 60,
    )


def joint(scenarios: Mapping[str, ScenarioSpec], plans: Mapping[str, PrivacyPlan]) -> Epsilon:
    """ε of a person on every platform of the largest group that shares people."""
    group = sharing(scenarios)
    delta = next(iter(plans.values())).delta
    return joint_epsilon([[plans[name].whole] for name in group], delta)


def sharing(scenarios: Mapping[str, ScenarioSpec]) -> tuple[str, ...]:
    """The largest group of platforms that declare to share people; one platform where none does."""
    groups = [
        (name, *(other for other in scenario.relations.shares_people_with if other in scenarios))
        for name, scenario in scenarios.items()
    ]
    return max(groups, key=len)


def admit(spec: ExperimentSpec, out: Path) -> None:
    """Refuse a run that could not be paid to its end, before anything is read or written.

    Cells that were begun in ``out`` are left to their sites, which check every round.

    Raises:
        CeilingExceeded: naming the platform.
    """
    new = [cell for cell in cells(spec) if cell.epsilon and not (out / "cells" / slug(cell)).exists()]
    for name, scenario in declared(spec).items():
        for account in _accounts(spec, name, scenario, new):
            total = epsilon_of([*account.history, *account.planned], spec.privacy.delta)
            if total.prv > account.ceiling:
                raise CeilingExceeded(
                    f"would spend ε = {total.prv:.3f} of a ceiling of {account.ceiling:g}",
                    where=name,
                    why=f"δ = {spec.privacy.delta:g}, {spec.rounds} rounds, {len(account.history)} charges so far",
                    hint="plan fewer rounds or a lower ε, or let the platform's owner raise the ceiling",
                )


@dataclass(frozen=True, slots=True)
class _Account:
    """What one ledger would hold at the end: everything so far, and what is planned."""

    ceiling: float
    history: tuple[Mechanism, ...]
    planned: tuple[Mechanism, ...]


def _accounts(
    spec: ExperimentSpec, name: str, scenario: ScenarioSpec, new: Sequence[Cell]
) -> Iterator[_Account]:
    """A named site pays for all cells from one ledger; a what-if has one of its own in every cell."""
    bills = [(cell.epsilon, member_plan(spec, scenario, cell.epsilon).whole) for cell in new if cell.epsilon]
    if spec.sites is None:
        for epsilon, bill in bills:
            yield _Account(spec.privacy.ceiling or epsilon, (), (bill,))
    elif bills:
        ceiling = spec.privacy.ceiling or max(epsilon for epsilon, _ in bills)
        yield _named_account(SiteFolder(Path(spec.sites) / name), ceiling, tuple(bill for _, bill in bills))


def _named_account(site: SiteFolder, ceiling: float, planned: tuple[Mechanism, ...]) -> _Account:
    if not site.has_ledger():
        return _Account(ceiling, (), planned)
    ledger = site.ledger()
    return _Account(ledger.ceiling.epsilon, ledger.history(), planned)
