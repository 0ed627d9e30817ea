"""The joint draw: nobody chooses, nobody changes its mind, and every wrong message names its sender."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.randomness import KeyedRandomness, OsRandomness
from common.secagg.draw import Ballot, Commitment, Draw, Reveal, commit, commitment_fault, commitment_to
from common.secagg.errors import (
    BadDraw,
    DrawsUsedUp,
    ProtocolError,
    RoundReplayed,
    StateUsed,
    TooFewPlatforms,
)
from common.secagg.groups import partition
from common.secagg.keys import sign
from common.secagg.memory import Memory
from common.secagg.transcript import digest, encode

DRAW = Draw("run", 3, 7, 2)


@pytest.fixture(scope="module")
def port(convoy):
    return convoy(12, colluders=1)


def commits(port, names=None, draw=DRAW):
    return {
        name: commit(name, port.keys[name], port.terms, draw, KeyedRandomness(name))
        for name in names or port.names
    }


def ballots(port, made, least=3):
    told = [one.commitment for one in made.values()]
    found = {name: one.reveal(told, least) for name, one in made.items()}
    return next(iter(found.values()))[0], {name: reveal for name, (_, reveal) in found.items()}


def test_all_sites_and_the_coordinator_find_the_same_groups(port):
    made = commits(port)
    _, reveals = ballots(port, made)
    coordinator = Ballot.of(port.terms, DRAW, [one.commitment for one in reversed(made.values())], 3)
    groups = coordinator.groups(list(reveals.values()))
    values = (encode(name.encode(), reveals[name].content) for name in port.names)
    assert groups == partition(port.names, 3, digest("groups", *values))
    assert coordinator.groups(list(reveals.values())[::-1]) == groups


def test_every_value_decides(port):
    """One fresh value among twelve, and the division is another (the same has a chance of 1 in 5,775)."""
    made = commits(port)
    ballot, reveals = ballots(port, made)
    groups = ballot.groups(list(reveals.values()))
    for name in port.names[::4]:
        fresh = commit(name, port.keys[name], port.terms, DRAW, KeyedRandomness(name, "fresh"))
        ballot, told = ballots(port, commits(port) | {name: fresh})
        assert ballot.groups(list(told.values())) != groups


def test_messages_survive_their_bytes(port):
    made = commits(port)
    _, reveals = ballots(port, made)
    for message in (made["port-000"].commitment, reveals["port-000"]):
        encoded = message.encode()
        assert len(encoded) == 1 + len("port-000") + 96
        assert type(message).decode(encoded) == message
        for wrong in (encoded[:-1], encoded + b"x", b"", b"\x00" + encoded[1:]):
            with pytest.raises(ProtocolError) as caught:
                type(message).decode(wrong)
            assert caught.value.phase == {Commitment: "commit", Reveal: "reveal"}[type(message)]


def test_what_is_hashed_and_signed_is_frozen(port):
    """The draw, a value's commitment, a ballot: byte by byte, as the protocol's reference has them."""
    place = DRAW.digest(port.terms)
    numbers = (part.to_bytes(8, "big") for part in (3, 7, 2))
    assert place == digest("draw", port.terms.digest(), b"run", *numbers)
    assert commitment_to(place, "port-000", bytes(32)) == digest("value", place, b"port-000", bytes(32))
    told = [one.commitment for one in commits(port).values()]
    ballot = Ballot.of(port.terms, DRAW, told, 3)
    assert ballot.hash == digest("ballot", place, *(one.encode() for one in told))


def test_what_a_site_keeps_for_itself_is_in_no_repr(port):
    shown = repr(next(iter(commits(port).values())))
    assert "Committed(draw=Draw(run='run'" in shown
    assert "identity" not in shown
    assert "_value" not in shown


def test_two_draws_that_keep_their_values_to_themselves_differ(port):
    one, other = (
        commit("port-000", port.keys["port-000"], port.terms, DRAW, OsRandomness()) for _ in range(2)
    )
    assert one.commitment.content != other.commitment.content
    assert "Once" in repr(one._value)
    told = one.reveal([one.commitment, *(c.commitment for c in commits(port, port.names[1:]).values())], 3)[1]
    assert told.content not in one.commitment.encode()


# --- commitments -------------------------------------------------------------------------------------------


def fault_of(port, one, draw=DRAW, terms=None):
    terms = terms or port.terms
    return commitment_fault(one, terms, draw.digest(terms))


@pytest.mark.parametrize(
    "other",
    [
        replace(DRAW, run="another"),
        replace(DRAW, round=4),
        replace(DRAW, attempt=8),
        replace(DRAW, number=3),
        Draw("run", 7, 3, 2),
        Draw("run", 2, 7, 3),
    ],
)
def test_a_commitment_is_of_one_draw(port, other):
    one = commits(port, ["port-001"])["port-001"].commitment
    assert fault_of(port, one) == ""
    assert fault_of(port, one, other) == "the signature covers another draw or charter"
    with pytest.raises(BadDraw, match="another draw") as caught:
        Ballot.of(port.terms, other, [one], 1)
    assert (caught.value.phase, caught.value.platform) == ("commit", "port-001")


def test_a_commitment_is_of_one_charter_and_of_its_platform(port):
    one = commits(port, ["port-001"])["port-001"].commitment
    other = replace(port.terms, colluders=2)
    assert fault_of(port, one, terms=other) == "the signature covers another draw or charter"
    assert "another draw" in fault_of(port, replace(one, platform="port-002"))
    assert "another draw" in fault_of(port, replace(one, content=bytes(32)))
    assert "another draw" in fault_of(port, replace(one, signature=bytes(64)))
    assert fault_of(port, replace(one, platform="port-099")) == "not in the roster"


def test_a_stranger_or_a_platform_twice_is_in_no_ballot(port):
    told = [one.commitment for one in commits(port).values()]
    with pytest.raises(BadDraw, match="not in the roster") as caught:
        Ballot.of(port.terms, DRAW, [*told, replace(told[0], platform="port-099")], 3)
    assert caught.value.platform == "port-099"
    with pytest.raises(BadDraw, match="two commitments of one platform") as caught:
        Ballot.of(port.terms, DRAW, [*told, told[3]], 3)
    assert caught.value.phase == "commit"


def test_too_few_make_no_ballot(port):
    told = [one.commitment for one in commits(port).values()]
    assert Ballot.of(port.terms, DRAW, told[:9], 3).count == 3
    with pytest.raises(TooFewPlatforms, match="8 platforms make 2 groups, at least 3 needed") as caught:
        Ballot.of(port.terms, DRAW, told[:8], 3)
    assert caught.value.phase == "commit"


def test_a_copied_commitment_opens_for_nobody(port):
    """A platform that waits and repeats another's hash cannot cancel its value."""
    made = commits(port)
    theirs = made["port-000"].commitment.content
    place = DRAW.digest(port.terms)
    copied = Commitment("port-001", theirs, sign(port.keys["port-001"], "commit", place, theirs))
    told = [copied if name == "port-001" else one.commitment for name, one in made.items()]
    ballot, reveal = made["port-000"].reveal(told, 3)
    signature = sign(port.keys["port-001"], "reveal", ballot.hash, reveal.content)
    assert (
        ballot.fault(Reveal("port-001", reveal.content, signature))
        == "the value does not open its commitment"
    )


