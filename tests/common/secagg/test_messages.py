"""Messages: one encoding each, exact sizes, and nothing else is read."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.deltas import MaskedDelta
from common.secagg import Advert, MaskedVector, ReleasedShares, SealedShares, SurvivorSignature, Witness
from common.secagg.errors import ProtocolError


def octets(count):
    return st.binary(min_size=count, max_size=count)


NAMES = st.text(st.characters().filter(str.isprintable), min_size=1, max_size=16)
WITNESSES = st.builds(Witness, st.integers(0, 2**64 - 1), octets(32))
MESSAGES = st.one_of(
    st.builds(Advert, NAMES, octets(32), octets(32), octets(32), WITNESSES, octets(64)),
    st.builds(SealedShares, st.dictionaries(NAMES, octets(210), max_size=4), octets(128)),
    st.builds(SurvivorSignature, octets(64)),
    st.builds(ReleasedShares, st.dictionaries(NAMES, octets(33), max_size=4), octets(64)),
)


@settings(deadline=None)
@given(MESSAGES)
def test_a_message_comes_back_as_it_was(message):
    assert type(message).decode(message.encode()) == message


@settings(deadline=None)
@given(MESSAGES, st.binary(min_size=1, max_size=3))
def test_no_byte_more(message, extra):
    with pytest.raises(ProtocolError):
        type(message).decode(message.encode() + extra)


@settings(deadline=None)
@given(MESSAGES, st.data())
def test_no_byte_less(message, data):
    whole = message.encode()
    with pytest.raises(ProtocolError):
        type(message).decode(whole[: data.draw(st.integers(0, len(whole) - 1))])


@settings(deadline=None)
@given(st.sampled_from([Advert, SealedShares, SurvivorSignature, ReleasedShares]), st.binary(max_size=300))
def test_bytes_from_anywhere_are_read_canonically_or_refused(kind, data):
    try:
        message = kind.decode(data)
    except ProtocolError as error:
        assert error.why
    else:
        assert message.encode() == data


def test_sizes_on_the_wire(convoy):
    ships = convoy(4)
    ships.round()
    sizes = {kind: len(message.encode()) for kind, _, message in ships.log}
    name = 1 + len("port-000")
    assert sizes == {
        "advert": name + 200,
        "shares": 128 + 2 + 3 * (name + 210),
        "vector": 64,
        "signature": 64,
        "release": 64 + 2 + 4 * (name + 33),
    }


def test_tables_are_sorted_and_distinct():
    row = b"\x01a" + bytes(33), b"\x01b" + bytes(33)
    for rows in ((row[1], row[0]), (row[0], row[0])):
        with pytest.raises(ProtocolError, match="sorted and distinct"):
            ReleasedShares.decode(bytes(64) + b"\0\2" + b"".join(rows))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (b"\0", "0 bytes"),
        (b"A" * 66, "65 bytes"),
        (b"\1\xff", "UTF-8"),
        (b"\5\x1b[31m", "not printable"),
        (b"\3a\nb", "not printable"),
    ],
)
def test_names_have_1_to_64_bytes_of_printable_utf_8(name, why):
    with pytest.raises(ProtocolError, match=why):
        Advert.decode(name + bytes(200))


@pytest.mark.parametrize(("counter", "head"), [(-1, bytes(32)), (2**64, bytes(32)), (0, b""), (0, bytes(33))])
def test_a_witness_fits_40_bytes(counter, head):
    with pytest.raises(ProtocolError, match="witness"):
        Witness(counter, head)
    assert len(Witness(2**64 - 1, bytes(32)).encode()) == 40


def test_a_masked_vectors_lanes_travel_apart():
    message = MaskedVector(MaskedDelta(np.arange(5, dtype=np.uint32)), b"s" * 64)
    assert MaskedVector.decode(message.encode(), message.delta.lanes) == message
    for lanes in (message.delta.lanes.astype(np.int64), message.delta.lanes.reshape(1, 5)):
        with pytest.raises(ProtocolError, match="lanes are"):
            MaskedVector.decode(message.encode(), lanes)
    for signature in (bytes(63), bytes(65)):
        with pytest.raises(ProtocolError):
            MaskedVector.decode(signature, message.delta.lanes)


def test_a_message_names_its_phase():
    kinds = {"advertise": Advert, "share": SealedShares, "sign": SurvivorSignature, "unmask": ReleasedShares}
    for phase, kind in kinds.items():
        with pytest.raises(ProtocolError) as caught:
            kind.decode(b"")
        assert caught.value.phase == phase
