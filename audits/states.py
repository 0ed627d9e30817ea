"""What is fed to the protocol's states: the messages of an honest round, damaged, mixed with those of others.

A client that accepts has accepted nothing but what honest platforms made for it in this round. A coordinator
that gives a sum gives the exact one, and excludes no platform whose message arrived as it was sent.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from random import Random
from typing import Any, Final, Protocol, TypeVar

import numpy as np

from audits.damage import Value
from audits.parsers import OCTETS, as_json
from audits.target import Target, printable
from audits.voyage import ME, Voyage, kept, voyages
from common.frame import Frame
from common.requests import MalformedRequest, ShareRequest, SignRequest, UnmaskRequest, UploadRequest
from common.secagg import (
    Advert,
    MaskedVector,
    ReleasedShares,
    SealedShares,
    SurvivorSignature,
    collect_adverts,
)
from common.secagg.errors import ProtocolAborted, ProtocolError, TooFewPlatforms

ABORTS: Final = (ProtocolAborted, MalformedRequest)


class _Collected(Protocol):
    """A state of the coordinator: it knows whom it left out."""

    @property
    def excluded(self) -> Mapping[str, ProtocolAborted]: ...


State = TypeVar("State", bound=_Collected)


def machines() -> Iterator[Target]:
    """Every state of both sides, and whole rounds under a relay that damages what passes."""
    voyage, other = voyages()
    yield from _clients(voyage, other)
    yield from _servers(voyage, other)
    yield Target("relay", ABORTS, _relay(voyage.ships), [OCTETS], share=1, only=bytes)


def _clients(voyage: Voyage, other: Voyage) -> Iterator[Target]:
    """Each question as a site reads it from its frame."""

    def share(adverts: Value) -> None:
        request = ShareRequest.parse(Frame("share", as_json({"attempt": 1, "adverts": adverts})))
        decoded = [Advert.decode(advert) for advert in request.adverts]
        kept(voyage.states["share"]).share(decoded)
        assert set(request.adverts) <= set(voyage.adverts.values())
        assert len(decoded) == len({advert.platform for advert in decoded}) >= 3
        assert voyage.adverts[ME] in request.adverts

    def upload(sealed: Value) -> None:
        request = UploadRequest.parse(Frame("upload", as_json({"attempt": 1, "sealed": sealed})))
        opened = kept(voyage.states["upload"]).open(request.sealed)
        assert request.sealed.items() <= voyage.mail.items()
        assert set(opened.sharers) == {ME, *request.sealed}
        assert len(opened.sharers) >= 3

    def sign(survivors: Value) -> None:
        request = SignRequest.parse(Frame("sign", as_json({"attempt": 1, "survivors": survivors})))
        signed, _ = kept(voyage.states["sign"]).sign(request.survivors)
        assert ME in signed.survivors <= set(voyage.ships.names)
        assert len(signed.survivors) >= 3

    def unmask(signatures: Value) -> None:
        request = UnmaskRequest.parse(Frame("unmask", as_json({"attempt": 1, "signatures": signatures})))
        released = kept(voyage.states["unmask"]).release(request.signatures)
        assert len(request.signatures.items() & voyage.signatures.items()) >= 3
        assert dict(released.shares) == dict(ReleasedShares.decode(voyage.released[ME]).shares)

    for phase, check, seed, splice in (
        ("share", share, list(voyage.adverts.values()), list(other.adverts.values())),
        ("upload", upload, dict(voyage.mail), dict(other.mail)),
        ("sign", sign, sorted(voyage.vectors), voyage.ships.names),
        ("unmask", unmask, dict(voyage.signatures), dict(other.signatures)),
    ):
        yield Target(f"client: {phase}", ABORTS, check, [seed], share=4, others=[splice, seed])


def _servers(voyage: Voyage, other: Voyage) -> Iterator[Target]:
    """Each phase's answers by platform, as bytes."""
    masked = voyage.quorum.masked
    boxes, book, rows = masked.mail, masked.mail.book, _rows(voyage)

    def adverts(answers: Value) -> None:
        read = list(_read(answers, Advert.decode).values())
        honest = {advert.platform for advert in read if advert.encode() in voyage.adverts.values()}
        found = _fair(partial(collect_adverts, book.terms, book.spec, read), honest)
        assert set(found.platforms) == honest

    def shares(answers: Value) -> None:
        read = _read(answers, SealedShares.decode)
        found = _fair(partial(book.collect_shares, read), _unchanged(answers, voyage.sealed))
        for name in found.platforms:
            assert set(found.for_platform(name)) == set(found.platforms) - {name}

    def vectors(answers: Value) -> None:
        read = _read(answers, _vector, list)
        found = _fair(partial(boxes.collect_masked, read), _unchanged(answers, rows))
        honest = [voyage.vectors[name].delta.lanes for name in found.survivors]
        assert np.array_equal(found.total, np.sum(honest, axis=0, dtype=np.uint32))

    def signatures(answers: Value) -> None:
        read = _read(answers, SurvivorSignature.decode)
        found = _fair(partial(masked.collect_signatures, read), _unchanged(answers, voyage.signatures))
        assert found.signatures.items() <= voyage.signatures.items()

    def releases(answers: Value) -> None:
        read = _read(answers, ReleasedShares.decode)
        found = _fair(partial(voyage.quorum.collect_releases, read), _unchanged(answers, voyage.released))
        assert np.array_equal(found.unmask(), voyage.ships.plain_sum(masked.survivors))

    for phase, check, seed, splice in (
        ("adverts", adverts, dict(voyage.adverts), dict(other.adverts)),
        ("shares", shares, dict(voyage.sealed), dict(other.sealed)),
        ("vectors", vectors, rows, _rows(other)),
        ("signatures", signatures, dict(voyage.signatures), dict(other.signatures)),
        ("releases", releases, dict(voyage.released), dict(other.released)),
    ):
        yield Target(f"server: {phase}", ABORTS, check, [seed], share=4, others=[splice, seed], only=dict)


