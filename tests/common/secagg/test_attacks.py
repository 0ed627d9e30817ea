"""One adversary per row of the attack table: each is stopped, for the reason the table gives."""

from dataclasses import replace

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from common.deltas import MaskedDelta, QuantizedDelta
from common.secagg import (
    MaskedVector,
    ReleasedShares,
    SealedShares,
    SurvivorSignature,
    Terms,
    Witness,
    advertise,
    collect_adverts,
    seat,
)
from common.secagg.errors import (
    BadAdvert,
    BadDealer,
    BadShares,
    BadSpec,
    BadSurvivors,
    BadTerms,
    BadVector,
    NoQuorum,
    OutOfBound,
    StateUsed,
    TooFewPlatforms,
    UnknownPlatform,
    WrongRelease,
    WrongSum,
)
from common.secagg.keys import sign
from common.secagg.ring import Ring
from common.secagg.rules import release_bytes
from common.secagg.shamir import combine, interpolation

A, B, C, D = "port-000", "port-001", "port-002", "port-003"


def at(kind, platform, change):
    """A relay that changes one kind of message of, or to, one platform (any if None)."""
    return lambda k, p, message: change(message) if k == kind and platform in (p, None) else message


# Phase 1 and 2: the relay between platforms that advertise


def with_stranger(adverts):
    key = Ed25519PrivateKey.generate()
    return (*adverts, replace(adverts[0], platform="atlantis", signature=key.sign(b"")))


@pytest.mark.parametrize(
    ("change", "reason", "platform"),
    [
        (lambda ads: (ads[0], replace(ads[1], seal_key=bytes(range(32))), *ads[2:]), BadAdvert, B),
        (lambda ads: (ads[0], replace(ads[1], mask_key=bytes(range(32))), *ads[2:]), BadAdvert, B),
        (lambda ads: (ads[0], replace(ads[1], commitment=bytes(32)), *ads[2:]), BadAdvert, B),
        (lambda ads: (ads[0], replace(ads[1], witness=Witness(0, bytes(32))), *ads[2:]), BadAdvert, B),
        (lambda ads: (ads[0], replace(ads[1], signature=ads[2].signature), *ads[2:]), BadAdvert, B),
        (lambda ads: (ads[0], replace(ads[1], platform=C), *ads[3:]), BadAdvert, C),
        (lambda ads: (*ads, ads[1]), BadAdvert, B),
        (lambda ads: ads[1:], BadAdvert, A),
        (with_stranger, UnknownPlatform, "atlantis"),
        (lambda ads: ads[:2], TooFewPlatforms, ""),
    ],
    ids=[
        "seal-key",
        "mask-key",
        "commitment",
        "witness",
        "signature",
        "name",
        "twice",
        "own",
        "invented",
        "few",
    ],
)
def test_adverts_changed_by_the_relay(convoy, change, reason, platform):
    with pytest.raises(reason) as caught:
        convoy(4).round(tamper=at("adverts", A, change))
    assert (caught.value.phase, caught.value.platform) == ("share", platform)


def test_own_advert_replaced_by_another_valid_one(convoy):
    """A relay that starts a second protocol instance with the same site cannot mix the two."""
    ships = convoy(4)
    _, other = advertise(A, ships.keys[A], ships.terms, ships.spec(), Witness(1, bytes(32)))
    with pytest.raises(BadAdvert, match="missing or changed") as caught:
        ships.round(tamper=at("adverts", A, lambda ads: (other, *ads[1:])))
    assert caught.value.platform == A


@pytest.mark.parametrize(
    "change",
    [
        lambda spec: replace(spec, model=b"m" * 32),
        lambda spec: replace(spec, nonce=b"n" * 16),
        lambda spec: replace(spec, round=1),
        lambda spec: replace(spec, attempt=1),
        lambda spec: replace(spec, run="other"),
        lambda spec: replace(spec, purpose="statistics"),
        lambda spec: replace(spec, cohort=spec.cohort[:-1]),
    ],
    ids=["model", "nonce", "round", "attempt", "run", "purpose", "cohort"],
)
def test_a_platform_shown_something_else_signs_something_else(convoy, change):
    """The relay hands the odd advert on as it is: the others find it signed over another specification."""
    ships = convoy(5)
    odd = []

    def tamper(kind, platform, message):
        if kind == "spec" and platform == A:
            return change(message)
        if kind == "advert" and platform == A:
            odd.append(message)
        if kind == "adverts" and platform == B:
            return (odd[0], *message)
        return message

    with pytest.raises(BadAdvert) as caught:
        ships.round(tamper=tamper)
    assert (caught.value.platform, caught.value.phase) == (A, "share")


