"""A finished round from its messages alone: the same sum, or the name of the first thing that does not hold."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from common.deltas import MaskedDelta
from common.secagg import MaskedVector, ReleasedShares, Terms, Witness
from common.secagg.errors import (
    BadAdvert,
    BadShares,
    BadSpec,
    BadSurvivors,
    BadVector,
    NoQuorum,
    ProtocolAborted,
    TooFewPlatforms,
    UnknownPlatform,
    WrongRelease,
)
from common.secagg.messages import RECEIPT_BYTES, SEALED_BYTES
from common.secagg.replay import Replay
from common.secagg.seat import Seat, Secrets, signed_advert

A, B, C, D, E, F = (f"port-{place:03}" for place in range(6))
DROPPED = {"advertise": [F], "share": [], "mask": [E], "sign": [], "unmask": []}


def held(convoy: Any, **options: Any) -> tuple[Any, Any, Replay]:
    """Six platforms and one colluder: t = 4."""
    made = convoy(6, colluders=1)
    outcome = made.round(**options)
    vectors = {name: message for kind, name, message in made.log if kind == "vector"}
    return made, outcome, Replay.of(outcome.releases, vectors)


@pytest.mark.parametrize("phase", ["nowhere", "advertise", "share", "mask", "sign", "unmask"])
def test_the_replay_gives_the_same_sum_whoever_dropped_out_when(convoy: Any, phase: str) -> None:
    made, outcome, kept = held(convoy, drop={phase: [B, E]})
    assert np.array_equal(kept.sum(made.terms), outcome.lanes)
    assert np.array_equal(kept.sum(made.terms), made.plain_sum(kept.survivors))
    assert kept.survivors == outcome.survivors
    assert kept.h2(made.terms) == outcome.quorum.masked.h2


def flipped(octets: bytes, place: int = -1) -> bytes:
    changed = bytearray(octets)
    changed[place] ^= 1
    return bytes(changed)


def with_vector(kept: Replay, name: str, **changes: Any) -> Replay:
    return replace(kept, vectors={**kept.vectors, name: replace(kept.vectors[name], **changes)})


def one_lane_more(kept: Replay) -> Replay:
    lanes = kept.vectors[B].delta.lanes.copy()
    lanes[7] += 1
    return with_vector(kept, B, delta=MaskedDelta(lanes))


def with_release(kept: Replay, name: str, release: ReleasedShares) -> Replay:
    return replace(kept, released={**kept.released, name: release})


def other_share(kept: Replay) -> Replay:
    release = kept.released[A]
    shares = {**release.shares, C: flipped(release.shares[C])}
    return with_release(kept, A, replace(release, shares=shares))


def other_advert(kept: Replay, **changes: Any) -> Replay:
    first, *others = kept.adverts
    return replace(kept, adverts=(replace(first, **changes), *others))


def other_receipt(kept: Replay, place: int) -> Replay:
    receipts = {**kept.receipts[C], A: flipped(kept.receipts[C][A], place)}
    return replace(kept, receipts={**kept.receipts, C: receipts})


def without(table: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: row for name, row in table.items() if name not in names}


Change = Callable[[Replay], Replay]
CHANGES: dict[str, tuple[Change, type[ProtocolAborted], str]] = {
    "a lane": (one_lane_more, BadVector, B),
    "a vector's signature": (
        lambda kept: with_vector(kept, B, signature=flipped(kept.vectors[B].signature)),
        BadVector,
        B,
    ),
    "two vectors swapped": (
        lambda kept: replace(kept, vectors={**kept.vectors, A: kept.vectors[B], B: kept.vectors[A]}),
        BadVector,
        A,
    ),
    "a survivor more": (
        lambda kept: replace(kept, vectors={**kept.vectors, E: kept.vectors[A]}),
        BadVector,
        E,
    ),
    "a survivor from nowhere": (
        lambda kept: replace(kept, vectors={**kept.vectors, F: kept.vectors[A]}),
        UnknownPlatform,
        F,
    ),
    "too few survivors": (
        lambda kept: replace(kept, vectors={name: kept.vectors[name] for name in (A, B, C)}),
        TooFewPlatforms,
        "",
    ),
    "a survivor's signature": (
        lambda kept: replace(kept, signatures={**kept.signatures, C: flipped(kept.signatures[C])}),
        BadSurvivors,
        C,
    ),
    "too few signatures": (
        lambda kept: replace(kept, signatures=without(kept.signatures, C)),
        NoQuorum,
        "",
    ),
    "a share": (other_share, WrongRelease, A),
    "a release's signature": (
        lambda kept: with_release(
            kept, B, replace(kept.released[B], signature=flipped(kept.released[B].signature))
        ),
        WrongRelease,
        B,
    ),
    "a release less": (
        lambda kept: replace(kept, released=without(kept.released, A)),
        BadShares,
        A,
    ),
    "a release and its receipts less": (
        lambda kept: replace(
            kept,
            released=without(kept.released, A),
            receipts={dealer: without(row, A) for dealer, row in kept.receipts.items()},
        ),
        TooFewPlatforms,
        "",
    ),
    "a receipt's hash": (lambda kept: other_receipt(kept, 0), BadShares, C),
    "a receipt's other hash": (lambda kept: other_receipt(kept, 40), BadShares, C),
    "a receipt's signature": (lambda kept: other_receipt(kept, -1), BadShares, C),
    "a receipt cut short": (
        lambda kept: replace(kept, receipts={**kept.receipts, C: {**kept.receipts[C], A: b""}}),
        BadShares,
        C,
    ),
    "a dealer less": (lambda kept: replace(kept, receipts=without(kept.receipts, E)), BadVector, A),
    "a dealer from nowhere": (
        lambda kept: replace(kept, receipts={**kept.receipts, F: kept.receipts[A]}),
        UnknownPlatform,
        F,
    ),
    "an advert's key": (
        lambda kept: other_advert(kept, mask_key=flipped(kept.adverts[0].mask_key)),
        BadAdvert,
        A,
    ),
    "an advert's commitment": (lambda kept: other_advert(kept, commitment=bytes(32)), BadAdvert, A),
    "an advert's ledger": (lambda kept: other_advert(kept, witness=Witness(9, bytes(32))), BadAdvert, A),
    "an advert less": (lambda kept: replace(kept, adverts=kept.adverts[1:]), UnknownPlatform, A),
    "an advert twice": (
        lambda kept: replace(kept, adverts=(*kept.adverts, kept.adverts[0])),
        BadAdvert,
        A,
    ),
    "the round": (lambda kept: replace(kept, spec=replace(kept.spec, round=1)), BadAdvert, A),
    "the attempt": (lambda kept: replace(kept, spec=replace(kept.spec, attempt=1)), BadAdvert, A),
    "the run": (lambda kept: replace(kept, spec=replace(kept.spec, run="other")), BadAdvert, A),
    "the purpose": (lambda kept: replace(kept, spec=replace(kept.spec, purpose="other")), BadAdvert, A),
    "the nonce": (lambda kept: replace(kept, spec=replace(kept.spec, nonce=b"n" * 16)), BadAdvert, A),
    "the model": (lambda kept: replace(kept, spec=replace(kept.spec, model=b"m" * 32)), BadAdvert, A),
    "the cohort": (
        lambda kept: replace(kept, spec=replace(kept.spec, cohort=kept.spec.cohort[:5])),
        BadAdvert,
        A,
    ),
    "a stranger in the cohort": (
        lambda kept: replace(kept, spec=replace(kept.spec, cohort=(*kept.spec.cohort, "pirate"))),
        BadSpec,
        "",
    ),
}


PHASES = {
    "BadSpec": "advertise",
    "BadAdvert": "advertise",
    "BadShares": "share",
    "BadVector": "mask",
    "BadSurvivors": "sign",
    "NoQuorum": "sign",
    "WrongRelease": "unmask",
    "an advert less": "share",
    "a dealer from nowhere": "share",
    "a survivor from nowhere": "mask",
    "too few survivors": "mask",
    "a release and its receipts less": "unmask",
}
"""By reason; of reasons that several phases have, by the change."""


@pytest.fixture(scope="module")
def finished(convoy: Any) -> tuple[Terms, Replay]:
    """F never came, E dropped out with its shares dealt, A, B, C, D are left: no spare platform anywhere."""
    made, _, kept = held(convoy, drop=DROPPED)
    return made.terms, kept


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_is_changed_is_named(finished: tuple[Terms, Replay], what: str) -> None:
    terms, kept = finished
    change, reason, platform = CHANGES[what]
    with pytest.raises(ProtocolAborted) as caught:
        change(kept).sum(terms)
    assert type(caught.value) is reason, caught.value
    assert caught.value.platform == platform
    assert caught.value.phase == (PHASES.get(what) or PHASES[reason.__name__])
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize(
    "changes",
    [{"charter": b"c" * 32}, {"colluders": 0}, {"dimension": 41}],
    ids=lambda changes: next(iter(changes)),
)
def test_it_holds_under_the_auditors_own_charter_alone(
    finished: tuple[Terms, Replay], changes: dict[str, Any]
) -> None:
    terms, kept = finished
    with pytest.raises(BadAdvert, match="does not cover this round's charter"):
        kept.sum(replace(terms, **changes))


def test_a_platform_outside_the_cohort_has_no_advert_in_it(convoy: Any) -> None:
    """It stands on the roster, and its signature over the round is good: a colluder's would be."""
    made = convoy(6, colluders=1)
    spec = made.spec(cohort=tuple(made.names[:5]))
    outcome = made.round(spec=spec)
    vectors = {name: message for kind, name, message in made.log if kind == "vector"}
    kept = Replay.of(outcome.releases, vectors)
    seat = Seat(F, made.keys[F], made.terms, spec, spec.digest(made.terms))
    advert = signed_advert(seat, Secrets.fresh(), Witness(1, bytes(32)))
    assert np.array_equal(kept.sum(made.terms), outcome.lanes)
    with pytest.raises(UnknownPlatform, match="advertise: port-005"):
        replace(kept, adverts=(*kept.adverts, advert)).sum(made.terms)


