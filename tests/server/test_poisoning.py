"""Platforms that poison, in real rounds over a real learning task: what it costs, and who is named."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clients.site import Site
from common.charter import ModelTerms, ServerTraining
from common.deltas import AdapterDelta, Floats
from common.errors import EnvironmentProblem
from common.robust import RobustTerms
from server.checkpoint import Checkpoint, RunFolder
from server.rounds import Service, conduct

Make = Callable[..., Any]

TWELVE = tuple(f"platform-{letter}" for letter in "abcdefghijkl")
FIVE = TWELVE[:5]

FEATURES, KINDS = 20, 8
PARAMETERS = (FEATURES + 1) * KINDS
Points = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """Which of eight kinds a point belongs to, spread unevenly over the platforms.

    ``shares``: each platform's points (n, 21) and kinds (n,); ``public``, ``test``: the same, of nobody."""

    shares: dict[str, tuple[Points, Labels]]
    public: tuple[Points, Labels]
    test: tuple[Points, Labels]

    @classmethod
    def spread(cls, platforms: tuple[str, ...], seed: int) -> "Task":
        """Kinds overlap, and each platform sees mostly some of them (Dirichlet, 0.5)."""
        draw = np.random.default_rng(seed)
        centres = draw.normal(size=(KINDS, FEATURES))

        def points(kinds: Labels) -> tuple[Points, Labels]:
            found = centres[kinds] + 1.6 * draw.normal(size=(len(kinds), FEATURES))
            return np.hstack([found, np.ones((len(kinds), 1))]), kinds

        tastes = draw.dirichlet(np.full(KINDS, 0.5), len(platforms))
        owned = [points(draw.choice(KINDS, 150, p=taste)) for taste in tastes]
        shares = dict(zip(platforms, owned, strict=True))
        return cls(shares, points(draw.integers(KINDS, size=400)), points(draw.integers(KINDS, size=4000)))

    def update(self, platform: str, model: Floats) -> Floats:
        """What ten steps of a fresh Adam on a platform's own points change, as the product's sites train."""
        points, kinds = self.shares[platform]
        weights = model.astype(np.float64).reshape(FEATURES + 1, KINDS)
        start, truth = weights, np.eye(KINDS)[kinds]
        first = second = np.zeros_like(weights)
        for step in range(1, 11):
            gradient = points.T @ (_softmax(points @ weights) - truth) / len(points)
            first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
            scale = np.sqrt(second / (1 - 0.999**step)) + 1e-8
            weights = weights - 0.01 * first / (1 - 0.9**step) / scale
        return (weights - start).ravel().astype(np.float32)


def accuracy(model: Floats, data: tuple[Points, Labels]) -> float:
    """The share of points whose kind the model tells."""
    points, kinds = data
    return float(np.mean((points @ model.reshape(FEATURES + 1, KINDS)).argmax(axis=1) == kinds))


def _softmax(scores: Points) -> Points:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Sea:
    """Platforms with their shares of one task; each sailing is a run of its own from a model of zeros."""

    fleet: Make
    task: Task
    monkeypatch: pytest.MonkeyPatch

    def sail(
        self,
        robust: RobustTerms | None,
        factors: dict[str, float] | None = None,
        *,
        since: int = 1,
        score: Callable[[Floats], float] | None = None,
    ) -> Checkpoint:
        """``factors``: what an attacker multiplies its honest update by, from round ``since`` on."""

        def trained(site: Site, model: Floats, number: int) -> AdapterDelta:
            name = site._member.platform
            factor = (factors or {}).get(name, 1.0) if number >= since else 1.0
            return AdapterDelta(np.float32(factor) * self.task.update(name, model))

        self.monkeypatch.setattr(Site, "_train", trained)
        same = "5a" * 32
        made = self.fleet(
            *self.task.shares,
            rounds=10,
            robust=robust,
            model=ModelTerms(
                size="tiny", features=16, parameters=PARAMETERS, encoder=same, basis=same, layout=same
            ),
            server=ServerTraining(learning_rate=0.05, beta1=0.5, average=0.5),
            ring_clip=8.0,
        )
        run = RunFolder.create(made.run.path / "task", made.signed, np.zeros(PARAMETERS, np.float32))
        return conduct(made.tape(), run, lambda outcome: None, Service(score=score))

    def accuracy(self, sailed: Checkpoint) -> float:
        return accuracy(sailed.state.average, self.task.test)