@pytest.mark.parametrize("change", [{"colluders": 0}, {"charter": b"x" * 32}, {"dimension": 41}])
def test_another_charter_makes_other_signatures(convoy, change):
    ships = convoy(5, 1)
    other = replace(ships.terms, **change)
    _, foreign = advertise(B, ships.keys[B], other, ships.spec(), Witness(1, bytes(32)))
    with pytest.raises(BadAdvert) as caught:
        ships.round(tamper=at("adverts", A, lambda ads: (ads[0], foreign, *ads[2:])))
    assert caught.value.platform == B


@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31)])
@pytest.mark.parametrize("which", ["seal_key", "mask_key"])
def test_a_signed_key_of_small_order(convoy, point, which):
    ships = convoy(4)
    digest = ships.spec().digest(ships.terms)

    def weak(advert):
        bad = replace(advert, **{which: point})
        return replace(bad, signature=sign(ships.keys[B], "advert", digest, *bad.fields))

    with pytest.raises(BadAdvert, match="small order"):
        ships.round(tamper=at("adverts", A, lambda ads: (ads[0], weak(ads[1]), *ads[2:])))
    outcome = ships.round(tamper=at("advert", B, weak))
    assert isinstance(outcome.quorum.excluded[B], BadAdvert)


def opened(ships):
    """Every platform's state after phase 1, and the adverts."""
    witness = Witness(1, bytes(32))
    pairs = {
        name: advertise(name, ships.keys[name], ships.terms, ships.spec(), witness) for name in ships.names
    }
    return {name: state for name, (state, _) in pairs.items()}, [advert for _, advert in pairs.values()]


def test_different_adverts_for_different_platforms(convoy):
    """A is not shown the last advert. Its keys then depend on another h1, so nobody can open what it sealed."""
    ships = convoy(6)
    states, adverts = opened(ships)
    odd, odd_shares = states[A].share(adverts[:-1])
    shared, honest_shares = states[B].share(adverts)
    others = {name: states[name].share(adverts)[1].envelopes for name in (C, D)}
    with pytest.raises(BadShares) as caught:
        shared.open({A: odd_shares.envelopes[B], **{n: e[B] for n, e in others.items()}})
    assert caught.value.platform == A
    with pytest.raises(BadShares):
        odd.open({B: honest_shares.envelopes[A], **{n: e[A] for n, e in others.items()}})


def test_an_honest_coordinator_leaves_such_a_platform_out(convoy):
    outcome = convoy(6).round(tamper=at("adverts", A, lambda ads: ads[:-1]))
    assert isinstance(outcome.quorum.excluded[A], BadShares)


# The specification itself


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"cohort": (A, B, "atlantis")}, "not in the roster: atlantis"),
        ({"cohort": (A, B)}, "at least 3 needed"),
        ({"cohort": (A, B, C, C)}, "twice"),
        ({"cohort": (B, C, D)}, "not in the cohort"),
        ({"nonce": bytes(15)}, "16 bytes"),
        ({"model": bytes(31)}, "32 bytes"),
        ({"round": -1}, "negative"),
        ({"attempt": -1}, "negative"),
    ],
)
def test_a_specification_that_breaks_the_charter(convoy, changes, why):
    ships = convoy(4)
    with pytest.raises(BadSpec, match=why):
        advertise(A, ships.keys[A], ships.terms, ships.spec(**changes), Witness(0, bytes(32)))


def test_a_site_with_another_key_than_the_charter_has(convoy):
    ships = convoy(4)
    with pytest.raises(BadSpec, match="identity key"):
        advertise(A, ships.keys[B], ships.terms, ships.spec(), Witness(0, bytes(32)))


def test_the_threshold_follows_from_the_signed_cohort_not_from_who_came(convoy):
    ships = convoy(6)
    with pytest.raises(TooFewPlatforms, match="3 of 6 are left, at least 4 needed"):
        ships.round(tamper=at("adverts", A, lambda ads: ads[:3]))


