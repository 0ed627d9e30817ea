"""Every way to stop or to be left out: its class, the phase, and the platform that it names."""

from dataclasses import replace

import numpy as np
import pytest

from common.deltas import ClippedDelta, MaskedDelta, QuantizedDelta
from common.randomness import OsRandomness
from common.secagg import (
    Advert,
    MaskedVector,
    Memory,
    ReleasedShares,
    Ring,
    SealedShares,
    SurvivorSignature,
    Terms,
    Witness,
    advertise,
    collect_adverts,
)
from common.secagg.errors import (
    BadAdvert,
    BadDealer,
    BadShares,
    BadSpec,
    BadSurvivors,
    BadTerms,
    BadVector,
    LedgerRollback,
    MemoryCorrupt,
    NoHeadroom,
    NoQuorum,
    NotFinite,
    OutOfBound,
    ProtocolAborted,
    ProtocolError,
    RoundReplayed,
    StateUsed,
    TooFewPlatforms,
    UnknownPlatform,
    WrongRelease,
    WrongShape,
    WrongSum,
)
from common.secagg.keys import sign
from common.secagg.rules import lanes_hash, release_bytes
from common.secagg.shamir import PRIME

A, B, C, D = "port-000", "port-001", "port-002", "port-003"
STRANGE = dict.fromkeys(("zanzibar", "atlantis", "lyonesse", "thule", "vineta"))
FIRST = "atlantis"


def told(error):
    return type(error), error.phase, error.platform


def stops(question):
    """What a call raises, as told()."""
    with pytest.raises(ProtocolAborted) as caught:
        question()
    return told(caught.value)


@pytest.fixture(scope="module")
def sailed(convoy):
    """An honest round of five, D gone before the masks; its coordinator's states and every message."""
    ships = convoy(5)
    outcome = ships.round({"mask": [D]})
    return ships, outcome, {(kind, name): message for kind, name, message in ships.log}


# What the coordinator says of a platform


def test_of_adverts(sailed):
    ships, _, said = sailed
    honest = [said["advert", name] for name in ships.names]
    strange = replace(honest[1], platform=FIRST)
    forged = replace(honest[1], commitment=bytes(32))
    book = collect_adverts(ships.terms, ships.spec(), [strange, forged, *honest[:1], *honest[:1:-1]])
    assert [told(why) for why in book.excluded.values()] == [
        (UnknownPlatform, "advertise", FIRST),
        (BadAdvert, "advertise", B),
    ]
    assert book.platforms == (A, C, D, "port-004")


def test_of_a_specification_that_breaks_the_charter(sailed):
    ships, _, said = sailed
    honest = [said["advert", name] for name in ships.names]
    assert stops(lambda: collect_adverts(ships.terms, ships.spec(nonce=bytes(15)), honest)) == (
        BadSpec,
        "advertise",
        "",
    )


def test_of_shares(sailed):
    ships, outcome, said = sailed
    answers = {name: said["shares", name] for name in reversed(ships.names)}
    partial = SealedShares({A: answers[B].envelopes[A]}, answers[B].own)
    forged = SealedShares(answers[C].envelopes, bytes(len(answers[C].own)))
    book = outcome.quorum.masked.mail.book
    mail = book.collect_shares({**answers, B: partial, FIRST: partial})
    assert {name: told(why) for name, why in mail.excluded.items()} == {
        B: (BadShares, "share", B),
        FIRST: (UnknownPlatform, "share", FIRST),
    }
    assert mail.platforms == (A, C, D, "port-004")
    assert stops(lambda: mail.for_platform(B)) == (UnknownPlatform, "share", B)
    assert told(book.collect_shares({**answers, C: forged}).excluded[C]) == (BadShares, "share", C)


def test_of_too_few_who_is_excluded_and_why(sailed):
    """Where phases 1 and 2 end with too few, the reason names those whose answers were wrong."""
    ships, outcome, said = sailed
    honest = [said["advert", name] for name in ships.names]
    forged = [replace(advert, commitment=bytes(32)) for advert in honest[1:4]]
    with pytest.raises(TooFewPlatforms) as caught:
        collect_adverts(ships.terms, ships.spec(), [honest[0], *forged, honest[4]])
    assert set(caught.value.excluded) == {B, C, D}
    partial = {name: SealedShares({}, said["shares", name].own) for name in (B, C, D)}
    answers = {name: said["shares", name] for name in ships.names} | partial
    with pytest.raises(TooFewPlatforms) as caught:
        outcome.quorum.masked.mail.book.collect_shares(answers)
    assert set(caught.value.excluded) == {B, C, D}