@pytest.fixture
def sea(fleet: Make, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Sea]:
    return lambda *platforms, seed=0: Sea(fleet, Task.spread(platforms, seed), monkeypatch)


def norms(sailed: Checkpoint) -> Iterator[float]:
    for outcome in sailed.outcomes:
        yield from (group.norm for group in outcome.groups if group.norm is not None)


@pytest.mark.slow
def test_two_of_twelve_at_minus_ten_times_cost_less_than_three_points_and_their_groups_are_named(
    sea: Callable[..., Sea],
) -> None:
    made, attackers = sea(*TWELVE), {"platform-c": -10.0, "platform-h": -10.0}
    plain = made.accuracy(made.sail(None))
    rehearsal = made.sail(RobustTerms(norm_bound=1e6, statistic="median"))
    robust = RobustTerms(norm_bound=1.5 * max(norms(rehearsal)), statistic="median")

    assert made.accuracy(made.sail(None, attackers)) < plain - 0.3
    assert made.accuracy(rehearsal) > plain - 0.01

    attacked = made.sail(robust, attackers)
    assert made.accuracy(attacked) > plain - 0.03
    for outcome in attacked.outcomes:
        named = {group.platforms for group in outcome.groups if group.excluded.startswith("norm ")}
        assert named == {group.platforms for group in outcome.groups if set(group.platforms) & set(attackers)}
        assert outcome.refused == ""


def test_the_whole_round_is_refused_where_there_are_too_few_platforms_for_groups(
    sea: Callable[..., Sea],
) -> None:
    """The attacker stops all progress, and is not known; but it moves the model nowhere."""
    made = sea(*FIVE)
    bound = 1.5 * max(norms(made.sail(RobustTerms(norm_bound=1e6))))
    attacked = made.sail(RobustTerms(norm_bound=bound), {"platform-c": -10.0}, since=6)
    honest, poisoned = attacked.outcomes[:5], attacked.outcomes[5:]
    assert [outcome.refused for outcome in honest] == [""] * 5
    assert all(outcome.refused.startswith("no sum within the norm bound") for outcome in poisoned)
    assert all(group.platforms == FIVE for outcome in poisoned for group in outcome.groups)
    assert made.accuracy(made.sail(None, {"platform-c": -10.0}, since=6)) < made.accuracy(attacked) - 0.1


def test_a_poisoner_within_the_norm_bound_is_rolled_back_by_the_public_score(
    sea: Callable[..., Sea],
) -> None:
    """Two of five at −3 times: the sum points the wrong way and is no longer than honest ones were."""
    made, attackers = sea(*FIVE), {"platform-b": -3.0, "platform-c": -3.0}
    asked: list[float] = []

    def score(model: Floats) -> float:
        asked.append(accuracy(model, made.task.public))
        return asked[-1]

    bound = 1.5 * max(norms(made.sail(RobustTerms(norm_bound=1e6))))
    lost = made.sail(RobustTerms(norm_bound=bound), attackers, since=6)
    assert all(outcome.refused == "" for outcome in lost.outcomes)
    attacked = made.sail(RobustTerms(norm_bound=bound, rollback=0.02), attackers, since=6, score=score)
    assert made.accuracy(lost) < made.accuracy(attacked) - 0.05
    undone = [outcome for outcome in attacked.outcomes if outcome.refused]
    assert undone
    assert all(outcome.refused.startswith("public score") for outcome in undone)
    best = max(outcome.score.best for outcome in attacked.outcomes if outcome.score)
    assert accuracy(attacked.state.parameters, made.task.public) >= best - 0.02
    assert len(asked) == 1 + len(attacked.outcomes)


def test_a_charter_with_a_rollback_needs_a_coordinator_with_a_score(fleet: Make) -> None:
    made = fleet(robust=RobustTerms(norm_bound=1.0, rollback=0.1))
    tape = made.tape()
    with pytest.raises(EnvironmentProblem, match="no public score"):
        conduct(tape, made.run, lambda outcome: None)
    assert tape.passed == []
