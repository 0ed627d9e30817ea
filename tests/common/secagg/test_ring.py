"""The ring: exact sums, unbiased rounding, and every vector that must not be masked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.deltas import ClippedDelta, QuantizedDelta
from common.randomness import KeyedRandomness, OsRandomness
from common.secagg.errors import BadTerms, NoHeadroom, NotFinite, OutOfBound, WrongShape, WrongSum
from common.secagg.parts import BLOCK
from common.secagg.ring import Ring


def delta(*values, bound=1.0):
    return ClippedDelta(np.array(values, np.float32), bound)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(8, 22),
    st.floats(0.01, 100),
    st.lists(st.tuples(st.floats(-1, 1, width=32), st.floats(0.125, 20)), min_size=1, max_size=8),
)
def test_the_mean_comes_back(bits, clip, parts):
    ring = Ring(clip, bits)
    weights = [round(w * ring.weight_units) / ring.weight_units for _, w in parts]
    values = [np.float32(x) * np.float32(clip) for x, _ in parts]
    lanes = np.zeros(3, np.uint32)
    for value, weight in zip(values, weights, strict=True):
        lanes += ring.quantise(delta(value, bound=clip), weight, OsRandomness()).lanes
    result = ring.dequantise(lanes)
    exact = np.dot(np.clip(np.float64(values), -clip, clip), weights) / sum(weights)
    assert result.weight == sum(weights)
    assert result.platforms == len(parts)
    tolerance = clip * len(parts) / (ring.top * sum(weights)) + 1e-6 * clip
    assert abs(result.mean[0] - exact) <= tolerance


def test_rounding_is_unbiased():
    ring, count = Ring(1.0, 8), 200_000
    values = np.full(count, 0.3, np.float32)
    lanes = (
        ring.quantise(ClippedDelta(values, 1.0), 1.0, KeyedRandomness("unbiased")).lanes[:-2].view(np.int32)
    )
    exact = float(np.float32(0.3)) * ring.top
    fraction = exact - np.floor(exact)
    error = np.sqrt(fraction * (1 - fraction) / count)
    assert set(np.unique(lanes)) == {np.floor(exact), np.ceil(exact)}
    assert abs(lanes.mean() - exact) < 5 * error


def test_keyed_rounding_repeats_and_os_rounding_does_not():
    ring, values = Ring(1.0, 8), ClippedDelta(np.full(BLOCK + 7, 0.3, np.float32), 1.0)
    keyed = [ring.quantise(values, 1.0, KeyedRandomness("seed", 7)).lanes for _ in range(2)]
    fresh = [ring.quantise(values, 1.0, OsRandomness()).lanes for _ in range(2)]
    assert np.array_equal(*keyed)
    assert not np.array_equal(*fresh)


def test_lanes_are_twos_complement_then_weight_then_count():
    lanes = Ring(2.0, 4).quantise(delta(-2.0, 0.0, 2.0, bound=2.0), 3.0, OsRandomness()).lanes
    assert lanes.view(np.int32).tolist() == [-21, 0, 21, 24, 1]


def test_the_input_is_not_changed():
    values = np.array([0.25, -0.5], np.float32)
    Ring(1.0).quantise(ClippedDelta(values, 1.0), 1.0, OsRandomness())
    assert values.tolist() == [0.25, -0.5]


def test_the_largest_weight_reaches_the_limit_without_wrapping():
    ring = Ring(1.0)
    lanes = ring.quantise(delta(1.0, -1.0), ring.most_weight, OsRandomness()).lanes
    result = ring.dequantise(lanes)
    assert ring.most_weight == 512
    assert result.mean.tolist() == [1.0, -1.0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite_is_refused_wherever_it_stands(value):
    for place in (0, 1, 2):
        values = [0.5, 0.5, 0.5]
        values[place] = value
        with pytest.raises(NotFinite):
            Ring(1.0).quantise(delta(*values), 1.0, OsRandomness())


@pytest.mark.parametrize(("value", "bound"), [(0.6, 0.5), (-0.6, 0.5), (0.5, 1.5), (0.5, np.nan)])
def test_a_bound_that_is_not_kept_or_too_wide_is_refused(value, bound):
    with pytest.raises(OutOfBound):
        Ring(1.0).quantise(delta(value, bound=bound), 1.0, OsRandomness())


@pytest.mark.parametrize("weight", [0.0, -1.0, 1e-9, 512.1, np.inf, np.nan])
def test_a_weight_without_room_is_refused(weight):
    with pytest.raises(NoHeadroom):
        Ring(1.0).quantise(delta(0.5), weight, OsRandomness())


@pytest.mark.parametrize(
    ("clip", "bits"), [(0.0, 22), (-1.0, 22), (np.inf, 22), (np.nan, 22), (1.0, 1), (1.0, 23)]
)
def test_an_impossible_ring_is_refused(clip, bits):
    with pytest.raises(BadTerms):
        Ring(clip, bits)


def share(values=(5, -5), weight=1.0, count=1):
    ring = Ring(1.0)
    lanes = np.array([*values, int(weight * ring.weight_units), count], np.int64)
    return QuantizedDelta(lanes.astype(np.uint32))


def test_an_honest_share_passes():
    Ring(1.0).check_share(share(values=(Ring(1.0).top + 1, -Ring(1.0).top - 1)), 2, 512)


def test_a_share_too_heavy_for_its_cohort():
    with pytest.raises(NoHeadroom, match=r"at most 51\.2 fits 10 platforms"):
        Ring(1.0).check_share(share(weight=51.3), 2, 10)
    with pytest.raises(NoHeadroom):
        Ring(1.0).check_share(share(weight=0.0), 2, 10)


@pytest.mark.parametrize(
    "wrong",
    [share(count=2), share(count=0), share(values=(Ring(1.0).top + 2, 0)), share(values=(0, -(1 << 31)))],
)
def test_a_share_that_claims_more_than_it_may(wrong):
    with pytest.raises(OutOfBound):
        Ring(1.0).check_share(wrong, 2, 4)


def test_a_share_of_another_shape_or_type():
    with pytest.raises(WrongShape):
        Ring(1.0).check_share(share(), 3, 4)
    with pytest.raises(WrongShape):
        Ring(1.0).check_share(QuantizedDelta(share().lanes.astype(np.uint64)), 2, 4)


def test_a_sum_that_no_platforms_could_give():
    ring = Ring(1.0)
    for wrong in (
        share(count=0),
        share(weight=0),
        share(values=(ring.top + 2, 0)),
        share(values=(0, -ring.top - 2)),
    ):
        with pytest.raises(WrongSum):
            ring.dequantise(wrong.lanes)
    with pytest.raises(NoHeadroom):
        ring.dequantise(share(weight=513).lanes)


def test_a_float32_just_above_its_bound_stays_on_the_ring():
    """float32(0.1) is above 0.1, by enough to be four units too many at weight 128."""
    ring = Ring(0.1)
    share_of_all = ring.quantise(delta(0.1, -0.1, bound=0.1), 128.0, OsRandomness())
    assert share_of_all.lanes[:2].view(np.int32).tolist() == [128 * ring.top, -128 * ring.top]
    ring.check_share(share_of_all, 2, 4)