def test_of_vectors(sailed):
    ships, outcome, said = sailed
    mail, h2 = outcome.quorum.masked.mail, outcome.quorum.masked.h2
    answers = {name: said["vector", name] for name in outcome.survivors[::-1]}

    def signed(lanes):
        return MaskedVector(MaskedDelta(lanes), sign(ships.keys[B], "masked", h2, lanes_hash(lanes)))

    whole = answers[B].delta.lanes
    for wrong in (
        signed(whole[:-1]),
        signed(whole.astype(np.uint64)),
        replace(answers[B], signature=bytes(64)),
    ):
        total = mail.collect_masked({**answers, B: wrong})
        assert told(total.excluded[B]) == (BadVector, "mask", B)
        assert total.survivors == (A, C, "port-004")
    total = mail.collect_masked({**answers, FIRST: answers[A]})
    assert told(total.excluded[FIRST]) == (UnknownPlatform, "mask", FIRST)


def test_of_signatures(sailed):
    _, outcome, said = sailed
    answers = {name: said["signature", name] for name in outcome.survivors[::-1]}
    wrong = {D: answers[A], B: SurvivorSignature(bytes(64))}
    quorum = outcome.quorum.masked.collect_signatures({**answers, **wrong})
    assert {name: told(why) for name, why in quorum.excluded.items()} == {
        D: (UnknownPlatform, "sign", D),
        B: (BadSurvivors, "sign", B),
    }
    assert quorum.platforms == (A, C, "port-004")


def test_of_releases(sailed):
    ships, outcome, _ = sailed

    def released(shares):
        signature = sign(ships.keys[B], "release", outcome.quorum.masked.h2, release_bytes(shares))
        return ReleasedShares(shares, signature)

    honest = outcome.released[B].shares
    for wrong in (
        released({A: honest[A]}),
        released({**honest, A: bytes(33)}),
        ReleasedShares(honest, bytes(64)),
    ):
        releases = outcome.quorum.collect_releases({**outcome.released, B: wrong, D: outcome.released[A]})
        assert {name: told(why) for name, why in releases.excluded.items() if why.phase == "unmask"} == {
            B: (WrongRelease, "unmask", B),
            D: (UnknownPlatform, "unmask", D),
        }
        assert releases.platforms == (A, C, "port-004")


@pytest.mark.parametrize("phase", ["advertise", "share", "mask", "sign", "unmask"])
def test_a_round_stops_in_the_phase_in_which_too_few_are_left(convoy, phase):
    kind = NoQuorum if phase == "sign" else TooFewPlatforms
    assert stops(lambda: convoy(3).round({phase: [A, B]})) == (kind, phase, "")


def test_without_a_quorum_those_who_signed_something_else_are_named(sailed):
    _, outcome, said = sailed
    answers = {A: said["signature", A], B: SurvivorSignature(bytes(64)), D: said["signature", A]}
    with pytest.raises(NoQuorum, match=f"1 signatures, 3 needed; excluded: {B}, {D}") as caught:
        outcome.quorum.masked.collect_signatures(answers)
    assert {name: told(why) for name, why in caught.value.excluded.items()} == {
        B: (BadSurvivors, "sign", B),
        D: (UnknownPlatform, "sign", D),
    }


@pytest.mark.parametrize(("drop", "dealer"), [({}, A), ({"mask": [A]}, A)], ids=["seed", "key"])
def test_shares_that_rebuild_no_32_bytes_name_their_dealer(convoy, drop, dealer):
    opening = convoy(4).round(drop).quorum._opening()
    absurd = dict.fromkeys(opening.sealed, (PRIME - 1).to_bytes(33, "big"))
    assert stops(lambda: opening.masks(dict.fromkeys([B, C, D], absurd))) == (BadDealer, "unmask", dealer)


