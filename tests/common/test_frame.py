"""Frames and their bytes: the same on both sides, and nothing else raises but MalformedFrame."""

import json
import struct
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.frame import MAX_BODY, MAX_HEADER, Frame, MalformedFrame, decode, encode


def reader(octets: bytes) -> Callable[[int], bytes]:
    """Reads as a socket does: as much as was asked for, or EOFError."""
    stream = BytesIO(octets)

    def read(count: int) -> bytes:
        content = stream.read(count)
        if len(content) < count:
            raise EOFError
        return content

    return read


def headed(header: bytes, rest: bytes = b"") -> bytes:
    return struct.pack("<I", len(header)) + header + rest


FRAMES = st.builds(
    Frame,
    st.text(max_size=20),
    st.binary(max_size=50),
    st.lists(
        st.tuples(st.sampled_from([np.float32, np.uint32, np.uint16]), st.integers(0, 5)).map(
            lambda shape: (np.arange(shape[1]) * 1.5).astype(shape[0])
        ),
        max_size=3,
    ).map(tuple),
)


@given(FRAMES)
def test_a_frame_comes_back(frame: Frame) -> None:
    octets = b"".join(encode(frame))
    back = decode(reader(octets + b"the next frame"))
    assert (back.kind, back.body) == (frame.kind, frame.body)
    assert [array.dtype for array in back.arrays] == [array.dtype for array in frame.arrays]
    assert all(np.array_equal(mine, its) for mine, its in zip(frame.arrays, back.arrays, strict=True))
    assert back.size == frame.size == len(frame.body) + sum(array.nbytes for array in frame.arrays)


def test_the_bytes_are_frozen() -> None:
    """Sites and coordinators of different versions must read each other."""
    frame = Frame("share", b"\x01", (np.array([1.0], np.float32), np.array([2, 3], np.uint32)))
    header = b'{"kind": "share", "body": 1, "arrays": [["<f4", 1], ["<u4", 2]]}'
    assert b"".join(encode(frame)) == headed(header, b"\x01\x00\x00\x80\x3f\x02\x00\x00\x00\x03\x00\x00\x00")


def test_narrow_lanes_have_two_little_endian_bytes() -> None:
    frame = Frame("answer", b"", (np.array([1, 770], np.uint16),))
    header = b'{"kind": "answer", "body": 0, "arrays": [["<u2", 2]]}'
    assert b"".join(encode(frame)) == headed(header, b"\x01\x00\x02\x03")


def test_a_view_is_sent_as_what_it_shows() -> None:
    every_other = np.arange(6, dtype=np.uint32)[::2]
    back = decode(reader(b"".join(encode(Frame("x", b"", (every_other,))))))
    assert back.arrays[0].tolist() == [0, 2, 4]


def header(**changes: object) -> bytes:
    return headed(json.dumps({"kind": "x", "body": 0, "arrays": [], **changes}).encode())


@pytest.mark.parametrize(
    "octets",
    [
        struct.pack("<I", MAX_HEADER + 1),
        headed(b""),
        headed(b"\xff"),
        headed(b"[]"),
        headed(b"7"),
        headed(b"[" * 100_000),
        headed(b'{"kind": "x"}'),
        headed(b'{"kind": "x", "body": Infinity, "arrays": []}'),
        headed(b'{"kind": "x", "body": 1e999, "arrays": []}'),
        headed(b'{"kind": "x", "body": NaN, "arrays": []}'),
        headed(b'{"kind": "x", "body": ' + b"9" * 5000 + b', "arrays": []}'),
        header(body=-1),
        header(body=MAX_BODY + 1),
        header(arrays=[["<f4", MAX_BODY // 4 + 1]]),
        header(body=2**40, arrays=[["<f4", -(2**38)]]),
        header(arrays=[["<f8", 1]]),
        header(arrays=[["|O", 1]]),
        header(arrays=[[["<f4"], 1]]),
        header(arrays=[["<f4"]]),
        header(arrays=7),
        header(body="7"),
        header(body=7.0),
        header(body=True),
        header(kind=["x"]),
        header(kind=None),
        header(body=10**4300 - 1, arrays=[["<f4", 10**4300 - 1]]),
    ],
    ids=lambda octets: repr(octets[:40]),
)
def test_bytes_that_are_no_frame(octets: bytes) -> None:
    with pytest.raises(MalformedFrame):
        decode(reader(octets))


@pytest.mark.parametrize(
    "octets", [headed(b'["secret"'), header(arrays=[["secret", 1]]), header(body=10**300)]
)
def test_the_refusal_tells_nothing_of_the_header(octets: bytes) -> None:
    with pytest.raises(MalformedFrame) as caught:
        decode(reader(octets))
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert len(f"{caught.value} {caught.value.hint}") < 100
    assert "secret" not in str(caught.value)


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60).map(headed) | st.text(max_size=60).map(lambda text: headed(text.encode())))
def test_no_bytes_raise_anything_else(octets: bytes) -> None:
    with pytest.raises((MalformedFrame, EOFError)):
        decode(reader(octets))


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("<f4")


@settings(max_examples=500, deadline=None)
@given(body=VALUES, arrays=VALUES | st.lists(VALUES | st.lists(VALUES, max_size=3), max_size=3))
def test_no_header_raises_anything_else(body: object, arrays: object) -> None:
    try:
        frame = decode(reader(header(body=body, arrays=arrays) + bytes(1000)))
    except (MalformedFrame, EOFError):
        return
    assert frame.size <= 1000
