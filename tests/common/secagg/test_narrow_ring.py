"""Lanes of 16 bits: no sum of admissible weights wraps, the error is small, and what does not fit is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.deltas import ClippedDelta, MaskedDelta, QuantizedDelta
from common.randomness import KeyedRandomness, OsRandomness
from common.secagg import MaskedVector, Terms
from common.secagg.errors import BadTerms, NoHeadroom, OutOfBound, TooFewPlatforms, WrongShape, WrongSum
from common.secagg.ring import SLACK, Ring, Tensor
from common.secagg.terms import MOST_PLATFORMS

ONE = Ring(1.0, 16, 16, (Tensor(2, 1.0),))


def narrow(*tensors, clip=1.0, bits=16):
    return Ring(clip, bits, 16, tuple(Tensor(*tensor) for tensor in tensors))


@settings(deadline=None, max_examples=200)
@given(st.integers(8, 16), st.lists(st.floats(0.01, 1), min_size=1, max_size=40), st.booleans())
def test_no_sum_of_weights_up_to_one_wraps_around(bits, parts, negative):
    """Every platform at its clip, every rounding away from zero: the worst sum there is, in exact integers."""
    ring = narrow((1, 1.0), bits=bits)
    shares = [part / sum(parts) for part in parts]
    values = ClippedDelta(np.array([-1.0 if negative else 1.0], np.float32), 1.0)
    deltas = [
        ring.quantise(values, share, OsRandomness()) for share in shares if share * ring.weight_units >= 1
    ]
    exact = np.zeros(3, np.int64)
    wrapped = np.zeros(3, np.uint16)
    for delta in deltas:
        ring.check_share(delta, 1, len(parts))
        worst = delta.lanes.copy()
        worst[:1] += np.uint16(-1 & 0xFFFF) if negative else np.uint16(1)
        exact += [*worst[:1].view(np.int16).astype(np.int64), *worst[1:].astype(np.int64)]
        wrapped += worst
    assert [*wrapped[:1].view(np.int16), *wrapped[1:]] == exact.tolist()
    assert exact[1] <= ring.weight_units


def test_the_slack_is_a_unit_for_each_platform_that_a_charter_may_have():
    assert SLACK >= MOST_PLATFORMS
    assert ONE.most_weight * ONE.top + SLACK == (1 << 15) - 1
    assert narrow((1, 1.0), bits=14).most_weight == 2


def test_the_mean_of_ten_platforms_is_off_by_less_than_two_per_mille():
    sizes, norms, platforms = (60_000, 30_000, 10_000), (1.0, 0.3, 2.0), 10
    sigmas = [norm / np.sqrt(size) for norm, size in zip(norms, sizes, strict=True)]
    ring = narrow(*((size, 6 * sigma) for size, sigma in zip(sizes, sigmas, strict=True)))
    spread, draw = np.repeat(sigmas, sizes), np.random.default_rng(0)
    total, exact = np.zeros(sum(sizes) + 2, np.uint16), np.zeros(sum(sizes))
    for _ in range(platforms):
        values = (draw.standard_normal(sum(sizes)) * spread).astype(np.float32)
        exact += values.astype(np.float64) / platforms
        total += ring.quantise(ClippedDelta(np.clip(values, -1, 1), 1.0), 1 / platforms, OsRandomness()).lanes
    result = ring.dequantise(total)
    assert result.platforms == platforms
    for begin, end in ((0, 60_000), (60_000, 90_000), (90_000, 100_000)):
        error = np.linalg.norm(result.mean[begin:end] - exact[begin:end]) / np.linalg.norm(exact[begin:end])
        assert 0.0003 < error < 0.002


def test_each_tensor_has_its_own_clip_and_its_own_unit():
    ring = narrow((2, 1.0), (1, 0.5))
    delta = ring.quantise(ClippedDelta(np.array([1.0, 0.5, -0.75], np.float32), 1.0), 0.5, OsRandomness())
    signed = delta.lanes.view(np.int16)
    half = ring.top / 2
    assert signed[1:].tolist()[0] in (np.floor(half / 2), np.ceil(half / 2))
    assert signed[0] in (np.floor(half), np.ceil(half))
    assert signed[2] in (-np.floor(half), -np.ceil(half)), "clipped to the tensor's 0.5"
    assert signed[3:].tolist() == [1 << 14, 1]
    assert ring.dequantise(delta.lanes).mean == pytest.approx([1.0, 0.5, -0.5], abs=1e-4)


@pytest.mark.parametrize("drop", [{}, {"share": ["port-001"], "mask": ["port-004"]}, {"sign": ["port-000"]}])
def test_a_whole_round_on_narrow_lanes_is_exact(convoy, drop):
    ring = narrow((15, 1.0), (25, 0.5))
    ships = convoy(7, 1, ring=ring)
    outcome = ships.round(drop)
    assert outcome.lanes.dtype == np.uint16
    assert np.array_equal(outcome.lanes, ships.plain_sum(outcome.survivors))
    assert ring.dequantise(outcome.lanes).platforms == len(outcome.survivors)
    vectors = [message for kind, _, message in ships.log if kind == "vector"]
    assert {vector.delta.lanes.nbytes for vector in vectors} == {2 * (40 + 2)}


@pytest.mark.parametrize("ring", [Ring(1.0), narrow((40, 1.0))], ids=["32 awaited", "16 awaited"])
def test_a_vector_of_the_other_width_is_refused(convoy, ring):
    ships = convoy(4, 1, ring=ring)
    other = {np.dtype(np.uint16): np.uint32, np.dtype(np.uint32): np.uint16}[ring.dtype]

    def widen(kind, platform, message):
        wrong = kind == "vector" and platform == "port-001"
        return (
            MaskedVector(MaskedDelta(message.delta.lanes.astype(other)), message.signature)
            if wrong
            else message
        )

    outcome = ships.round(tamper=widen)
    reason = outcome.quorum.excluded["port-001"]
    assert type(reason).__name__ == "BadVector"
    assert reason.why == f"{np.dtype(other)} (42,)"
    assert np.array_equal(outcome.lanes, ships.plain_sum(outcome.survivors))
    with pytest.raises(WrongShape, match=f"{np.dtype(other)}"):
        ring.check_share(QuantizedDelta(ships.deltas["port-000"].lanes.astype(other)), 40, 4)
    with pytest.raises(WrongShape):
        ring.dequantise(ships.deltas["port-000"].lanes.astype(other))
    with pytest.raises(TooFewPlatforms):
        ships.round(tamper=lambda kind, platform, message: widen(kind, "port-001", message))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((1.0, 16, 16), "need a clip for each tensor"),
        ((1.0, 16, 32, (Tensor(2, 1.0),)), "they alone"),
        ((1.0, 17, 16, (Tensor(2, 1.0),)), "17 bits, not 2 to 16 in lanes of 16"),
        ((1.0, 1, 16, (Tensor(2, 1.0),)), "1 bits"),
        ((1.0, 16, 24, (Tensor(2, 1.0),)), "lanes of 24 bits"),
        ((1.0, 16, 16, (Tensor(0, 1.0),)), "empty"),
        ((1.0, 16, 16, (Tensor(2, 1.1),)), "above the clip of all"),
        ((1.0, 16, 16, (Tensor(2, np.nan),)), "not a positive number"),
        ((1.0, 16, 16, (Tensor(2, -1.0),)), "not a positive number"),
    ],
)
def test_an_impossible_narrow_ring_is_refused(arguments, why):
    with pytest.raises(BadTerms, match=why) as caught:
        Ring(*arguments)
    assert caught.value.phase == "terms"


def test_tensors_must_be_those_of_the_vector():
    roster = {name: bytes([place] * 32) for place, name in enumerate(("a", "b", "c"))}
    assert Terms(bytes(32), roster, 1, 2, ONE).ring == ONE
    with pytest.raises(BadTerms, match="not those of the vector"):
        Terms(bytes(32), roster, 1, 3, ONE)
    with pytest.raises(WrongShape, match="3 values") as caught:
        ONE.quantise(ClippedDelta(np.zeros(3, np.float32), 1.0), 0.5, OsRandomness())
    assert caught.value.phase == "quantise"
    with pytest.raises(OutOfBound, match="declared bound 2, clip 1") as bound:
        ONE.quantise(ClippedDelta(np.zeros(2, np.float32), 2.0), 0.5, OsRandomness())
    assert bound.value.phase == "quantise"
    lanes = ONE.quantise(ClippedDelta(np.zeros(2, np.float32), 1.0), 0.5, OsRandomness()).lanes
    with pytest.raises(WrongShape) as caught:
        ONE.dequantise(np.insert(lanes, 0, 0))
    assert caught.value.phase == "unmask"


def test_the_terms_hash_covers_width_and_every_tensor():
    roster = {name: bytes([place] * 32) for place, name in enumerate(("a", "b", "c"))}
    rings = [
        Ring(1.0, 16),
        narrow((4, 1.0)),
        narrow((4, 0.5)),
        narrow((2, 1.0), (2, 1.0)),
        narrow((3, 1.0), (1, 1.0)),
        narrow((4, 1.0), bits=15),
    ]
    assert len({Terms(bytes(32), roster, 1, 4, ring).digest() for ring in rings}) == len(rings)


@pytest.mark.parametrize("weight", [1.0001, 1e-5, 0.0, np.nan])
def test_a_weight_that_no_share_of_one_can_be(weight):
    with pytest.raises(NoHeadroom):
        ONE.quantise(ClippedDelta(np.zeros(2, np.float32), 1.0), weight, OsRandomness())


def test_a_narrow_share_that_claims_more_than_its_weight_allows():
    def share(value, weight=1 << 14, count=1):
        return QuantizedDelta(np.array([value & 0xFFFF, 0, weight, count], np.uint16))

    most = ONE.top // 2 + 1
    ONE.check_share(share(most), 2, 3)
    ONE.check_share(share(-most), 2, 3)
    for wrong in (share(most + 1), share(-most - 1), share(-(1 << 15)), share(0, count=2)):
        with pytest.raises(OutOfBound):
            ONE.check_share(wrong, 2, 3)
    with pytest.raises(NoHeadroom, match="at most 1"):
        ONE.check_share(share(0, weight=(1 << 15) + 1), 2, 3)
    with pytest.raises(WrongSum):
        ONE.dequantise(share(most + 1).lanes)


def test_narrow_lanes_are_frozen():
    """Byte order included: two's complement, then the weight in 2⁻¹⁵, then the count."""
    ring = narrow((1, 1.0), (2, 0.25))
    delta = ring.quantise(
        ClippedDelta(np.array([0.1, 0.1, -0.2], np.float32), 1.0), 0.3, KeyedRandomness("frozen")
    )
    assert delta.lanes.astype("<u2").tobytes().hex() == "b803e10e3ee266260100"