def test_the_first_of_those_who_released_rebuild_the_secrets(convoy):
    """No more than t of them, so that one share too many costs nothing; whatever the order they came in."""
    outcome = convoy(5).round()
    backwards = {name: outcome.released[name] for name in reversed(outcome.survivors)}
    releases = outcome.quorum.collect_releases(backwards)
    assert releases.platforms == (A, B, C, D, "port-004")
    assert releases.used == {name: outcome.released[name] for name in (A, B, C)}


def test_a_sum_with_a_wrong_count_stops_the_last_phase(convoy, monkeypatch):
    ships = convoy(4)
    ships.deltas[B].lanes[-1] = 2
    monkeypatch.setattr(Ring, "check_share", lambda *_: None)
    assert stops(ships.round) == (WrongSum, "unmask", "")


# What a platform says of what it is shown


def walked(ships):
    """The states of A after each phase of an honest round, and what it is asked in each."""
    witness = Witness(1, bytes(32))
    first = {n: advertise(n, ships.keys[n], ships.terms, ships.spec(), witness) for n in ships.names}
    adverts = [advert for _, advert in first.values()]
    yield first[A][0], adverts
    second = {n: state.share(adverts) for n, (state, _) in first.items() if n != A}
    second[A] = yield
    mail = {n: sealed.envelopes[A] for n, (_, sealed) in second.items() if n != A}
    yield second[A][0], mail


def opened(ships):
    """A waits for its mail."""
    steps = walked(ships)
    state, adverts = next(steps)
    next(steps)
    return steps.send(state.share(adverts))


def masked(ships):
    """A waits for the survivors."""
    state, mail = opened(ships)
    return state.open(mail).mask(QuantizedDelta(ships.deltas[A].lanes.copy()))[0]


def signed(ships):
    """A waits for signatures."""
    return masked(ships).sign(ships.names)[0]


def test_of_its_own_place(convoy):
    ships = convoy(4)
    witness = Witness(0, bytes(32))

    def asked(key, **changes):
        return lambda: advertise(A, ships.keys[key], ships.terms, ships.spec(**changes), witness)

    assert stops(asked(A, cohort=(B, C, D))) == (BadSpec, "advertise", A)
    assert stops(asked(B)) == (BadSpec, "advertise", A)
    assert stops(asked(A, nonce=b"")) == (BadSpec, "advertise", "")


def test_of_mail(convoy):
    ships = convoy(4)
    state, mail = opened(ships)
    assert stops(lambda: state.open({**mail, **STRANGE})) == (UnknownPlatform, "mask", FIRST)
    state, mail = opened(ships)
    assert stops(lambda: state.open({B: mail[B]})) == (TooFewPlatforms, "mask", "")
    state, mail = opened(ships)
    stretched = mail[B][:82] + b"junk" + mail[B][82:]
    assert stops(lambda: state.open({**mail, B: stretched})) == (BadShares, "mask", B)
    state, mail = opened(ships)
    assert stops(lambda: state.open({**mail, B: mail[B][:100]})) == (BadShares, "mask", B)


def test_the_sharers_are_in_order(convoy):
    ships = convoy(9)
    state, mail = opened(ships)
    assert state.open(dict(reversed(mail.items()))).sharers == tuple(ships.names)


def test_of_survivors(convoy):
    ships = convoy(4)
    assert stops(lambda: masked(ships).sign(ships.names[1:])) == (BadSurvivors, "sign", A)
    assert stops(lambda: masked(ships).sign([*ships.names, *STRANGE])) == (BadSurvivors, "sign", FIRST)
    assert stops(lambda: masked(ships).sign([A, B])) == (TooFewPlatforms, "sign", "")
    assert stops(lambda: signed(ships).release({})) == (NoQuorum, "unmask", "")


def test_of_a_second_question(convoy):
    ships = convoy(3)
    steps = walked(ships)
    start, adverts = next(steps)
    next(steps)
    shared, mail = steps.send(start.share(adverts))
    opening = shared.open(mail)
    vector = opening.mask(QuantizedDelta(ships.deltas[A].lanes.copy()))[0]
    last = vector.sign(ships.names)[0]
    with pytest.raises(NoQuorum):
        last.release({})
    for phase, question in (
        ("share", lambda: start.share(adverts)),
        ("mask", lambda: shared.open(mail)),
        ("mask", lambda: opening.mask(ships.deltas[A])),
        ("sign", lambda: vector.sign(ships.names)),
        ("unmask", lambda: last.release({})),
    ):
        with pytest.raises(StateUsed) as caught:
            question()
        assert told(caught.value) == (StateUsed, phase, "")
        assert caught.value.__suppress_context__


