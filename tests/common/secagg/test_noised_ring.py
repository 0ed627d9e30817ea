"""A ring with room for noise: what a platform may add, what a sum may hold, and what is signed of it."""

import numpy as np
import pytest

from common.deltas import ClippedDelta, QuantizedDelta
from common.randomness import KeyedRandomness, OsRandomness
from common.secagg.errors import BadTerms, OutOfBound, WrongShape, WrongSum
from common.secagg.ring import Ring, Tensor
from common.secagg.terms import Terms

RING = Ring(1.0, noise=1000)


def rounded(ring: Ring, *values: float, weight: float = 1.0) -> QuantizedDelta:
    return ring.quantise(ClippedDelta(np.array(values, np.float32), ring.clip), weight, OsRandomness())


def whole(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def lanes(*values: int, count: int = 1) -> np.ndarray:
    return np.array([*values, count * RING.weight_units, count], np.int64).astype(np.uint32)


@pytest.mark.parametrize("ring", [RING, Ring(1.0, 12, 16, (Tensor(3, 1.0),), noise=1000)])
def test_noise_is_added_to_the_values_alone_and_in_place(ring: Ring) -> None:
    delta = rounded(ring, 0.0, 0.0, 0.0)
    noised = ring.noised(delta, whole(1000, -1000, 7))
    assert noised is delta
    assert noised.lanes.dtype == ring.dtype
    assert ring._signed(noised.lanes).tolist() == [1000, -1000, 7]
    assert noised.lanes[-2:].tolist() == [ring.weight_units, 1]
    ring.check_share(noised, 3, 3)


def test_a_ring_without_room_takes_no_noise_at_all() -> None:
    assert Ring(1.0).noised(rounded(Ring(1.0), 0.5, 0.25), whole(0, 0)).lanes[-1] == 1
    for one in (1, -1):
        with pytest.raises(OutOfBound):
            Ring(1.0).noised(rounded(Ring(1.0), 0.5, 0.25), whole(one, 0))


def test_noise_comes_back_in_the_mean() -> None:
    values = np.linspace(-1, 1, 50, dtype=np.float32)
    noise = [KeyedRandomness("noise", n).integers(2001, 50).astype(np.int32) - 1000 for n in range(3)]
    total = np.zeros(52, np.uint32)
    for one in noise:
        total += RING.noised(RING.quantise(ClippedDelta(values, 1.0), 2.0, OsRandomness()), one).lanes
    exact = values + sum(one.astype(float) for one in noise) / (RING.top * 6)
    assert np.abs(RING.dequantise(total).mean - exact).max() < 3 / (RING.top * 6) + 1e-6


def test_noise_for_other_values_is_refused() -> None:
    for wrong in (whole(1), whole(1, 2, 3), np.zeros((1, 2), np.int32)):
        with pytest.raises(WrongShape, match=f"noise for {wrong.size} values, not 2") as refused:
            RING.noised(rounded(RING, 0.0, 0.0), wrong)
        assert refused.value.phase == "quantise"


@pytest.mark.parametrize("wrong", [(1001, 0), (0, -1001)])
def test_noise_above_what_the_ring_has_room_for_is_refused(wrong: tuple[int, int]) -> None:
    with pytest.raises(OutOfBound, match="noise above the 1000 that the ring has room for") as refused:
        RING.noised(rounded(RING, 0.0, 0.0), whole(*wrong))
    assert refused.value.phase == "quantise"
    with pytest.raises(OutOfBound):
        Ring(1.0).noised(rounded(Ring(1.0), 0.0), whole(1))


def test_a_share_may_pass_its_weight_by_the_noise_and_no_more() -> None:
    most = RING.top + 1001
    RING.check_share(QuantizedDelta(lanes(most, -most)), 2, 4)
    for wrong in ((most + 1, 0), (0, -most - 1)):
        with pytest.raises(OutOfBound):
            RING.check_share(QuantizedDelta(lanes(*wrong)), 2, 4)


def test_a_sum_may_hold_everyones_noise_and_no_more() -> None:
    most = 3 * (RING.top + 1001)
    assert RING.dequantise(lanes(most, -most, count=3)).mean == pytest.approx([1.0005, -1.0005], abs=1e-4)
    for wrong in ((most + 1, 0), (0, -most - 1)):
        with pytest.raises(WrongSum):
            RING.dequantise(lanes(*wrong, count=3))


@pytest.mark.parametrize(("bits", "width"), [(22, 32), (8, 32), (16, 16), (12, 16)])
def test_it_says_how_many_platforms_fit(bits: int, width: int) -> None:
    """The largest sum: all weight at the top, and each platform's unit of rounding and noise beside it."""
    tensors = (Tensor(1, 1.0),) if width == 16 else ()
    bare = Ring(1.0, bits, width, tensors)  # type: ignore[arg-type]
    room = (1 << (width - 1)) - 1 - int(bare.most_weight * bare.top)
    for platforms in (3, 10, 100):
        most = room // platforms - 1
        assert Ring(1.0, bits, width, tensors, most).holds(platforms)  # type: ignore[arg-type]
        assert not Ring(1.0, bits, width, tensors, most + 1).holds(platforms)  # type: ignore[arg-type]


def test_every_sum_that_fits_comes_back_without_wrapping() -> None:
    ring = Ring(1.0, 22, noise=((1 << 30) + 511) // 3 - 1)
    assert ring.holds(3)
    assert not Ring(1.0, 22, noise=ring.noise + 1).holds(3)
    weight = ring.most_share(3)
    total = np.zeros(4, np.uint32)
    for _ in range(3):
        share = ring.noised(rounded(ring, 1.0, -1.0, weight=weight), whole(ring.noise, -ring.noise))
        ring.check_share(share, 2, 3)
        total += share.lanes
    assert (ring.dequantise(total).mean * [1, -1] > 1.9).all()


def test_terms_refuse_noise_without_headroom() -> None:
    roster = {name: name.encode() * 32 for name in "abcd"}
    fits = ((1 << 30) + 511) // 4 - 1
    Terms(bytes(32), roster, 1, 2, Ring(1.0, noise=fits))
    with pytest.raises(BadTerms, match="the noise leaves the ring no headroom for the sum"):
        Terms(bytes(32), roster, 1, 2, Ring(1.0, noise=fits + 1))


def test_negative_noise_is_refused() -> None:
    with pytest.raises(BadTerms, match="the largest noise is negative") as refused:
        Ring(1.0, noise=-1)
    assert refused.value.phase == "terms"


def test_the_noise_is_signed_and_rings_without_any_hash_as_before() -> None:
    narrow = (Tensor(2, 1.0), Tensor(3, 0.5))
    rings = [
        Ring(1.0),
        Ring(1.0, noise=1),
        Ring(1.0, noise=2),
        Ring(1.0, 16, 16, narrow),
        Ring(1.0, 16, 16, narrow, 1),
        Ring(1.0, 16, 16, narrow, 2),
    ]
    assert len({ring.encode() for ring in rings}) == len(rings)
    assert Ring(1.0, noise=0).encode() == Ring(1.0).encode()
