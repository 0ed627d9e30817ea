"""What is fed to each parser, and what must hold when it accepts: nothing is read but what would be written."""

import json
import logging
import os
import socket
import struct
from base64 import b64encode
from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict

from audits.target import LONGEST, SECRET, Target
from clients.daemon import SiteDaemon
from common import wire
from common.deltas import MaskedDelta
from common.frame import Frame, MalformedFrame, decode, encode
from common.replies import UNAVAILABLE, masked_vector, refusal
from common.requests import (
    AdvertiseRequest,
    MalformedRequest,
    ShareRequest,
    SignRequest,
    UnmaskRequest,
    UploadRequest,
)
from common.secagg import Advert, Memory, ReleasedShares, RoundSpec, SealedShares, SurvivorSignature, Witness
from common.secagg.envelopes import Route, Shares, open_envelope, receipt, seal
from common.secagg.errors import MemoryCorrupt, ProtocolError
from common.secagg.fields import Reader, name_bytes, table_bytes

NAMES: Final = ("port-000", "port-001", "port-002")
REQUESTS: Final = (AdvertiseRequest, ShareRequest, UploadRequest, SignRequest, UnmaskRequest)
OCTETS: Final = (SECRET * 40)[:210]


def as_json(value: Any) -> bytes:
    """JSON text, bytes in base64; what no JSON can hold is left as Python spells it (NaN, Infinity)."""
    return json.dumps(value, default=lambda data: b64encode(data).decode()).encode()


def parsers() -> Iterator[Target]:
    """Every parser there is."""
    yield from _messages()
    yield Target("reader", (ProtocolError,), _reader, _reader_scripts())
    memory = _memory()
    yield Target("memory", (MemoryCorrupt,), _from_json, [json.loads(text) for text in memory])
    yield Target("memory text", (MemoryCorrupt,), _from_text, memory)
    yield Target("envelope", (), *_envelope())
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


def advert_of(platform: str, witness: Witness) -> Advert:
    """An advert of the right form, whose keys are no keys."""
    return Advert(platform, OCTETS[:32], OCTETS[32:64], OCTETS[64:96], witness, OCTETS[:64])


def _messages() -> Iterator[Target]:
    witness = Witness(7, OCTETS[:32])
    rows = dict.fromkeys(NAMES[1:], OCTETS)
    kinds: dict[Any, list[Any]] = {
        Advert: [advert_of(name, witness) for name in NAMES],
        SealedShares: [SealedShares(rows, OCTETS[:128]), SealedShares({}, OCTETS[:128])],
        SurvivorSignature: [SurvivorSignature(OCTETS[:64])],
        ReleasedShares: [ReleasedShares(dict.fromkeys(NAMES, OCTETS[:33]), OCTETS[:64])],
    }
    everything = [message.encode() for messages in kinds.values() for message in messages]
    for kind, messages in kinds.items():

        def read(data: bytes, kind: Any = kind) -> None:
            assert kind.decode(data).encode() == data

        seeds = [message.encode() for message in messages]
        yield Target(kind.__name__, (ProtocolError,), read, seeds, others=everything, only=bytes)


def _reader_scripts() -> list[list[Any]]:
    """A message, and the questions it is asked: how many bytes, a name, a table of rows so wide."""
    table = table_bytes(dict.fromkeys(NAMES, OCTETS[:33]))
    return [
        [name_bytes(NAMES[0]) + OCTETS[:40], [["name", 0], ["take", 8], ["take", 32], ["end", 0]]],
        [OCTETS[:64] + table, [["take", 64], ["table", 33], ["end", 0]]],
        [OCTETS[:64], [["only", 64]]],
    ]


def _reader(script: Any) -> None:
    """Whatever is asked of whatever message: as many bytes as were asked for, in order, or ProtocolError."""
    match script:
        case [bytes(data), list(questions)]:
            read, seen = Reader(data, "share"), 0
        case _:
            return
    for question in questions:
        match question:
            case ["take" | "only" as how, int(count)] if count >= 0:
                got = getattr(read, how)(count)
                assert got == data[seen : seen + count]
                assert len(got) == count
                seen += count
            case ["table", int(width)] if width >= 0:
                seen += len(table_bytes(read.table(width)))
            case ["name", _]:
                seen += len(name_bytes(read.name()))
            case ["end", _]:
                read.end()
                assert seen == len(data)


def _memory() -> list[str]:
    spec = RoundSpec("run", "train", 3, 1, SECRET[:4] * 4, NAMES, OCTETS[:32])
    adverts = [advert_of(name, Witness(2, OCTETS[:32])) for name in NAMES]
    memory = Memory.empty().admit(spec).released(spec)
    later = memory.admit(RoundSpec("other", "statistics", 0, 0, bytes(16), NAMES, bytes(32)))
    return [each.to_json() for each in (memory, later.witness(adverts), Memory.empty())]


def _from_text(text: Any) -> None:
    if isinstance(text, str):
        assert Memory.from_json(text).to_json() == text


def _from_json(value: Any) -> None:
    _from_text(json.dumps(value, sort_keys=True, default=lambda data: data.hex()))


def _envelope() -> tuple[Any, list[bytes]]:
    """Opens for what the dealer sealed for this holder in this round, and for no other bytes."""
    dealer, holder = (
        X25519PrivateKey.from_private_bytes(OCTETS[:32]),
        X25519PrivateKey.from_private_bytes(OCTETS[1:33]),
    )
    identity, route = Ed25519PrivateKey.from_private_bytes(OCTETS[:32]), Route(bytes(32), NAMES[0], NAMES[1])
    shares = Shares(OCTETS[:33], OCTETS[1:34])
    wrong = [Route(bytes(32), NAMES[1], NAMES[0]), Route(OCTETS[:32], NAMES[0], NAMES[1])]
    sealed, *others = (
        seal(shares, dealer, holder.public_key().public_bytes_raw(), way)
        + receipt(shares, identity, way).encode()
        for way in (route, *wrong)
    )
    keys = (dealer.public_key().public_bytes_raw(), identity.public_key().public_bytes_raw())

    def read(data: Any) -> None:
        if isinstance(data, bytes):
            opened = open_envelope(data, holder, *keys, route)
            assert opened == (shares if data == sealed else None)

    return read, [sealed, *others]


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
        AdvertiseRequest(run=SECRET.decode(), round=1, attempt=2, nonce=OCTETS[:16], cohort=names).frame(),
        ShareRequest(adverts=(octets, octets)).frame(),
        UploadRequest(sealed=dict.fromkeys(names, OCTETS)).frame(),
        SignRequest(survivors=names).frame(),
        UnmaskRequest(signatures=dict.fromkeys(names, octets)).frame(),
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
