"""The gates between a round's update and the next model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from common.charter import Charter
from common.deltas import Floats
from common.errors import EnvironmentProblem
from common.robust import RobustTerms
from server import optimizer
from server.checkpoint import Checkpoint
from server.gates import require_score, settle
from server.outcome import GroupOutcome, RoundOutcome

Draft = Callable[..., Charter]
STEP = np.full(24, 0.5, np.float32)


def outcome(number: int, excluded: str = "") -> RoundOutcome:
    group = GroupOutcome(platforms=("amber",), norm=1.0, excluded=excluded)
    fields: dict[str, Any] = {name: {} for name in ("dropped", "seconds_by_phase", "bytes_up", "bytes_down")}
    return RoundOutcome(
        number=number, attempt=number, cohort=("amber",), survivors=("amber",), groups=(group,), **fields
    )


def begun() -> Checkpoint:
    return Checkpoint(0, optimizer.start(np.zeros(24, np.float32)), ())


def scores(*values: float) -> Callable[[Floats], float]:
    told = list(values)
    return lambda parameters: told.pop(0)


def sail(charter: Charter, means: list[Floats | None], score: Callable[[Floats], float] | None) -> Checkpoint:
    checkpoint = begun()
    for mean in means:
        checkpoint = settle(charter, checkpoint, mean, outcome(checkpoint.round + 1), score)
    return checkpoint


def test_a_round_without_an_update_is_over_and_leaves_the_model_a_rounding_step_aside(draft: Draft) -> None:
    charter = draft(robust=RobustTerms(norm_bound=1.0))
    before = sail(charter, [STEP], None)
    after = settle(charter, before, None, outcome(2, "norm 9 over 1"), None)
    assert after.round == 2
    assert after.outcomes[-1].refused == "no sum within the norm bound: norm 9 over 1"
    moved = after.state.parameters != before.state.parameters
    assert np.flatnonzero(moved).tolist() == [0]
    assert np.abs(after.state.parameters - before.state.parameters).max() < 1e-6
    for name in ("first", "second", "average"):
        assert np.array_equal(getattr(after.state, name), getattr(before.state, name))


def test_a_refused_round_does_not_count_as_a_step_of_the_optimiser(draft: Draft) -> None:
    """Adam corrects its moments by the number of steps it took."""
    charter = draft(robust=RobustTerms(norm_bound=1.0))
    with_gap = sail(charter, [STEP, None, STEP], None)
    assert with_gap.round == 3
    assert np.allclose(
        with_gap.state.parameters, sail(charter, [STEP, STEP], None).state.parameters, atol=1e-6
    )


def test_without_robust_terms_nothing_is_scored(draft: Draft) -> None:
    made = sail(draft(), [STEP, STEP], scores())
    assert [one.score for one in made.outcomes] == [None, None]
    assert made.round == 2


def test_a_round_that_loses_more_than_the_bound_is_undone(draft: Draft) -> None:
    charter = draft(robust=RobustTerms(norm_bound=1.0, rollback=0.25))
    made = sail(charter, [STEP, STEP, STEP], scores(0.25, 0.75, 0.25, 1.0))
    assert [one.refused for one in made.outcomes] == [
        "",
        "public score 0.25, more than 0.25 under the best, 0.75",
        "",
    ]
    assert [(one.score.value, one.score.best) for one in made.outcomes if one.score] == [
        (0.75, 0.75),
        (0.25, 0.75),
        (1.0, 1.0),
    ]
    assert np.allclose(made.state.parameters, sail(charter, [STEP] * 2, scores(0, 0, 0)).state.parameters)


def test_a_slow_fall_is_held_against_the_best_and_not_the_last(draft: Draft) -> None:
    charter = draft(robust=RobustTerms(norm_bound=1.0, rollback=0.25))
    made = sail(charter, [STEP] * 4, scores(1.0, 0.875, 0.75, 0.625, 0.75))
    assert [bool(one.refused) for one in made.outcomes] == [False, False, True, False]


def test_the_model_the_run_began_with_counts_as_well(draft: Draft) -> None:
    charter = draft(robust=RobustTerms(norm_bound=1.0, rollback=0.25))
    made = sail(charter, [STEP, STEP], scores(0.75, 0.25, 0.75, 0.75))
    assert [bool(one.refused) for one in made.outcomes] == [True, False]


def test_a_score_that_is_no_number_is_no_good_score(draft: Draft) -> None:
    charter = draft(robust=RobustTerms(norm_bound=1.0, rollback=0.25))
    made = sail(charter, [STEP, STEP], scores(0.5, float("nan"), 0.5))
    assert [bool(one.refused) for one in made.outcomes] == [True, False]


@pytest.mark.parametrize(
    ("robust", "missing"),
    [(None, False), (RobustTerms(norm_bound=1), False), (RobustTerms(norm_bound=1, rollback=1), True)],
)
def test_a_rollback_needs_a_score(draft: Draft, robust: RobustTerms | None, missing: bool) -> None:
    charter = draft(robust=robust)
    require_score(charter, lambda parameters: 0.0)
    if not missing:
        require_score(charter, None)
        return
    with pytest.raises(EnvironmentProblem, match="has no public score"):
        require_score(charter, None)
