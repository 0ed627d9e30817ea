"""The evaluator: no leakage from the future, choices on validation alone, and gates that hold."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from clients.evaluation import Evaluation, Evaluator
from clients.slices import NEW, REPURCHASE, TASKS
from common.data.sequences import Sequences
from common.data.split import Cut, Split, leave_last_out
from common.errors import DataError
from common.model.scorer import zero_shot_scores

Floats = NDArray[np.float32]
Neural = Callable[[Sequences], Floats]


@pytest.fixture(scope="module")
def evaluator(features: Floats, split: Split) -> Evaluator:
    return Evaluator("shop", features, split)


def mean(evaluation: Evaluation, name: str = NEW, metric: str = "ndcg@10") -> float:
    rows = evaluation.frame.filter((pl.col("slice") == name) & (pl.col("metric") == metric))
    return float(rows["value"].mean())  # type: ignore[arg-type]


def oracle(cut: Cut, items: int, strength: float) -> Neural:
    """A model that has seen the future of every history in ``cut``, and is otherwise noise."""
    later = {tuple(cut.known.first_occurrences().of(user)): user for user in range(cut.known.users)}

    def scores(histories: Sequences) -> Floats:
        rng = np.random.default_rng(histories.events)
        found = rng.normal(0, 1, (histories.users, items)).astype(np.float32)
        for row in range(histories.users):
            user = later.get(tuple(histories.of(row)))
            if user is not None:
                found[row, cut.new.of(user)] += strength
        return found

    return scores


def test_local_heads_beat_popularity(evaluator: Evaluator) -> None:
    by_name = {evaluation.system: evaluation for evaluation in evaluator.baselines()}
    assert set(by_name) == {"text", "popularity", "popularity-7d", "ease"}
    assert mean(by_name["ease"]) > mean(by_name["popularity"]) + 0.05
    assert mean(evaluator.measure(evaluator.zero_exchange)) > mean(by_name["popularity"]) + 0.05


def test_repurchase_has_weights_of_its_own(evaluator: Evaluator) -> None:
    habits = {"own frequency", "own recency"}
    assert habits.isdisjoint(evaluator.weights[NEW])
    assert habits <= set(evaluator.weights[REPURCHASE])


def test_the_test_period_changes_nothing_but_its_own_figures(features: Floats, split: Split) -> None:
    later = split.test
    shuffled = replace(later.new, items=(later.new.items[::-1]).copy())
    altered = Split(split.train, split.validation, Cut(later.known, shuffled, later.repeat))
    one, other = (Evaluator("shop", features, each) for each in (split, altered))
    assert one.weights == other.weights
    for task in TASKS:
        np.testing.assert_array_equal(one.zero_exchange.test[task], other.zero_exchange.test[task])
    neural = oracle(split.test, len(features), 5.0)
    gates = [each.extend("m", each.zero_exchange, neural).gates for each in (one, other)]
    assert gates[0] == gates[1]


def test_validation_scores_do_not_see_the_validation_period(features: Floats, split: Split) -> None:
    """Events between the two moments may move weights, but the heads of validation see train alone."""
    nothing = split.validation.known
    frozen = Split(split.train, split.validation, Cut(nothing, split.test.new, split.test.repeat))
    one, other = (Evaluator("shop", features, each) for each in (split, frozen))
    for task in TASKS:
        np.testing.assert_array_equal(
            one.zero_exchange.validation[task], other.zero_exchange.validation[task]
        )


def test_a_better_model_opens_the_gate_and_gains(
    evaluator: Evaluator, features: Floats, split: Split
) -> None:
    items = len(features)
    seen, unseen = (oracle(cut, items, 4.0) for cut in (split.validation, split.test))
    system = evaluator.extend(
        "federated",
        evaluator.zero_exchange,
        lambda histories: seen(histories) + unseen(histories),
        gated=True,
    )
    gate = system.gates[NEW]
    assert gate.open
    assert gate.low >= 0
    assert mean(evaluator.measure(system)) > mean(evaluator.measure(evaluator.zero_exchange)) + 0.1


def test_a_model_that_only_looks_good_on_tuning_users_is_shut_out(
    evaluator: Evaluator, features: Floats
) -> None:
    rng = np.random.default_rng(0)
    system = evaluator.extend(
        "federated",
        evaluator.zero_exchange,
        lambda histories: rng.normal(0, 1, (histories.users, len(features))).astype(np.float32),
        gated=True,
    )
    assert not any(gate.open for gate in system.gates.values())
    before, after = (evaluator.measure(each) for each in (evaluator.zero_exchange, system))
    assert after.frame.drop("system").equals(before.frame.drop("system"))


def test_models_see_each_known_item_once(evaluator: Evaluator, features: Floats) -> None:
    def scores(histories: Sequences) -> Floats:
        assert histories.events == histories.first_occurrences().events
        return zero_shot_scores(histories, features)

    assert evaluator.extend("m", evaluator.zero_exchange, scores).name == "m"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_diverged_model_is_named(evaluator: Evaluator, features: Floats, bad: float) -> None:
    with pytest.raises(DataError, match="shop: a model's scores are not finite"):
        evaluator.extend(
            "m",
            evaluator.zero_exchange,
            lambda histories: np.full((histories.users, len(features)), bad, np.float32),
        )


def test_lists_are_described(evaluator: Evaluator) -> None:
    lists = evaluator.measure(evaluator.zero_exchange).lists
    assert set(lists) == {"coverage@10", "novelty@10", "diversity@10", "popularity@10"}
    assert 0 < lists["coverage@10"] <= 1
    assert 0 < lists["popularity@10"] < 1


def test_the_same_seed_gives_the_same_figures(features: Floats, split: Split) -> None:
    frames = [
        each.measure(each.zero_exchange).frame
        for each in (Evaluator("shop", features, split, seed=3) for _ in range(2))
    ]
    assert frames[0].equals(frames[1])


def test_a_platform_without_repurchase(features: Floats, sequences: Sequences) -> None:
    split = leave_last_out(sequences.first_occurrences())
    evaluator = Evaluator("films", features, split)
    evaluation = evaluator.measure(evaluator.zero_exchange)
    assert evaluation.frame.filter(pl.col("slice") == REPURCHASE).is_empty()
    assert not evaluation.frame.filter(pl.col("slice") == NEW).is_empty()


def test_nobody_to_be_judged_by_is_an_error(features: Floats, split: Split) -> None:
    empty = split.test.new.keep(np.zeros(split.test.new.events, np.bool_))
    none = split.test.repeat.keep(np.zeros(split.test.repeat.events, np.bool_))
    with pytest.raises(DataError, match="no user has a relevant item"):
        Evaluator("shop", features, Split(split.train, split.validation, Cut(split.test.known, empty, none)))
