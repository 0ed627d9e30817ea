"""What a site says: a protocol message, or one word that tells the coordinator no more than it may know."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.deltas import MaskedDelta
from common.errors import AggregationAborted, ConfigError, DataError, HanseError, PrivacyRefused, Problem
from common.frame import Frame
from common.privacy.errors import CeilingExceeded
from common.replies import (
    ANSWER,
    REFUSED,
    UNAVAILABLE,
    Refusal,
    answer,
    body_of,
    masked_vector,
    refusal,
    refuse,
)
from common.requests import MalformedRequest
from common.secagg.errors import BadAdvert, BadShares, LedgerRollback, ProtocolError, RoundReplayed
from common.secagg.messages import MaskedVector, SurvivorSignature

PRIVATE = "user 4711 bought insulin"


def test_a_message_is_the_body_and_lanes_are_the_one_array() -> None:
    signature = SurvivorSignature(b"s" * 64)
    frame = answer(signature)
    assert (frame.kind, frame.arrays) == (ANSWER, ())
    assert body_of(SurvivorSignature.decode)(frame) == signature

    for lanes in (np.arange(5, dtype=np.uint32), np.arange(5, dtype=np.uint16)):
        vector = MaskedVector(MaskedDelta(lanes), b"v" * 64)
        back = masked_vector(answer(vector))
        assert back.signature == vector.signature
        assert back.delta.lanes.dtype == lanes.dtype
        assert np.array_equal(back.delta.lanes, lanes)
        assert answer(vector).body == vector.encode()


@pytest.mark.parametrize(
    "arrays",
    [
        (),
        (np.zeros(5, np.float32),),
        (np.zeros(5, np.uint32), np.zeros(5, np.uint32)),
        (np.zeros(5, np.uint32), np.zeros(5, np.float32)),
    ],
)
def test_a_vector_needs_exactly_one_array_of_lanes(arrays: tuple[np.ndarray, ...]) -> None:
    with pytest.raises(ProtocolError):
        masked_vector(Frame(ANSWER, b"v" * 64, arrays))


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (BadAdvert("share", "salt", why=PRIVATE), Refusal(4, "BadAdvert")),
        (RoundReplayed("memory", why=PRIVATE), Refusal(4, "RoundReplayed")),
        (BadShares("mask", "salt", why=PRIVATE), Refusal(4, "BadShares", "salt")),
        (LedgerRollback("memory", "salt", why=PRIVATE), Refusal(4, "LedgerRollback", "salt")),
        (MalformedRequest(PRIVATE), Refusal(4, "MalformedRequest")),
        (CeilingExceeded(PRIVATE, where=PRIVATE), Refusal(3, "CeilingExceeded")),
        (DataError(PRIVATE), Refusal(1, UNAVAILABLE)),
        (ConfigError((Problem("site.toml:1", PRIVATE),)), Refusal(1, UNAVAILABLE)),
        (HanseError(PRIVATE), Refusal(1, UNAVAILABLE)),
        (ValueError(PRIVATE), Refusal(1, UNAVAILABLE)),
        (KeyError(PRIVATE), Refusal(1, UNAVAILABLE)),
        (OSError(28, PRIVATE), Refusal(1, UNAVAILABLE)),
    ],
)
def test_an_error_becomes_one_word(error: Exception, known: Refusal) -> None:
    frame = refuse(error)
    assert (frame.kind, frame.arrays) == (REFUSED, ())
    assert PRIVATE.encode() not in frame.body
    assert refusal(frame) == known
    assert str(refusal(frame)) == f"{known.reason} of {known.accused}".removesuffix(" of ")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"4",
        b"4 ",
        b" BadAdvert",
        b"x BadAdvert",
        b"4 Bad\nAdvert",
        b"4 \x1b[2J",
        b"-1 Bad",
        b"\xff Bad",
        b"4 BadShares",  # an accusation of nobody
        b"4 BadAdvert salt",  # a word that accuses nobody, with a name
        b"4 BadShares salt ",
        b"4 BadShares salt herring",
        b"4 BadShares Salt",
        b"4 BadShares \x1b[2J",
        b"4 BadShares " + b"s" * 64,
        b"4 BadShares salt" + bytes(200),
    ],
)
def test_a_refusal_of_another_form_is_the_general_one(body: bytes) -> None:
    assert refusal(Frame(REFUSED, body)) == Refusal(1, UNAVAILABLE)


@given(st.binary(max_size=100))
def test_whatever_stands_in_a_refusal_is_a_number_and_letters(body: bytes) -> None:
    found = refusal(Frame(REFUSED, body))
    assert found.reason.isascii()
    assert found.reason.isalpha()
    assert len(found.reason) <= 40
    assert not found.accused
    assert found.code >= 0


def test_the_kinds_of_refusal_are_told_apart() -> None:
    assert refusal(refuse(PrivacyRefused(""))).code == PrivacyRefused.exit_code
    assert refusal(refuse(AggregationAborted(""))).code == AggregationAborted.exit_code
