"""What is fed to whatever reads frames, requests and answers between coordinator and site."""

import json
import logging
import os
import socket
import struct
from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict

from audits.parsers import NAMES, OCTETS, as_json
from audits.target import LONGEST, SECRET, Target
from clients.daemon import SiteDaemon
from common import requests, wire
from common.deltas import MaskedDelta
from common.frame import Frame, MalformedFrame, decode, encode
from common.replies import UNAVAILABLE, masked_vector, refusal
from common.requests import (
    AdvertiseRequest,
    CertifyRequest,
    CommitRequest,
    MalformedRequest,
    ReplayRequest,
    RevealRequest,
    ShareRequest,
    SignRequest,
    UnmaskRequest,
    UploadRequest,
)
from common.secagg.errors import ProtocolError

REQUESTS: Final = [each for each in vars(requests).values() if getattr(each, "kind", "") in requests.KINDS]


def wires() -> Iterator[Target]:
    """Everything that travels between coordinator and site."""
    frames = _frames()
    yield Target("frame", (MalformedFrame, EOFError), _frame, [b"".join(encode(frame)) for frame in frames])
    headers = [json.loads(bytes(encode(frame)[1])) for frame in frames]
    yield Target("frame header", (MalformedFrame, EOFError), lambda value: _frame(_headed(value)), headers)
    yield Target("socket", (), _socket, [b"".join(encode(frame)) for frame in frames], share=2)
    yield Target("socket header", (), lambda value: _socket(_headed(value)), headers, share=2)
    bodies = [json.loads(frame.body) for frame in _requests()]
    yield Target("request", (MalformedRequest,), lambda value: _request(as_json(value)), bodies)
    yield Target("request text", (MalformedRequest,), _request, [frame.body for frame in _requests()])
    yield Target("refusal", (), _refusal, [b"4 BadAdvert", b"3 CeilingExceeded", b"1 Unavailable"], share=2)
    yield Target("vector", (ProtocolError,), _vector, [[OCTETS[:64], [["<u4", OCTETS[:24]]]]])
    yield Target("flower record", (MalformedFrame,), _records, _wired(frames), share=4)


def _frames() -> list[Frame]:
    lanes, model = np.frombuffer(OCTETS[:24], np.uint32), np.linspace(-1, 1, 5, dtype=np.float32)
    narrow = np.frombuffer(OCTETS[:24], np.uint16)
    return [
        Frame("upload", OCTETS[:64], (lanes,)),
        Frame("upload", OCTETS[:64], (narrow,)),
        Frame("advertise", OCTETS, (model, lanes)),
        Frame("sign"),
    ]


def _frame(data: Any) -> None:
    if not isinstance(data, bytes):
        return
    stream = BytesIO(data)

    def read(count: int) -> bytes:
        content = stream.read(count)
        if len(content) < count:
            raise EOFError
        return content

    frame = decode(read)
    assert frame.size <= len(data)
    again = decode(BytesIO(b"".join(encode(frame))).read)
    assert (again.kind, again.body) == (frame.kind, frame.body)
    assert [array.tobytes() for array in again.arrays] == [array.tobytes() for array in frame.arrays]


def _headed(value: Any) -> bytes:
    header = as_json(value)
    return struct.pack("<I", len(header)) + header + OCTETS * 2