def test_the_degree_of_the_shares_follows_from_the_cohort_too(convoy):
    """With two of seven gone before phase 2, five shares are still needed: four rebuild nothing."""
    ships = convoy(7, 1)
    place = seat.Seat(A, ships.keys[A], ships.terms, ships.spec(), bytes(32))
    own = seat.Secrets.fresh()
    shares = seat.deal(own, ships.names[:5], place)
    for count, rebuilt in ((4, False), (5, True)):
        holders = ships.names[:count]
        coefficients = interpolation([place.spec.index(holder) for holder in holders])
        assert (combine(coefficients, [shares[holder].seed for holder in holders]) == own.seed) is rebuilt


# Phase 3: envelopes


def flip(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("place", [0, 81, 82, 113, 114, 145, 146, 209])
def test_an_envelope_with_one_bit_changed_anywhere(convoy, place):
    with pytest.raises(BadShares) as caught:
        convoy(4).round(tamper=at("mail", A, lambda mail: {**mail, B: flip(mail[B], place)}))
    assert (caught.value.phase, caught.value.platform) == ("mask", B)


@pytest.mark.parametrize("place", [82, 114, 146, 209])
def test_a_receipt_that_its_dealer_did_not_sign_is_handed_to_nobody(convoy, place):
    """The coordinator sees this fault itself: the dealer is left out, and no receiver has to complain."""
    ships = convoy(4)
    for bad in (
        lambda m: SealedShares({**m.envelopes, A: flip(m.envelopes[A], place)}, m.own),
        lambda m: SealedShares(m.envelopes, flip(m.own, place - 82)),
    ):
        outcome = ships.round(tamper=at("shares", D, bad))
        assert isinstance(outcome.quorum.excluded[D], BadShares)
        assert outcome.survivors == (A, B, C)
        assert np.array_equal(outcome.lanes, ships.plain_sum([A, B, C]))


def test_receipts_swapped_between_holders_are_not_valid(convoy):
    """Each covers its route: from one round, one dealer, to one holder."""
    ships = convoy(4)

    def swap(m):
        a, b = m.envelopes[A], m.envelopes[B]
        return SealedShares({**m.envelopes, A: a[:82] + b[82:], B: b[:82] + a[82:]}, m.own)

    assert isinstance(ships.round(tamper=at("shares", D, swap)).quorum.excluded[D], BadShares)


def test_an_envelope_of_another_length(convoy):
    with pytest.raises(BadShares):
        convoy(4).round(tamper=at("mail", A, lambda mail: {**mail, B: mail[B] + b"\0"}))


def test_envelopes_swapped_between_senders(convoy):
    with pytest.raises(BadShares):
        convoy(4).round(tamper=at("mail", A, lambda mail: {**mail, B: mail[C], C: mail[B]}))


def test_an_envelope_reflected_to_its_sender(convoy):
    kept = {}

    def tamper(kind, platform, message):
        if kind == "shares":
            kept[platform] = message
        if kind == "mail" and platform == A:
            return {**message, B: kept[A].envelopes[B]}
        return message

    with pytest.raises(BadShares) as caught:
        convoy(4).round(tamper=tamper)
    assert caught.value.platform == B


def test_an_envelope_of_an_earlier_round(convoy):
    ships, old = convoy(4), []

    def record(kind, platform, message):
        if kind == "mail" and platform == A:
            old.append(message[B])
        return message

    ships.round(tamper=record)
    with pytest.raises(BadShares):
        ships.round(tamper=at("mail", A, lambda mail: {**mail, B: old[0]}))


@pytest.mark.parametrize("which", ["seed", "key"])
def test_a_dealer_that_signs_for_other_shares_than_it_seals(convoy, monkeypatch, which):
    """Else its victim, who releases what it got, would be named as the cheat."""
    honest = seat.receipt

    def receipt(shares, identity, route):
        frame = route.dealer == D and route.holder == A
        return honest(shares._replace(**{which: bytes(33)}) if frame else shares, identity, route)

    monkeypatch.setattr(seat, "receipt", receipt)
    with pytest.raises(BadShares) as caught:
        convoy(4).round()
    assert (caught.value.phase, caught.value.platform) == ("mask", D)


@pytest.mark.parametrize("name", [A, "atlantis"])
def test_mail_from_oneself_or_from_nobody(convoy, name):
    with pytest.raises(UnknownPlatform) as caught:
        convoy(4).round(tamper=at("mail", A, lambda mail: {**mail, name: mail[B]}))
    assert caught.value.platform == name


def test_mail_from_too_few(convoy):
    with pytest.raises(TooFewPlatforms):
        convoy(4).round(tamper=at("mail", A, lambda mail: {B: mail[B]}))


def test_mail_withheld_from_one_platform_spoils_its_vector(convoy):
    """A derives another U2, so its vector is signed under another h2; the coordinator itself must leave it out."""
    outcome = convoy(6).round(tamper=at("mail", A, lambda mail: {k: v for k, v in mail.items() if k != D}))
    assert isinstance(outcome.quorum.excluded[A], BadVector)
    assert A not in outcome.survivors


# Phase 4: the survivor set


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda names: [name for name in names if name != A], BadSurvivors),
        (lambda names: [*names, "atlantis"], BadSurvivors),
        (lambda names: [A], TooFewPlatforms),
        (lambda names: [A, B], TooFewPlatforms),
        (lambda names: [A, B, A, B, B], TooFewPlatforms),
    ],
    ids=["without-me", "invented", "one", "two", "repeated"],
)
def test_survivor_sets_that_no_site_signs(convoy, change, reason):
    with pytest.raises(reason) as caught:
        convoy(4).round(tamper=at("survivors", A, change))
    assert caught.value.phase == "sign"


