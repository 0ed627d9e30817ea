"""Requests come from a coordinator that may be anyone: whatever is not exactly of their form is refused."""

import base64
import json
from traceback import format_exception
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import AggregationAborted
from common.frame import Frame
from common.requests import (
    AdvertiseRequest,
    CommitRequest,
    MalformedRequest,
    ReplayRequest,
    RevealRequest,
    ShareRequest,
    SignRequest,
    UnmaskRequest,
    UploadRequest,
)

KINDS = (
    CommitRequest,
    RevealRequest,
    AdvertiseRequest,
    ShareRequest,
    UploadRequest,
    SignRequest,
    UnmaskRequest,
    ReplayRequest,
)
REQUESTS = (
    AdvertiseRequest(run="r", round=1, attempt=2, nonce=b"n" * 16, cohort=("amber", "salt", "timber")),
    AdvertiseRequest(run="r", round=1, attempt=2, nonce=b"n" * 16, cohort=("amber",), reveals=(b"\xff", b"")),
    CommitRequest(run="r", round=1, attempt=2, draw=1),
    RevealRequest(attempt=2, commitments=(b"\x00\xff", b"")),
    ShareRequest(attempt=2, adverts=(b"\x00\xff", b"")),
    UploadRequest(attempt=2, sealed={"amber": b"\xfe" * 3}),
    SignRequest(attempt=2, survivors=("amber", "salt")),
    UnmaskRequest(attempt=2, signatures={"amber": b"s" * 64}),
    ReplayRequest(attempt=2, bundle=b"b" * 32, key=b"k" * 32),
)

FIELDS = sorted({name for kind in KINDS for name in kind.model_fields})
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, 10**400, -1, 1.0, 1e308])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.binary(max_size=20).map(lambda octets: base64.b64encode(octets).decode()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=8), VALUES, max_size=6)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.kind)
def test_a_request_comes_back_from_its_frame(request_: Any) -> None:
    frame = request_.frame()
    assert frame.kind == request_.kind
    assert type(request_).parse(frame) == request_


def valid(request: Any) -> dict[str, Any]:
    return json.loads(request.frame().body)


@pytest.mark.parametrize(
    "change",
    [
        {"remark": 1},
        {"round": -1},
        {"round": 2**63},
        {"round": 10**400},
        {"round": "1"},
        {"round": 1.0},
        {"round": True},
        {"round": None},
        {"run": "r" * 129},
        {"run": 5},
        {"nonce": base64.b64encode(b"n" * 15).decode()},
        {"nonce": base64.b64encode(b"n" * 17).decode()},
        {"nonce": "n" * 23 + "!"},
        {"nonce": 16},
        {"cohort": "amber"},
        {"cohort": [1, 2, 3]},
        {"cohort": ["a" * 64]},
        {"cohort": None},
    ],
    ids=str,
)
def test_an_opening_of_another_form_is_refused(change: dict[str, Any]) -> None:
    body = json.dumps({**valid(REQUESTS[0]), **change}).encode()
    with pytest.raises(MalformedRequest, match="a malformed advertise request"):
        AdvertiseRequest.parse(Frame("advertise", body))


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.kind)
def test_a_field_too_few_or_too_many(request_: Any) -> None:
    kind, content = type(request_), valid(request_)
    for name in (name for name in content if kind.model_fields[name].is_required()):
        fewer = {key: value for key, value in content.items() if key != name}
        with pytest.raises(MalformedRequest):
            kind.parse(Frame(kind.kind, json.dumps(fewer).encode()))
    with pytest.raises(MalformedRequest):
        kind.parse(Frame(kind.kind, json.dumps({**content, "loss": 0.3}).encode()))


def valid_replay(**changes: bytes) -> bytes:
    octets = {"bundle": b"b" * 32, "key": b"k" * 32, **changes}
    fields = {name: base64.b64encode(value).decode() for name, value in octets.items()}
    return json.dumps({"attempt": 2, **fields}).encode()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (ShareRequest, b'{"attempt": 2, "adverts": ["*"]}'),
        (ShareRequest, b'{"attempt": 2, "adverts": [[1, 2]]}'),
        (UploadRequest, b'{"attempt": 2, "sealed": {"amber": "*"}}'),
        (UploadRequest, b'{"attempt": 2, "sealed": {"amber": null}}'),
        (UploadRequest, b'{"attempt": 2, "sealed": ["amber"]}'),
        (SignRequest, b'{"attempt": 2, "survivors": {"amber": 1}}'),
        (UnmaskRequest, b'{"attempt": 2, "signatures": {"amber": "====="}}'),
        (ReplayRequest, valid_replay(bundle=b"b" * 31)),
        (ReplayRequest, valid_replay(bundle=b"b" * 33)),
        (ReplayRequest, valid_replay(key=b"")),
        (ReplayRequest, valid_replay(key=b"k" * 33)),
        (UnmaskRequest, b"[" * 100_000),
        (UnmaskRequest, b'{"attempt": 2, "signatures": {"\xff": ""}}'),
        (UnmaskRequest, b'{"attempt": 2, "signatures": {"\\ud800": ""}}'),
        (SignRequest, b'{"attempt": 2, "survivors": ["amber\\nsalt refuses to sign"]}'),
        (SignRequest, b'{"attempt": 2, "survivors": ["\\u001b[2J"]}'),
        (SignRequest, b'{"attempt": 2, "survivors": [""]}'),
        (UploadRequest, b'{"attempt": 2, "sealed": {"Amber": ""}}'),
    ],
)
def test_bodies_of_another_form_are_refused(kind: Any, body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        kind.parse(Frame(kind.kind, body))


def test_the_refusal_tells_nothing_of_the_body() -> None:
    word = "terces"[::-1]  # a traceback shows lines of this file too
    with pytest.raises(MalformedRequest) as caught:
        SignRequest.parse(Frame("sign", f'{{"attempt": 2, "survivors": "amber, a {word}"}}'.encode()))
    assert word not in "".join(format_exception(caught.value))
    assert isinstance(caught.value, AggregationAborted)


def parse_or_refuse(body: bytes) -> None:
    """One of the six, or MalformedRequest; anything else fails the test that calls it."""
    for kind in KINDS:
        try:
            parsed = kind.parse(Frame(kind.kind, body))
        except MalformedRequest:
            continue
        assert kind.parse(parsed.frame()) == parsed


@settings(max_examples=1000, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    parse_or_refuse(body)


@settings(max_examples=600, deadline=None)
@given(OBJECTS)
def test_no_json_raises_anything_else(content: dict[str, Any]) -> None:
    parse_or_refuse(json.dumps(content).encode())


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(REQUESTS), st.data())
def test_no_damage_raises_anything_else(request_: Any, data: st.DataObject) -> None:
    body = bytearray(request_.frame().body)
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    parse_or_refuse(bytes(body))


def test_what_is_signed_covers_every_field_and_the_model(draft: Any) -> None:
    terms, opening = draft().terms(), REQUESTS[0]
    others = [
        opening.spec(bytes(32)),
        *(
            opening.model_copy(update=change).spec(b"m" * 32)
            for change in ({"run": "s"}, {"round": 2}, {"attempt": 3}, {"nonce": b"o" * 16}, {"cohort": ()})
        ),
    ]
    digests = {spec.digest(terms) for spec in [opening.spec(b"m" * 32), *others]}
    assert len(digests) == 7
    assert opening.spec(b"m" * 32).purpose == "train"