def test_a_survivor_less_is_another_set_than_was_signed(convoy: Any) -> None:
    """Six are left and four would do: a sum of five is possible, and nobody signed it."""
    made, _, kept = held(convoy)
    fewer = replace(kept, vectors=without(kept.vectors, D))
    with pytest.raises(UnknownPlatform, match="sign: port-003"):
        fewer.sum(made.terms)
    with pytest.raises(BadSurvivors, match="sign: port-000"):
        replace(fewer, signatures=without(kept.signatures, D)).sum(made.terms)


def test_of_several_faults_the_first_platform_by_name_is_told(finished: tuple[Terms, Replay]) -> None:
    """In whatever order the messages are kept: two auditors who look at the same files name the same platform."""
    terms, kept = finished
    for what, reason, who in (
        (
            replace(kept, adverts=tuple(advert for advert in kept.adverts[::-1] for _ in range(2))),
            BadAdvert,
            A,
        ),
        (replace(kept, adverts=(*kept.adverts, *kept.adverts[1:3])), BadAdvert, B),
        (replace(kept, receipts={name: {} for name in (D, C, B)}), BadShares, B),
        (replace(kept, signatures=dict.fromkeys((D, C), bytes(64))), BadSurvivors, C),
        (replace(kept, receipts={**kept.receipts, "pirate": {}, "corsair": {}}), UnknownPlatform, "corsair"),
    ):
        with pytest.raises(reason) as caught:
            what.sum(terms)
        assert caught.value.platform == who