def test_two_survivor_sets_cannot_both_find_a_quorum(convoy):
    """Half of the platforms are told that D dropped, and each half sees the signatures of all."""

    def tamper(kind, platform, message):
        if kind == "survivors" and platform in (A, B, C):
            return [name for name in message if name != D]
        return message

    with pytest.raises(NoQuorum):
        convoy(6).round(tamper=tamper)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_no_release_below_a_quorum(convoy, count):
    with pytest.raises(NoQuorum, match=f"{count} signatures") as caught:
        convoy(4).round(tamper=at("signatures", A, lambda signatures: dict(list(signatures.items())[:count])))
    assert caught.value.phase == "unmask"


def test_signatures_of_others_and_of_other_sets_do_not_count(convoy):
    """The same signature under four names, and one of a platform that is no survivor."""
    ships = convoy(5)

    def forge(signatures):
        return dict.fromkeys(ships.names, signatures[B]) | {"atlantis": signatures[B]}

    with pytest.raises(NoQuorum, match="1 signatures"):
        ships.round(tamper=at("signatures", A, forge))


# Phase 5: one release


def states(ships):
    """An honest round, and the questions that platform A has answered in it."""
    advertised, adverts = opened(ships)
    shared = {name: state.share(adverts) for name, state in advertised.items()}
    mail = {
        to: {name: m.envelopes[to] for name, (_, m) in shared.items() if name != to} for to in ships.names
    }
    masked = {
        name: state.open(mail[name]).mask(QuantizedDelta(ships.deltas[name].lanes.copy()))
        for name, (state, _) in shared.items()
    }
    signed = {name: state.sign(ships.names) for name, (state, _) in masked.items()}
    signatures = {name: message.signature for name, (_, message) in signed.items()}
    for state, _ in signed.values():
        state.release(signatures)
    return [
        lambda: advertised[A].share(adverts),
        lambda: shared[A][0].open(mail[A]),
        lambda: masked[A][0].sign(ships.names),
        lambda: signed[A][0].release(signatures),
    ]


def test_every_state_answers_once(convoy):
    for question in states(convoy(3)):
        with pytest.raises(StateUsed):
            question()


def test_a_state_that_refused_is_used_up(convoy):
    ships = convoy(3)
    state, advert = advertise(A, ships.keys[A], ships.terms, ships.spec(), Witness(1, bytes(32)))
    with pytest.raises(TooFewPlatforms):
        state.share([advert])
    with pytest.raises(StateUsed):
        state.share([advert])