class _Said(logging.Handler):
    """Keeps what the daemon logs."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.lines.append(record.getMessage())


def _socket(data: Any) -> None:
    """The daemon on a real socket: a frame comes back, or nothing; and its log holds no payload."""
    log, said = logging.getLogger("clients.daemon"), _Said()
    here, there = socket.socketpair()
    log.addHandler(said)
    log.propagate = False
    try:
        with here, there:
            if isinstance(data, bytes):
                here.sendall(data[:100_000])
            here.shutdown(socket.SHUT_WR)
            SiteDaemon(lambda frame: frame, here, {os.getuid()})._converse(there)
            there.shutdown(socket.SHUT_WR)
            reply = here.makefile("rb").read()
            assert reply == b"" or decode(BytesIO(reply).read).size <= len(data)
    finally:
        log.removeHandler(said)
    for line in said.lines:
        assert line.isprintable()
        assert len(line) <= LONGEST
        assert not any(word in line for word in (SECRET.decode(), "MemoryError", "AssertionError"))


def _requests() -> list[Frame]:
    names, octets = NAMES, OCTETS[:64]
    return [
        CommitRequest(run=SECRET.decode(), round=1, attempt=2, draw=0).frame(),
        RevealRequest(attempt=2, commitments=(octets, octets)).frame(),
        AdvertiseRequest(
            run=SECRET.decode(), round=1, attempt=2, nonce=OCTETS[:16], cohort=names, reveals=(octets,)
        ).frame(),
        ShareRequest(attempt=2, adverts=(octets, octets)).frame(),
        UploadRequest(attempt=2, sealed=dict.fromkeys(names, OCTETS)).frame(),
        SignRequest(attempt=2, survivors=names).frame(),
        UnmaskRequest(attempt=2, signatures=dict.fromkeys(names, octets)).frame(),
        ReplayRequest(attempt=2, bundle=OCTETS[:32], key=OCTETS[:32]).frame(),
        CertifyRequest(statement=OCTETS).frame(),
    ]


def _request(body: Any) -> None:
    """One of the five reads it, or each refuses."""
    if not isinstance(body, bytes):
        return
    refused: MalformedRequest | None = None
    for kind in REQUESTS:
        try:
            parsed = kind.parse(Frame(kind.kind, body))
        except MalformedRequest as error:
            refused = error
            continue
        assert kind.parse(parsed.frame()) == parsed
        return
    if refused:
        raise refused


def _refusal(body: Any) -> None:
    if isinstance(body, bytes):
        told = refusal(Frame("refused", body))
        assert told.code >= 0
        assert told.reason == UNAVAILABLE or (told.reason.isalpha() and told.reason.isascii())
        assert len(str(told)) <= 64


def _arrays(rows: Any) -> tuple[Any, ...]:
    kinds = {"<f4": np.float32, "<u4": np.uint32, "<u2": np.uint16}
    good = [row for row in rows if isinstance(row, list) and len(row) == 2 and isinstance(row[1], bytes)]
    cut = [(kind, octets[: len(octets) // 4 * 4]) for kind, octets in good]
    return tuple(np.frombuffer(octets, kinds.get(str(kind), np.int32)) for kind, octets in cut)


def _vector(value: Any) -> None:
    match value:
        case [bytes(signature), list(rows)]:
            arrays = _arrays(rows)
            vector = masked_vector(Frame("answer", signature, arrays))
            assert isinstance(vector.delta, MaskedDelta)
            assert vector.encode() == signature
            assert vector.delta.lanes is arrays[0]


def _wired(frames: list[Frame]) -> list[dict[str, Any]]:
    """Frames as the fields of Flower's records: [type, shape, storage, bytes] for each array."""
    return [
        {
            "envelope": {"kind": frame.kind, "body": frame.body},
            "arrays": {
                str(at): [array.dtype.str, list(array.shape), "raw", array.tobytes()]
                for at, array in enumerate(frame.arrays)
            },
        }
        for frame in frames
    ]


def _records(value: Any) -> None:
    try:
        records: dict[str, Any] = {
            name: ArrayRecord(
                {key: Array(row[0], tuple(row[1]), row[2], row[3]) for key, row in record.items()}
            )
            if name == "arrays"
            else ConfigRecord(record)
            for name, record in value.items()
        }
        message = Message(RecordDict(records), 7, wire.MESSAGE_TYPE)
    except (TypeError, ValueError, AttributeError, IndexError, KeyError, OverflowError):
        return  # Flower itself does not carry it
    frame = wire.frame_of(message)
    assert frame.size == len(frame.body) + sum(len(row[3]) for row in value["arrays"].values())
