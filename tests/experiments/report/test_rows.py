from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from common.metrics.intervals import bootstrap_interval, paired_interval
from scenarios.experiments.report.compare import comparisons
from scenarios.experiments.report.figures import Figures
from scenarios.experiments.report.findings import find
from scenarios.experiments.report.record import METRICS_SCHEMA
from scenarios.experiments.report.rows import Row, build_rows

USERS = 40
Frame = Callable[..., pl.DataFrame]


def measured(
    system: str, values: np.ndarray, *, seed: int = 1, epsilon: float | None = None, name: str = "new"
) -> pl.DataFrame:
    columns = {"platform": "grocery", "system": system, "seed": seed, "epsilon": epsilon}
    users = np.arange(len(values), dtype=np.int32)[::-1]
    per_user = {"user": users, "slice": name, "metric": "ndcg@10", "value": values[::-1]}
    return pl.DataFrame({**columns, **per_user}, schema=METRICS_SCHEMA)


@pytest.fixture
def base() -> np.ndarray:
    return np.random.default_rng(3).random(USERS)


def rows_of(*frames: pl.DataFrame) -> tuple[Row, ...]:
    return build_rows(comparisons(pl.concat(frames)))


def test_a_row_is_the_mean_and_the_paired_difference_of_the_metrics_package(base: np.ndarray) -> None:
    ours = base + np.random.default_rng(4).normal(0.01, 0.02, USERS)
    rows = rows_of(measured("zero-exchange", base), measured("federated", ours, epsilon=8.0))
    row = next(r for r in rows if r.system == "federated" and r.difference_to == "zero-exchange")
    alone, paired = bootstrap_interval(ours), paired_interval(ours, base)
    assert (row.mean, row.low, row.high) == pytest.approx((alone.mean, alone.low, alone.high), rel=1e-5)
    expected = (paired.mean, paired.low, paired.high)
    assert (row.difference, row.difference_low, row.difference_high) == pytest.approx(expected, abs=1e-6)
    assert (row.users, row.epsilon, row.seed) == (USERS, 8.0, 1)


def test_a_closed_gate_gives_a_difference_of_exactly_zero(base: np.ndarray) -> None:
    rows = rows_of(measured("zero-exchange", base), measured("federated", base, epsilon=8.0))
    row = next(r for r in rows if r.system == "federated" and r.difference_to == "zero-exchange")
    assert (row.difference, row.difference_low, row.difference_high) == (0.0, 0.0, 0.0)


def test_gates_closed_in_seven_repeats_still_give_exactly_zero(base: np.ndarray) -> None:
    repeats = [measured("federated", base, seed=seed, epsilon=8.0) for seed in range(1, 8)]
    found = find(comparisons(pl.concat([measured("alone", base), *repeats])))
    assert [(f.low, f.high, f.verdict, f.repeats) for f in found] == [(0.0, 0.0, "none", 7)]


def test_repeats_are_averaged_per_user_before_anything_else(base: np.ndarray) -> None:
    noise = np.random.default_rng(5).normal(0, 0.2, USERS)
    frames = [
        measured("federated", base + sign * noise, seed=n, epsilon=1.0) for n, sign in ((1, 1), (2, -1))
    ]
    rows = rows_of(measured("zero-exchange", base), *frames)
    row = Figures(rows).row("grocery", "federated", 1.0, against="zero-exchange")
    assert row is not None and row.seed is None
    assert row.difference == pytest.approx(0, abs=1e-9)
    assert row.difference_high == pytest.approx(0, abs=1e-6)
    assert {r.seed for r in rows if r.system == "federated"} == {None, 1, 2}


def test_the_reference_of_a_repeat_is_the_mean_over_the_references_repeats(base: np.ndarray) -> None:
    frames = [measured("local-only", base + shift, seed=seed) for seed, shift in ((1, 0.1), (2, 0.3))]
    rows = rows_of(*frames, measured("federated", base + 0.2, epsilon=8.0))
    row = Figures(rows).row("grocery", "federated", 8.0, against="local-only")
    assert row is not None and row.difference == pytest.approx(0, abs=1e-9)


def test_federated_is_compared_with_itself_without_privacy_but_nothing_with_itself(base: np.ndarray) -> None:
    rows = rows_of(measured("federated", base), measured("federated", base - 0.01, epsilon=3.0))
    assert {(r.epsilon, r.difference_to) for r in rows} == {(None, None), (3.0, None), (3.0, "federated")}