def _rows(voyage: Voyage) -> dict[str, Any]:
    return {name: [v.signature, v.delta.lanes.tobytes()] for name, v in voyage.vectors.items()}


def _vector(parts: Any) -> MaskedVector:
    match parts:
        case [bytes(signature), bytes(octets)]:
            return MaskedVector.decode(signature, np.frombuffer(octets[: len(octets) // 4 * 4], np.uint32))
    raise ProtocolError("mask", why="no two fields")


def _read(answers: dict[str, Value], decode: Callable[[Any], Any], kind: type = bytes) -> dict[str, Any]:
    """The coordinator leaves out what it cannot read, and goes on. The names are its own."""
    found = {}
    for name, data in answers.items():
        if name.isprintable() and isinstance(data, kind):
            try:
                found[name] = decode(data)
            except ProtocolAborted as error:
                printable(error)
    return found


def _unchanged(answers: Mapping[str, Value], sent: Mapping[str, Value]) -> list[str]:
    return [name for name, data in sent.items() if answers.get(name) == data]


def _fair(collect: Callable[[], State], innocent: Collection[str]) -> State:
    """The next state. Nobody is excluded whose message arrived as it was sent, and each reason may be printed;
    also where the round ends for want of platforms.
    """
    try:
        found = collect()
    except TooFewPlatforms as few:
        _spare(few.excluded, innocent)
        raise
    _spare(found.excluded, innocent)
    return found


def _spare(excluded: Mapping[str, ProtocolAborted], innocent: Collection[str]) -> None:
    assert not set(excluded) & set(innocent)
    for why in excluded.values():
        printable(why)


def _relay(ships: Any) -> Callable[[bytes], None]:
    """A whole round, in which a relay damages, replays and swaps messages and one platform may leave."""

    def check(octets: bytes) -> None:
        rng, passed = Random(octets), dict[str, list[Any]]()

        def tamper(kind: str, _: str, message: Any) -> Any:
            seen = passed.setdefault(kind, [])
            seen.append(message)
            return _tampered(message, seen, rng) if octets != OCTETS and rng.random() < 0.05 else message

        ships.log.clear()
        phase = rng.choice(("advertise", "share", "mask", "sign", "unmask", "never"))
        outcome = ships.round({phase: [rng.choice(ships.names)]}, tamper)
        assert np.array_equal(outcome.lanes, ships.plain_sum(outcome.survivors))

    return check


def _tampered(message: Any, seen: Sequence[Any], rng: Random) -> Any:
    """Like the message, of the same type; what does not even decode is the other targets' part."""
    match message:
        case bytes():
            at = rng.randrange(len(message) * 8)
            return (int.from_bytes(message, "big") ^ 1 << at).to_bytes(len(message), "big")
        case dict():
            name, other = rng.choice(list(message)), rng.choice(seen)
            row = _tampered(message[name], [message[name]], rng)
            lost = {key: value for key, value in message.items() if key != name}
            return rng.choice((lost, other, {**message, name: row}, {**other, **message}))
        case tuple():
            return rng.choice((message[1:], (*message, rng.choice(message)), rng.choice(seen), message[::-1]))
        case Advert() | SealedShares() | SurvivorSignature() | ReleasedShares():
            part = rng.choice([f.name for f in fields(message) if f.name not in ("platform", "witness")])
            value = _tampered(getattr(message, part), [getattr(each, part) for each in seen], rng)
            return rng.choice((replace(message, **{part: value}), rng.choice(seen)))
    return rng.choice(seen)
