"""What a run will spend, send and take, from public constants alone: no data are read and nothing is spent."""

from collections.abc import Mapping
from dataclasses import dataclass

from common.model.layout import ParamLayout
from common.model.sequence import build_model
from common.privacy.accountant import Epsilon
from common.privacy.plan import PrivacyPlan
from scenarios.experiments.cells import cells
from scenarios.experiments.drafting import member_plan
from scenarios.experiments.ground import declared
from scenarios.experiments.relations import Group, dearest, sharing
from scenarios.experiments.spec import ExperimentSpec
from scenarios.platforms.spec import ScenarioSpec

# Seconds of one processor for a local step, and to measure one cell at one platform: rough, to plan a break by.
_STEP = {"tiny": 0.05, "small": 0.2, "base": 0.5}
_MEASURE = 5.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """``plans`` and ``joint`` by planned ε, ``joint`` with whose it is; bytes: one platform in one round."""

    plans: Mapping[float, Mapping[str, PrivacyPlan]]
    joint: Mapping[float, tuple[Group, Epsilon]]
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


def joint(scenarios: Mapping[str, ScenarioSpec], plans: Mapping[str, PrivacyPlan]) -> tuple[Group, Epsilon]:
    """The largest ε of a person on every platform of a group that shares people, and that group."""
    delta = next(iter(plans.values())).delta
    return dearest(sharing(scenarios), {name: [plan.whole] for name, plan in plans.items()}, delta)


def as_document(spec: ExperimentSpec, found: Forecast) -> dict[str, object]:
    """The forecast for programs."""
    return {
        "experiment": spec.model_dump(mode="json"),
        "delta": spec.privacy.delta,
        "privacy": [
            {"epsilon": epsilon, "platform": name, "epsilon_prv": plan.forecast().prv, **plan.model_dump()}
            for epsilon, plans in found.plans.items()
            for name, plan in plans.items()
        ],
        "joint": {f"{epsilon:g}": total.prv for epsilon, (_, total) in found.joint.items()},
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
            spent = plan.forecast()
            lines.append(
                f"  ε ≤ {epsilon:g}  {name:<12} spends {spent.prv:.2f} at δ = {plan.delta:g} (RDP bound"
                f" {spent.rdp:.2f}): noise {plan.noise_multiplier:.2f}, rate {plan.sample_rate:.3f},"
                f" {plan.whole.steps} steps"
            )
        group, total = found.joint[epsilon]
        lines.append(f"  joint, a person on {', '.join(group)}: ε = {total.prv:.2f}")
    up, down = found.bytes_up / 1e3, found.bytes_down / 1e3
    lines.append(f"  {up:.0f} kB up and {down:.0f} kB down for each platform and round")
    lines.append(
        f"  about {found.processor_minutes:.0f} minutes of one processor; nothing was read, nothing spent"
    )
    return "\n".join(lines)