# --- values ------------------------------------------------------------------------------------------------


def test_a_site_tells_its_value_once_and_for_a_ballot_it_is_in(port):
    made = commits(port)
    told = [one.commitment for one in made.values()]
    ballot, mine = made["port-000"].reveal(told, 3)
    assert ballot.fault(mine) == ""
    with pytest.raises(StateUsed) as used:
        made["port-000"].reveal(told, 3)
    assert used.value.phase == "reveal"
    with pytest.raises(BadDraw, match="own commitment is missing or changed") as caught:
        made["port-001"].reveal([one for one in told if one.platform != "port-001"], 3)
    assert (caught.value.phase, caught.value.platform) == ("reveal", "port-001")
    with pytest.raises(StateUsed):
        made["port-001"].reveal(told, 3)


def test_a_value_is_of_one_ballot(port):
    """So a coordinator that has seen all values cannot drop a platform and keep the rest."""
    made = commits(port)
    _, reveals = ballots(port, made)
    fewer = Ballot.of(port.terms, DRAW, [one.commitment for one in list(made.values())[1:]], 3)
    assert fewer.fault(reveals["port-005"]) == "the signature covers another ballot"
    assert fewer.fault(reveals["port-000"]) == "it did not commit"
    with pytest.raises(BadDraw, match="another ballot") as caught:
        fewer.groups([reveals[name] for name in port.names[1:]])
    assert (caught.value.phase, caught.value.platform) == ("reveal", "port-001")