# What the values say


def test_of_terms(sailed):
    ships = sailed[0]
    for change in ({"colluders": -1}, {"dimension": 0}, {"charter": b""}):
        assert stops(lambda change=change: replace(ships.terms, **change)) == (BadTerms, "terms", "")
    assert stops(lambda: Ring(0.0)) == stops(lambda: Ring(1.0, 1)) == (BadTerms, "terms", "")


def test_of_messages():
    lanes = np.zeros(3, np.uint32)
    for phase, question in (
        ("advertise", lambda: Witness(-1, bytes(32))),
        ("advertise", lambda: Advert.decode(b"")),
        ("mask", lambda: MaskedVector.decode(b"", lanes)),
        ("mask", lambda: MaskedVector.decode(bytes(64), lanes.reshape(1, 3))),
    ):
        assert stops(question) == (ProtocolError, phase, "")


def test_of_memory(sailed):
    ships, _, said = sailed
    spec, memory = ships.spec(round=3), Memory.empty()
    advert = said["advert", B]
    assert stops(lambda: memory.admit(spec).admit(spec)) == (RoundReplayed, "memory", "")
    later = replace(spec, round=4)
    assert stops(lambda: memory.admit(spec).admit(later))[1:] == ("memory", "")
    fresh = replace(later, nonce=b"n" * 16)
    assert stops(lambda: memory.admit(spec).released(spec).admit(fresh))[1:] == ("memory", "")
    seen = memory.witness([replace(advert, witness=Witness(4, bytes(32)))])
    for witness in (Witness(3, bytes(32)), Witness(4, b"f" * 32)):
        other = replace(advert, witness=witness)
        assert stops(lambda other=other: seen.witness([other])) == (LedgerRollback, "memory", B)
    for text in ("", '{"last": [], "models": [], "nonces": [], "witnesses": {}}', memory.to_json() + " "):
        with pytest.raises(MemoryCorrupt) as caught:
            Memory.from_json(text)
        assert told(caught.value) == (MemoryCorrupt, "memory", "")
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_of_updates():
    ring, draw = Ring(1.0), OsRandomness()

    def rounded(value, weight=1.0, bound=1.0):
        return lambda: ring.quantise(ClippedDelta(np.array([value], np.float32), bound), weight, draw)

    assert stops(rounded(np.nan)) == (NotFinite, "quantise", "")
    assert stops(rounded(0.5, bound=0.1)) == (OutOfBound, "quantise", "")
    for weight in (-np.inf, np.nan, 0.0, 1e9):
        assert stops(rounded(0.5, weight)) == (NoHeadroom, "quantise", "")

    def checked(*lanes, platforms=4):
        share = QuantizedDelta(np.array(lanes, np.uint32))
        return lambda: ring.check_share(share, 1, platforms)

    unit = ring.weight_units
    assert stops(checked(0, unit)) == (WrongShape, "mask", "")
    assert stops(checked(0, unit, 1, platforms=1000)) == (NoHeadroom, "mask", "")
    assert stops(checked(0, unit, 2)) == (OutOfBound, "mask", "")

    def mean(*lanes):
        return lambda: ring.dequantise(np.array(lanes, np.uint32))

    assert stops(mean(0, 513 * unit, 1)) == (NoHeadroom, "unmask", "")
    assert stops(mean(0, 0, 1)) == stops(mean(0, unit, 0)) == (WrongSum, "unmask", "")


def test_terms_are_kept_in_order(sailed):
    terms: Terms = sailed[0].terms
    backwards = replace(terms, roster=dict(reversed(terms.roster.items())))
    assert list(backwards.roster) == sorted(terms.roster)
    assert backwards.digest() == terms.digest()
    spec = sailed[0].spec(cohort=(C, A, B))
    assert spec.cohort == (A, B, C)
    assert [spec.index(name) for name in (A, B, C)] == [1, 2, 3]