@pytest.mark.parametrize("phase", [None, "mask", "unmask"])
def test_never_both_shares_of_one_platform(convoy, phase):
    """What each platform releases about each dealer is the one share the dealer's fate calls for."""
    ships = convoy(5)
    outcome = ships.round({phase: [D]} if phase else None)
    opening = outcome.quorum._opening()
    for holder, released in outcome.released.items():
        assert opening.fault(holder, released) is None
        flipped = replace(opening, survivors=opening.survivors ^ {D} | {holder})
        wrong = WrongRelease if holder != D else type(None)
        assert isinstance(flipped.fault(holder, released), wrong)


# Platforms that cheat the coordinator


def test_a_forged_or_foreign_masked_vector_names_its_platform(convoy):
    def forge(message):
        lanes = message.delta.lanes.copy()
        lanes[0] += 1
        return MaskedVector(MaskedDelta(lanes), message.signature)

    ships = convoy(4)
    outcome = ships.round(tamper=at("vector", B, forge))
    assert isinstance(outcome.quorum.excluded[B], BadVector)
    assert np.array_equal(outcome.lanes, ships.plain_sum([A, C, D]))


def test_a_masked_vector_of_another_length_names_its_platform(convoy):
    short = at("vector", B, lambda m: MaskedVector(MaskedDelta(m.delta.lanes[:-1]), m.signature))
    assert isinstance(convoy(4).round(tamper=short).quorum.excluded[B], BadVector)


def resigned(ships, holder, outcome_h2, shares):
    return ReleasedShares(shares, sign(ships.keys[holder], "release", outcome_h2, release_bytes(shares)))


def test_a_wrong_share_names_its_holder_and_the_sum_is_still_right(convoy):
    """B releases a wrong share, correctly signed; without it there is still a quorum."""
    ships = convoy(4)
    outcome = ships.round()
    h2 = outcome.quorum.masked.h2
    for shares in (
        {**outcome.released[B].shares, C: bytes(33)},
        {**outcome.released[B].shares, B: bytes(33)},
        {name: share for name, share in outcome.released[B].shares.items() if name != C},
    ):
        released = {**outcome.released, B: resigned(ships, B, h2, shares)}
        releases = outcome.quorum.collect_releases(released)
        assert isinstance(releases.excluded[B], WrongRelease)
        assert set(releases.excluded) == {B}
        assert np.array_equal(releases.unmask(), ships.plain_sum(ships.names))


def test_a_release_that_its_platform_did_not_sign(convoy):
    outcome = convoy(4).round()
    released = {**outcome.released, B: ReleasedShares(outcome.released[B].shares, bytes(64))}
    excluded = outcome.quorum.collect_releases({**released, "atlantis": released[B]}).excluded
    assert "signature" in excluded[B].why
    assert isinstance(excluded["atlantis"], UnknownPlatform)


def test_too_many_wrong_shares_void_the_round_and_name_the_cheats(convoy):
    outcome = convoy(4).round()
    bad = {name: ReleasedShares(outcome.released[name].shares, bytes(64)) for name in (B, C)}
    with pytest.raises(TooFewPlatforms, match=f"excluded: {B}, {C}"):
        outcome.quorum.collect_releases({**outcome.released, **bad})


@pytest.mark.parametrize(("drop", "which"), [(None, 0), ("mask", 1)], ids=["seed", "key"])
def test_shares_off_the_polynomial_name_the_dealer(convoy, monkeypatch, drop, which):
    """D commits to one secret and deals shares of another, all of them correctly signed."""
    honest, calls = seat.split, []

    def split(secret, threshold, indices):
        calls.append(secret)
        lie = len(calls) == 2 * 3 + which + 1  # the fourth platform's seed, or its mask key
        return honest(bytes(32) if lie else secret, threshold, indices)

    monkeypatch.setattr(seat, "split", split)
    ships = convoy(4)
    with pytest.raises(BadDealer) as caught:
        ships.round({drop: [D]} if drop else None)
    assert (caught.value.phase, caught.value.platform) == ("unmask", D)


def test_a_platform_that_counts_itself_twice_voids_the_sum(convoy, monkeypatch):
    ships = convoy(4)
    ships.deltas[B].lanes[-1] = 2
    monkeypatch.setattr(Ring, "check_share", lambda *_: None)
    with pytest.raises(WrongSum, match="5 counted, 4 survived"):
        ships.round()


