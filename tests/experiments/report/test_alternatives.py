"""What else could be run alone is listed where the test users prefer it to the standalone choice, nowhere else."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from common.metrics.intervals import paired_interval
from scenarios.experiments.report.alternatives import Alternative, alternatives, strongest
from scenarios.experiments.report.compare import comparisons
from scenarios.experiments.report.record import METRICS_SCHEMA

USERS = 60


def measured(
    system: str, values: np.ndarray, *, seed: int = 1, epsilon: float | None = None, name: str = "new"
) -> pl.DataFrame:
    columns = {"platform": "video", "system": system, "seed": seed, "epsilon": epsilon}
    per_user = {
        "user": np.arange(USERS, dtype=np.int32),
        "slice": name,
        "metric": "ndcg@10",
        "value": values,
    }
    return pl.DataFrame({**columns, **per_user}, schema=METRICS_SCHEMA)


@pytest.fixture
def base() -> np.ndarray:
    return np.random.default_rng(3).random(USERS)


def found(*frames: pl.DataFrame, epsilon: float | None = 8.0) -> tuple[Alternative, ...]:
    return alternatives(comparisons(pl.concat(frames)), epsilon)


def test_a_better_system_is_told_with_the_paired_intervals_of_the_metrics_package(base: np.ndarray) -> None:
    random = np.random.default_rng(4)
    ease = base + random.normal(0.05, 0.02, USERS)
    federated = base + random.normal(0.01, 0.02, USERS)
    (one,) = found(
        measured("alone", base), measured("ease", ease), measured("federated", federated, epsilon=8.0)
    )
    to_choice, to_it = paired_interval(ease, base), paired_interval(federated, ease)
    assert (one.platform, one.system, one.users, one.epsilon) == ("video", "ease", USERS, 8.0)
    expected = (to_choice.mean, to_choice.low, to_choice.high)
    assert (one.difference, one.low, one.high) == pytest.approx(expected, abs=1e-6)
    assert one.federated == pytest.approx((to_it.mean, to_it.low, to_it.high), abs=1e-6)
    assert one.relative == pytest.approx([value / base.mean() for value in expected], abs=1e-6)
    assert one.federated_relative == pytest.approx(
        [value / ease.mean() for value in (to_it.mean, to_it.low, to_it.high)], abs=1e-6
    )
    assert one.better and one.above_federated


def test_what_is_no_better_or_needs_others_is_not_listed(base: np.ndarray) -> None:
    assert (
        found(
            measured("alone", base),
            measured("zero-exchange", base),
            measured("popularity", base - 0.01),
            measured("federated-ungated", base + 0.1, epsilon=8.0),
            measured("pooled", base + 0.1),
            measured("pooled-clipped", base + 0.1),
            measured("federated", base + 0.1, epsilon=8.0),
        )
        == ()
    )


def test_a_higher_mean_within_its_interval_is_listed_but_not_called_better(base: np.ndarray) -> None:
    shaken = base + np.random.default_rng(5).normal(0, 0.3, USERS)
    shaken += 0.01 + base.mean() - shaken.mean()
    (one,) = found(measured("alone", base), measured("text", shaken))
    assert one.low < 0 < one.difference and not one.better
    assert one.federated is None and one.federated_relative is None and not one.above_federated


def test_the_choice_and_the_others_are_means_over_their_seeds(base: np.ndarray) -> None:
    frames = [measured("alone", base + shift, seed=seed) for seed, shift in ((1, 0.1), (2, 0.3))]
    own = [measured("local-only", base + shift, seed=seed) for seed, shift in ((1, 0.2), (2, 0.3))]
    (one,) = found(*frames, *own)
    assert one.system == "local-only" and one.difference == pytest.approx(0.05)


def test_where_seeds_and_repeats_differ_the_choice_is_the_one_that_federated_was_built_on(
    base: np.ndarray,
) -> None:
    """Over both seeds the choice would be above it."""
    frames = [measured("alone", base + shift, seed=seed) for seed, shift in ((1, 0.1), (2, 0.3))]
    federated = measured("federated", base, seed=1, epsilon=8.0)
    (one,) = found(*frames, measured("ease", base + 0.15), federated)
    assert one.reference_mean == pytest.approx(base.mean() + 0.1)
    assert one.difference == pytest.approx(0.05)


def test_slices_are_not_searched_and_without_a_choice_there_is_nothing_to_say(base: np.ndarray) -> None:
    cold = [measured("alone", base, name="cold-0"), measured("ease", base + 1, name="cold-0")]
    assert found(*cold) == () == found(measured("ease", base + 1))


def test_the_best_comes_first_and_is_the_strongest_of_its_platform(base: np.ndarray) -> None:
    listed = found(measured("alone", base), measured("ease", base + 0.1), measured("text", base + 0.2))
    assert [one.system for one in listed] == ["text", "ease"]
    elsewhere = replace(listed[1], platform="fresh")
    assert strongest([*listed, elsewhere]) == (listed[0], elsewhere)
    assert strongest([listed[1], listed[0]]) == (listed[0],)
