"""Flower messages and frames: exact both ways, strict on the way in."""

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, RecordDict
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from common import wire
from common.frame import Frame, MalformedFrame

FLOATS = arrays.arrays(np.float32, st.integers(0, 50), elements=st.floats(width=32, allow_nan=True))
LANES = st.sampled_from([np.uint32, np.uint16]).flatmap(lambda lane: arrays.arrays(lane, st.integers(0, 50)))


@pytest.fixture
def message(task: None) -> Message:
    return wire.request(Frame("open", b"body"), address=7, timeout=30.0)


@given(st.text(max_size=20), st.binary(max_size=50), st.lists(FLOATS | LANES, max_size=12))
def test_a_frame_survives_bit_for_bit(task: None, kind: str, body: bytes, vectors: list[np.ndarray]) -> None:
    sent = Frame(kind, body, tuple(vectors))
    received = wire.frame_of(wire.request(sent, address=7, timeout=30.0))
    assert (received.kind, received.body) == (kind, body)
    assert [v.dtype for v in received.arrays] == [v.dtype for v in vectors]
    assert [v.tobytes() for v in received.arrays] == [v.tobytes() for v in vectors]


def test_a_request_expires_with_its_phase(message: Message) -> None:
    assert message.metadata.ttl == 30.0
    assert message.metadata.dst_node_id == 7


def test_silence_says_that_and_never_why(message: Message) -> None:
    answer = wire.silence(message)
    assert (answer.error.code, answer.error.reason) == (wire.SITE_SILENT, "the site does not answer")
    with pytest.raises(MalformedFrame):
        wire.frame_of(answer)


def test_an_error_of_flowers_own_is_no_frame(message: Message) -> None:
    with pytest.raises(MalformedFrame):
        wire.frame_of(Message(Error(0, "something broke"), reply_to=message))


GOOD = Array(dtype="<u4", shape=(2,), stype="raw", data=bytes(8))
ENVELOPE = ConfigRecord({"kind": "open", "body": b""})


@pytest.mark.parametrize(
    "records",
    [
        {},
        {"envelope": ENVELOPE},
        {"arrays": ArrayRecord({})},
        {"envelope": ConfigRecord({"kind": "open"}), "arrays": ArrayRecord({})},
        {"envelope": ConfigRecord({"kind": 1, "body": b""}), "arrays": ArrayRecord({})},
        {"envelope": ConfigRecord({"kind": "open", "body": "text"}), "arrays": ArrayRecord({})},
        {"envelope": ENVELOPE, "arrays": ArrayRecord({"1": GOOD})},
        {"envelope": ENVELOPE, "arrays": ArrayRecord({"0": Array("<f8", (1,), "raw", bytes(8))})},
        {"envelope": ENVELOPE, "arrays": ArrayRecord({"0": Array("|O", (1,), "raw", bytes(8))})},
        {"envelope": ENVELOPE, "arrays": ArrayRecord({"0": Array("<u4", (3,), "raw", bytes(8))})},
        {"envelope": ENVELOPE, "arrays": ArrayRecord({"0": Array("<u4", (1, 2), "raw", bytes(8))})},
        {"envelope": ENVELOPE, "arrays": ArrayRecord({"0": Array("<u4", (2,), "raw", bytes(9))})},
        {"envelope": ENVELOPE, "arrays": ArrayRecord({"0": Array("<u2", (2,), "raw", bytes(8))})},
        {"envelope": ENVELOPE, "arrays": ArrayRecord({"0": Array("<u8", (1,), "raw", bytes(8))})},
    ],
)
def test_anything_else_is_refused(task: None, records: dict[str, ArrayRecord | ConfigRecord]) -> None:
    message = Message(RecordDict(records), 7, wire.MESSAGE_TYPE)
    with pytest.raises(MalformedFrame):
        wire.frame_of(message)