def test_a_site_refuses_to_mask_what_would_wrap_around(convoy):
    ships = convoy(4)
    ships.deltas[B].lanes[-1] = 2
    with pytest.raises(OutOfBound):
        ships.round()


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("advert", lambda m: replace(m, commitment=bytes(32)), BadAdvert),
        ("advert", lambda m: replace(m, platform="atlantis"), None),
        (
            "shares",
            lambda m: SealedShares({k: v for k, v in m.envelopes.items() if k != C}, m.own),
            BadShares,
        ),
        ("signature", lambda m: SurvivorSignature(bytes(64)), BadSurvivors),
    ],
    ids=["advert", "name", "shares", "signature"],
)
def test_the_coordinator_excludes_with_a_reason_and_goes_on(convoy, kind, change, reason):
    ships = convoy(4)
    outcome = ships.round(tamper=at(kind, B, change))
    expected = {B: reason} if reason else {"atlantis": UnknownPlatform}
    assert {name: type(why) for name, why in outcome.quorum.excluded.items()} == expected
    assert np.array_equal(outcome.lanes, ships.plain_sum(outcome.survivors))


def test_an_advert_in_anothers_name_does_not_push_it_out(convoy):
    ships = convoy(4)
    _, honest = opened(ships)
    forged = replace(honest[0], platform=B)
    book = collect_adverts(ships.terms, ships.spec(), [forged, *honest, forged])
    assert book.platforms == tuple(ships.names)
    assert not book.excluded


def test_a_platforms_first_valid_advert_counts(convoy):
    ships = convoy(4)
    (_, first), (_, second) = opened(ships), opened(ships)
    assert collect_adverts(ships.terms, ships.spec(), [*first, second[1]]).adverts == tuple(first)


def test_answers_from_platforms_that_were_left_behind(convoy):
    """A late answer, of a phase whose predecessor the platform missed, is refused by name."""
    ships = convoy(5)
    late = {}

    def keep(kind, platform, message):
        late[kind, platform] = message
        return message

    ships.round(tamper=keep)
    quorum = ships.round({"advertise": [D]}).quorum
    masked, mail, book = quorum.masked, quorum.masked.mail, quorum.masked.mail.book
    sealed = dict(mail.sealed) | {D: late["shares", D]}
    assert isinstance(book.collect_shares(sealed).excluded[D], UnknownPlatform)
    with pytest.raises(TooFewPlatforms):
        mail.collect_masked({D: late["vector", D]})
    with pytest.raises(NoQuorum):
        masked.collect_signatures({D: late["signature", D]})
    with pytest.raises(UnknownPlatform):
        mail.for_platform(D)


def test_two_platforms_are_refused_whoever_asks(convoy):
    with pytest.raises(BadTerms, match="each can subtract itself"):
        convoy(2)


@pytest.mark.parametrize(
    "change",
    [
        {"charter": bytes(31)},
        {"colluders": -1},
        {"colluders": 3},
        {"dimension": 0},
        {"roster": {"a": bytes(32), "b": b"\1" * 32, "c": b"\1" * 32}},
        {"roster": {"a": bytes(32), "b": b"\1" * 32, "c": b"\2" * 31}},
        {"roster": {"": bytes(32), "b": b"\1" * 32, "c": b"\2" * 32}},
        {"roster": {"a" * 65: bytes(32), "b": b"\1" * 32, "c": b"\2" * 32}},
        {"roster": {"a\nb": bytes(32), "b": b"\1" * 32, "c": b"\2" * 32}},
        {"roster": {str(i): i.to_bytes(32, "big") for i in range(1001)}},
    ],
    ids=[
        "charter",
        "negative",
        "colluders",
        "dimension",
        "same-key",
        "short-key",
        "no-name",
        "long-name",
        "two-lines",
        "many",
    ],
)
def test_terms_that_protect_nobody(convoy, change):
    with pytest.raises(BadTerms):
        replace(convoy(4).terms, **change)


def test_a_charter_cannot_be_changed_in_place(convoy):
    terms: Terms = convoy(4).terms
    with pytest.raises(TypeError):
        terms.roster[A] = bytes(32)  # type: ignore[index]


def test_a_swapped_key_agrees_with_nobody():
    """Sanity of the adversary itself: the relay's own key would work if adverts were not signed."""
    ours, relay = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    assert ours.exchange(relay.public_key()) == relay.exchange(ours.public_key())