def test_a_ballot_hashes_the_draw_and_every_commitment(port):
    made = commits(port)
    told = [one.commitment for one in made.values()]
    whole = Ballot.of(port.terms, DRAW, told, 3)
    assert whole.hash == Ballot.of(port.terms, DRAW, told[::-1], 3).hash
    assert whole.hash != Ballot.of(port.terms, DRAW, told[1:], 3).hash
    assert whole.hash != replace(whole, digest=bytes(32)).hash


def test_wrong_values_name_their_platform(port):
    made = commits(port)
    ballot, reveals = ballots(port, made)
    mine = reveals["port-004"]
    for wrong, why in (
        (replace(mine, content=bytes(32)), "does not open its commitment"),
        (replace(mine, signature=bytes(64)), "covers another ballot"),
        (replace(mine, platform="port-099"), "it did not commit"),
    ):
        told = [wrong if name == "port-004" else reveal for name, reveal in reveals.items()]
        with pytest.raises(BadDraw, match=why) as caught:
            ballot.groups(told)
        assert caught.value.platform == wrong.platform


def test_every_value_is_there_once(port):
    ballot, reveals = ballots(port, commits(port))
    told = list(reveals.values())
    for wrong in (told[1:], [*told, told[0]], []):
        with pytest.raises(BadDraw, match="not one value of each platform") as caught:
            ballot.groups(wrong)
        assert caught.value.phase == "reveal"


# --- how often ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "fine"), [(1, True), (4, True), (0, False), (5, False)])
def test_a_round_has_a_fixed_number_of_draws(number, fine):
    draw = replace(DRAW, number=number)
    if fine:
        draw.check(4)
        return
    with pytest.raises(DrawsUsedUp, match=f"draw {number} of round 3, 4 are allowed") as caught:
        draw.check(4)
    assert caught.value.phase == "commit"


def test_memory_takes_part_in_each_draw_once_and_only_forward():
    seen = Memory.empty().admit_draw(DRAW)
    for other in (DRAW, replace(DRAW, number=1), replace(DRAW, round=2, number=9), replace(DRAW, attempt=99)):
        with pytest.raises(RoundReplayed, match="last was round 3, attempt 2"):
            seen.admit_draw(other)
    later = seen.admit_draw(replace(DRAW, number=3)).admit_draw(replace(DRAW, round=4, number=1))
    assert Memory.from_json(later.to_json()) == later
    assert seen.admit_draw(replace(DRAW, run="another", round=1)).last["draws/run"] == (3, 2)


def test_a_draw_does_not_use_up_its_round(port):
    """The draw counts apart: the opening of the same attempt still comes."""
    seen = Memory.empty().admit_draw(DRAW)
    assert seen.admit(port.spec(run="run", round=3, attempt=2)).last == {"draws/run": (3, 2), "run": (3, 2)}


def test_another_key_signs_no_value(port):
    made = commits(port)
    thief = commit("port-000", Ed25519PrivateKey.generate(), port.terms, DRAW, KeyedRandomness("port-000"))
    told = [thief.commitment, *(one.commitment for name, one in made.items() if name != "port-000")]
    with pytest.raises(BadDraw, match="another draw or charter"):
        made["port-001"].reveal(told, 3)
