"""Whole rounds: the sum is exact for every cohort and drop-out that the charter tolerates, and void otherwise."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.secagg import Witness, advertise, collect_adverts
from common.secagg.errors import BadSpec, NoQuorum, TooFewPlatforms, UnknownPlatform
from common.secagg.keys import sign

PHASES = ("advertise", "share", "mask", "sign", "unmask")


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_sum_of_the_survivors_is_exact_whoever_drops_out(convoy, data):
    n = data.draw(st.integers(3, 9), "platforms")
    c = data.draw(st.integers(0, n - 2), "colluders")
    ships = convoy(n, c, dimension=5)
    spare = n - ships.terms.floor(n)
    leavers = data.draw(st.permutations(ships.names), "order")[
        : data.draw(st.integers(0, spare), "drop-outs")
    ]
    drop = {phase: set() for phase in PHASES}
    for name in leavers:
        drop[data.draw(st.sampled_from(PHASES), name)].add(name)
    outcome = ships.round(drop)
    before_mask = set().union(*(drop[phase] for phase in PHASES[:3]))
    assert set(outcome.survivors) == set(ships.names) - before_mask
    assert np.array_equal(outcome.lanes, ships.plain_sum(outcome.survivors))
    assert not outcome.quorum.excluded


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_one_drop_out_too_many_voids_the_round(convoy, data):
    n = data.draw(st.integers(3, 8), "platforms")
    ships = convoy(n, data.draw(st.integers(0, n - 2), "colluders"), dimension=5)
    phase = data.draw(st.sampled_from(PHASES), "phase")
    needed = ships.terms.threshold(n) if phase in ("sign", "unmask") else ships.terms.floor(n)
    reason = NoQuorum if phase == "sign" else TooFewPlatforms
    with pytest.raises(reason, match=f"{needed - 1} ") as caught:
        ships.round({phase: ships.names[needed - 1 :]})
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("phase", PHASES)
def test_one_of_four_may_leave_in_any_phase(convoy, phase):
    ships = convoy(4, 1)
    outcome = ships.round({phase: ["port-001"]})
    assert np.array_equal(outcome.lanes, ships.plain_sum(outcome.survivors))
    assert ("port-001" in outcome.survivors) == (phase in ("sign", "unmask"))


def test_the_mean_is_the_weighted_mean_of_the_survivors(convoy):
    ships = convoy(5)
    outcome = ships.round({"mask": ["port-004"]})
    result = ships.terms.ring.dequantise(outcome.lanes)
    weights = np.array([0.5, 0.7, 0.9, 1.1])
    scale = np.dot(weights, [0.2, 0.4, 0.6, 0.8]) / weights.sum()
    assert result.platforms == 4
    assert result.weight == pytest.approx(weights.sum(), abs=1e-5)
    assert np.allclose(result.mean, scale * np.linspace(-1, 1, 40), atol=3e-6)


@pytest.mark.slow
def test_a_hundred_platforms_thirty_of_which_leave(convoy):
    """Six in each phase: whoever left before its vector came is not in the sum, the others are."""
    ships = convoy(100, 33, dimension=100_000)
    outcome = ships.round({phase: ships.names[6 * i : 6 * i + 6] for i, phase in enumerate(PHASES)})
    assert outcome.survivors == tuple(ships.names[18:])
    assert set(outcome.released) == set(ships.names[30:])
    assert np.array_equal(outcome.lanes, ships.plain_sum(outcome.survivors))


def test_the_hundred_and_first_platform_is_nobodys(convoy):
    """It has a key and a name of the right form, and stands in no charter: neither end takes it for one."""
    whole = convoy(101, 33, dimension=1)
    stowaway, roster = whole.names[100], dict(list(whole.terms.roster.items())[:100])
    witness, terms = Witness(1, bytes(32)), replace(whole.terms, roster=roster)
    spec = whole.spec(cohort=tuple(whole.names[:100]))
    pairs = [advertise(name, whole.keys[name], terms, spec, witness) for name in spec.cohort[:90]]
    adverts = [advert for _, advert in pairs]
    uninvited = replace(adverts[0], platform=stowaway)
    signature = sign(whole.keys[stowaway], "advert", spec.digest(terms), *uninvited.fields)
    adverts.append(replace(uninvited, signature=signature))

    book = collect_adverts(terms, spec, adverts)
    assert stowaway not in book.platforms
    assert isinstance(book.excluded[stowaway], UnknownPlatform)
    with pytest.raises(UnknownPlatform) as caught:
        pairs[0][0].share(adverts)
    assert caught.value.platform == stowaway
    for cohort in (whole.names, whole.names[1:]):
        for asked in (whole.names[1], stowaway):
            with pytest.raises(BadSpec, match=f"not in the roster: {stowaway}"):
                advertise(asked, whole.keys[asked], terms, replace(spec, cohort=tuple(cohort)), witness)


def test_what_reaches_the_coordinator_holds_no_plain_bytes(convoy):
    """Every message that leaves a platform, searched for its quantised lanes; the search itself is tested too."""
    ships = convoy(4, 1, dimension=400)
    ships.round({"mask": ["port-002"]})
    seen = b"".join(m.delta.lanes.tobytes() if kind == "vector" else m.encode() for kind, _, m in ships.log)
    assert {kind for kind, _, _ in ships.log} == {"advert", "shares", "vector", "signature", "release"}
    for delta in ships.deltas.values():
        plain = delta.lanes.tobytes()
        pieces = [plain[i : i + 8] for i in range(0, len(plain), 8)]
        assert not any(piece in seen for piece in pieces)
        assert all(piece in seen + plain for piece in pieces)


def test_masked_vectors_of_zero_look_uniform_and_unrelated(convoy):
    ships = convoy(3, dimension=60_000)
    ships.round()
    vectors = [message.delta.lanes for kind, _, message in ships.log if kind == "vector"]
    for lanes in vectors:
        counts = np.bincount(lanes.view(np.uint8), minlength=256)
        assert abs(((counts - counts.mean()) ** 2 / counts.mean()).sum() - 255) < 6 * np.sqrt(2 * 255)
    assert np.abs(np.corrcoef(vectors) - np.eye(3)).max() < 0.03


def test_rounds_share_no_bytes(convoy):
    ships = convoy(3)
    ships.round()
    first = {message.encode() for _, _, message in ships.log}
    ships.log.clear()
    ships.round()
    assert not first & {message.encode() for _, _, message in ships.log}


def test_the_coordinator_may_ask_for_the_same_sum_twice_but_changes_nothing(convoy):
    outcome = convoy(4).round()
    assert np.array_equal(outcome.releases.unmask(), outcome.lanes)
    again = outcome.quorum.collect_releases(outcome.released)
    assert np.array_equal(again.unmask(), outcome.lanes)
    assert not again.excluded