def test_only_users_every_system_was_measured_on_are_compared(base: np.ndarray) -> None:
    rows = rows_of(measured("zero-exchange", base), measured("federated", base[:10], epsilon=8.0))
    assert {row.users for row in rows} == {10}


def test_a_value_that_is_not_finite_takes_its_user_out(base: np.ndarray) -> None:
    broken = base.copy()
    broken[7] = np.nan
    rows = rows_of(measured("zero-exchange", base), measured("federated", broken, epsilon=8.0))
    assert {row.users for row in rows} == {USERS - 1}
    assert all(np.isfinite(row.mean) for row in rows)


def test_no_common_user_gives_no_row(base: np.ndarray) -> None:
    nobody = measured("federated", base, epsilon=8.0).with_columns(pl.col("user") + USERS)
    assert rows_of(measured("zero-exchange", base), nobody) == ()


def test_federated_is_compared_with_what_it_is_built_on(base: np.ndarray) -> None:
    stronger = [measured("zero-exchange", base + 0.05), measured("local-only", base + 0.04)]
    frames = [*stronger, measured("alone", base), measured("federated", base + 0.02, epsilon=8.0)]
    found = find(comparisons(pl.concat(frames)))
    assert [(f.verdict, f.difference) for f in found] == [("gain", pytest.approx(0.02))]


def test_nothing_is_found_where_what_it_is_built_on_was_not_measured(base: np.ndarray) -> None:
    frames = [measured("zero-exchange", base), measured("federated", base, epsilon=8.0)]
    assert find(comparisons(pl.concat(frames))) == ()


def test_every_repeat_is_paired_with_the_base_of_the_same_repeat(base: np.ndarray) -> None:
    own = {seed: base + 0.1 * seed for seed in (2, 7)}
    alone = [measured("alone", values, seed=seed) for seed, values in own.items()]
    federated = [measured("federated", own[(2, 7, 2)[n - 1]], seed=n, epsilon=8.0) for n in (1, 2, 3)]
    unprotected = [measured("federated", values, seed=seed) for seed, values in own.items()]
    compared = list(comparisons(pl.concat([*alone, *federated, *unprotected])))
    assert [(f.low, f.high, f.unchanged) for f in find(compared)] == [(0.0, 0.0, True)] * 2
    rows = [r for r in build_rows(compared) if r.system == "federated" and r.difference_to == "alone"]
    assert {(r.epsilon, r.seed) for r in rows} >= {(8.0, 1), (8.0, 3), (8.0, None), (None, 2), (None, 7)}
    assert all(r.difference == 0 for r in rows)


def test_other_systems_are_compared_with_the_mean_over_the_bases(base: np.ndarray) -> None:
    alone = [measured("alone", base + shift, seed=seed) for seed, shift in ((1, 0.1), (2, 0.3))]
    row = Figures(rows_of(*alone, measured("ease", base))).row("grocery", "ease", against="alone")
    assert row is not None and row.difference == pytest.approx(-0.2)


def test_holm_covers_every_platform_and_epsilon_of_the_slice(base: np.ndarray) -> None:
    random = np.random.default_rng(6)
    shifted = [(epsilon, base + random.normal(0.004, 0.01, USERS)) for epsilon in (8.0, 3.0, 1.0)]
    federated = [measured("federated", ours, epsilon=epsilon) for epsilon, ours in shifted]
    frames = [measured("alone", base), *federated]
    compared = list(comparisons(pl.concat(frames)))
    raw = [
        compared[0].p_value(compared[0].averaged("federated", e, "ndcg@10") or 0, 0) for e in (8.0, 3.0, 1.0)
    ]
    found = find(compared)
    assert max(f.p_holm for f in found) >= max(raw)
    assert min(f.p_holm for f in found) == pytest.approx(min(1.0, 3 * min(raw)))


def test_the_gap_is_recovered_only_where_there_is_one(base: np.ndarray) -> None:
    frames = [
        measured("zero-exchange", base),
        measured("alone", base),
        measured("federated", base + 0.01, epsilon=8.0),
    ]
    wide = find(comparisons(pl.concat([*frames, measured("pooled", base + 0.04)])))[0]
    assert wide.gap == pytest.approx((0.25, 0.25, 0.25), abs=1e-4)
    assert find(comparisons(pl.concat([*frames, measured("pooled", base)])))[0].gap is None
    assert find(comparisons(pl.concat(frames)))[0].gap is None
