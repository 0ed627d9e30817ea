"""The study's figures: means over repeats with their intervals, and what is left of a gain under noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import t

from common.metrics.intervals import LEVEL, bootstrap_interval
from scenarios.experiments.utility.study import Cell, Crowd, Study, System
from scenarios.experiments.utility.training import Doubles, Trial

Quality = Callable[[Cell], float]
"""Mean NDCG@10 over the test users that a cell reached."""

_NO_EPSILON: Final[tuple[System, ...]] = ("clipped", "open")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean between the ends of its 95 % interval; one repeat has no interval, and its ends are its mean."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Reference:
    """What trains nothing: ``oracle`` or ``zero-shot``, over the test users."""

    name: str
    quality: Estimate


@dataclass(frozen=True, slots=True)
class Row:
    """One system of one crowd. ``spent``: ε by PRV at ``delta``; ``noise``: σ in units of the clip, 0 without ε.

    ``kept``: its gain on zero-shot as a share of the gain of the same repeats clipped and without noise.
    ``repeats``: NDCG@10 of each.
    """

    users: int
    system: System
    epsilon: float | None
    delta: float | None
    spent: float | None
    noise: float
    sample_rate: float
    steps: int
    quality: Estimate
    kept: Estimate
    repeats: tuple[float, ...]


def references(trial: Trial) -> tuple[Reference, Reference]:
    """The best possible and the untrained ranking; intervals over the test users, which all systems share."""
    spans = {name: bootstrap_interval(values) for name, values in _untrained(trial)}
    oracle, zero = (Reference(name, Estimate(one.mean, one.low, one.high)) for name, one in spans.items())
    return oracle, zero


def rows(study: Study, zero_shot: float, quality: Quality) -> tuple[Row, ...]:
    """A row for each crowd, and in it for each ε and for the two systems without."""
    systems: list[tuple[System, float | None]] = [("private", epsilon) for epsilon in study.epsilons]
    systems += [(system, None) for system in _NO_EPSILON]
    return tuple(
        _row(study, crowd, system, epsilon, zero_shot, quality)
        for crowd in study.crowds
        for system, epsilon in systems
    )


def over_repeats(values: Sequence[float]) -> Estimate:
    """Mean of independent repeats with Student's t interval at 95 %."""
    mean, count = float(np.mean(values)), len(values)
    if count == 1:
        return Estimate(mean, mean, mean)
    reach = float(t.ppf((1 + LEVEL) / 2, count - 1) * np.std(values, ddof=1) / count**0.5)
    return Estimate(mean, mean - reach, mean + reach)


def _row(
    study: Study, crowd: Crowd, system: System, epsilon: float | None, zero_shot: float, quality: Quality
) -> Row:
    def reached(of: System, at: float | None) -> list[float]:
        return [quality(Cell(crowd.users, of, at, repeat)) for repeat in range(1, crowd.repeats + 1)]

    ours, twins = reached(system, epsilon), reached("clipped", None)
    kept = [(own - zero_shot) / (twin - zero_shot) for own, twin in zip(ours, twins, strict=True)]
    plan = None if epsilon is None else study.plan(crowd, epsilon)
    return Row(
        users=crowd.users,
        system=system,
        epsilon=epsilon,
        delta=plan.delta if plan else None,
        spent=plan.forecast().prv if plan else None,
        noise=plan.noise_multiplier if plan else 0.0,
        sample_rate=crowd.expected_batch / crowd.users,
        steps=crowd.steps,
        quality=over_repeats(ours),
        kept=over_repeats(kept),
        repeats=tuple(ours),
    )


def _untrained(trial: Trial) -> tuple[tuple[str, Doubles], ...]:
    return ("oracle", trial.oracle()), ("zero-shot", trial.zero_shot())
