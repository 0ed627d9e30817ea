"""What the study of utility against ε asks: which crowds of users, which ε, how often, in which world."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from clients.references import LEARNING_RATE
from common.model.training import LocalTraining, Size
from common.privacy.plan import PrivacyPlan, draft_plan

System = Literal["private", "clipped", "open"]
"""DP-SGD at an ε; the same without noise (σ = 0); the same without clipping either."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Crowd(_Frozen):
    """How many users train, and how: a step draws each with probability ``expected_batch`` / ``users``.

    ``repeats``: each has users, draws and noise of its own.
    """

    users: int
    expected_batch: int
    epochs: int
    delta: float
    repeats: int

    @property
    def steps(self) -> int:
        """Steps in all, so that every user is drawn ``epochs`` times on average."""
        return round(self.epochs * self.users / self.expected_batch)


class Study(_Frozen):
    """The whole study; every number is public and fixed beforehand.

    ``events``: items of a training user's history. ``test_users``: users of the same law who train nowhere;
    each is asked for one next item.
    """

    crowds: tuple[Crowd, ...]
    epsilons: tuple[float, ...] = (1.0, 3.0, 8.0)
    seed: int = 1
    items: int = 400
    topics: int = 8
    styles: int = 8
    events: int = 8
    test_users: int = 5000
    negatives: int = 64
    clip: float = 1.0
    size: Size = "tiny"

    def terms(self, crowd: Crowd) -> LocalTraining:
        """How every system trains: the references' own optimiser and rate, whatever the ε."""
        return LocalTraining(
            optimizer="adam",
            learning_rate=LEARNING_RATE,
            steps=crowd.steps,
            bucket=crowd.users,
            expected_batch=crowd.expected_batch,
            negatives=self.negatives,
            history=self.events,
        )

    def plan(self, crowd: Crowd, epsilon: float) -> PrivacyPlan:
        """The plan of least noise within ``epsilon``.

        Raises:
            PlanUnsound: where the crowd's δ is too large for it, or no noise gives this ε.
        """
        return draft_plan(epsilon, crowd.delta, crowd.users, crowd.expected_batch, 1, crowd.steps, self.clip)


@dataclass(frozen=True, slots=True)
class Cell:
    """One training: its crowd, its system with the ε it has if it is private, and its repeat from 1."""

    users: int
    system: System
    epsilon: float | None
    repeat: int

    @property
    def slug(self) -> str:
        """The cell's file name: ``943-private-eps8-1``."""
        level = "" if self.epsilon is None else f"-eps{self.epsilon:g}"
        return f"{self.users}-{self.system}{level}-{self.repeat}"


def cells(study: Study) -> tuple[Cell, ...]:
    """Every cell, one of each kind first and then small crowds: a stopped study has what is cheapest to have."""
    return tuple(sorted(_cells(study), key=lambda cell: (cell.repeat > 1, cell.users)))


def _cells(study: Study) -> Iterator[Cell]:
    systems: list[tuple[System, float | None]] = [("open", None), ("clipped", None)]
    systems += [("private", epsilon) for epsilon in study.epsilons]
    for crowd in study.crowds:
        for repeat in range(1, crowd.repeats + 1):
            yield from (Cell(crowd.users, system, epsilon, repeat) for system, epsilon in systems)


FULL: Final = Study(
    crowds=(
        Crowd(users=943, expected_batch=64, epochs=20, delta=1e-5, repeats=5),
        Crowd(users=10_000, expected_batch=256, epochs=20, delta=1e-5, repeats=5),
        # δ = 1e-5 is more than 100,000^−1.1: a plan with it is refused.
        Crowd(users=100_000, expected_batch=1024, epochs=10, delta=3e-6, repeats=3),
    )
)

FAST: Final = Study(
    crowds=(Crowd(users=300, expected_batch=32, epochs=4, delta=1e-5, repeats=2),),
    epsilons=(8.0,),
    test_users=500,
)
"""A look within seconds: it shows that everything runs, and says nothing about privacy's price."""