def test_it_is_the_same_in_whatever_order_messages_arrived(convoy: Any) -> None:
    made = convoy(6, colluders=1)
    outcome = made.round()
    vectors = {name: message for kind, name, message in made.log if kind == "vector"}
    backwards = outcome.quorum.collect_releases(dict(list(outcome.released.items())[::-1]))
    kept = Replay.of(backwards, dict(list(vectors.items())[::-1]))
    assert sorted(kept.released) == [A, B, C, D]
    assert replace(kept, vectors=dict(list(kept.vectors.items())[::-1])).survivors == (A, B, C, D, E, F)


def test_messages_of_another_round_do_not_fit(convoy: Any, finished: tuple[Terms, Replay]) -> None:
    """The same platforms, specification and all: the keys of a round are its own."""
    terms, kept = finished
    _, _, other = held(convoy, drop=DROPPED)
    for name, reason in (("vectors", BadVector), ("receipts", BadShares), ("signatures", BadSurvivors)):
        with pytest.raises(reason):
            replace(kept, **{name: getattr(other, name)}).sum(terms)


def spoilt(kind: str, who: Collection[str]) -> Callable[[str, str, Any], Any]:
    def tamper(seen: str, name: str, message: Any) -> Any:
        if seen != kind or name not in who:
            return message
        if isinstance(message, MaskedVector):
            return replace(message, signature=bytes(64))
        return replace(message, shares={dealer: flipped(share) for dealer, share in message.shares.items()})

    return tamper


def test_a_vector_that_is_not_in_the_sum_is_not_kept(convoy: Any) -> None:
    """It arrived, and its platform's mask key is rebuilt: with it the vector would lie open."""
    made, outcome, kept = held(convoy, tamper=spoilt("vector", [B]))
    assert B in outcome.quorum.excluded and B in kept.receipts
    assert B not in kept.vectors
    assert np.array_equal(kept.sum(made.terms), made.plain_sum(kept.survivors))


def test_a_release_that_names_a_cheat_is_not_kept_and_no_more_are_than_are_needed(convoy: Any) -> None:
    made, _, kept = held(convoy, tamper=spoilt("release", [A]))
    assert sorted(kept.released) == [B, C, D, E]
    assert len(kept.released) == made.terms.threshold(6)
    assert A in kept.vectors
    assert np.array_equal(kept.sum(made.terms), made.plain_sum(made.names))


def test_of_the_sealed_shares_nothing_but_receipts_is_kept(convoy: Any) -> None:
    made, _, kept = held(convoy)
    envelopes = [
        envelope
        for kind, _, message in made.log
        if kind == "shares"
        for envelope in message.envelopes.values()
    ]
    receipts = [receipt for row in kept.receipts.values() for receipt in row.values()]
    assert {len(receipt) for receipt in receipts} == {RECEIPT_BYTES}
    assert len(receipts) == 6 * 4
    assert not {envelope[:SEALED_BYTES] for envelope in envelopes} & {
        receipt[:SEALED_BYTES] for receipt in receipts
    }


def test_a_replay_shows_no_share_and_no_lane(finished: tuple[Terms, Replay]) -> None:
    _, kept = finished
    shown = repr(kept)
    assert "receipts=" in shown
    for hidden in ("shares", "lanes", "vectors=", "released="):
        assert hidden not in shown
