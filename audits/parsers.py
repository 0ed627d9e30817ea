"""What is fed to the decoders of common/secagg, and what must hold when one accepts: it would write the same."""

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from audits.target import SECRET, Target
from common.secagg import Advert, Memory, ReleasedShares, RoundSpec, SealedShares, SurvivorSignature, Witness
from common.secagg.draw import Commitment, Reveal
from common.secagg.envelopes import Route, Shares, open_envelope, receipt, seal
from common.secagg.errors import MemoryCorrupt, ProtocolError
from common.secagg.fields import Reader, name_bytes, table_bytes

NAMES: Final = ("port-000", "port-001", "port-002")
OCTETS: Final = (SECRET * 40)[:210]


def as_json(value: Any) -> bytes:
    """JSON text, bytes in base64; what no JSON can hold is left as Python spells it (NaN, Infinity)."""
    return json.dumps(value, default=lambda data: b64encode(data).decode()).encode()


def parsers() -> Iterator[Target]:
    """The decoders of common/secagg."""
    yield from _messages()
    yield Target("reader", (ProtocolError,), _reader, _reader_scripts())
    memory = _memory()
    yield Target("memory", (MemoryCorrupt,), _from_json, [json.loads(text) for text in memory])
    yield Target("memory text", (MemoryCorrupt,), _from_text, memory)
    yield Target("envelope", (), *_envelope())


def advert_of(platform: str, witness: Witness) -> Advert:
    """An advert of the right form, whose keys are no keys."""
    return Advert(platform, OCTETS[:32], OCTETS[32:64], OCTETS[64:96], witness, OCTETS[:64])


def _messages() -> Iterator[Target]:
    witness = Witness(7, OCTETS[:32])
    rows = dict.fromkeys(NAMES[1:], OCTETS)
    kinds: dict[Any, list[Any]] = {
        Advert: [advert_of(name, witness) for name in NAMES],
        SealedShares: [SealedShares(rows, OCTETS[:128]), SealedShares({}, OCTETS[:128])],
        Commitment: [Commitment(name, OCTETS[:32], OCTETS[:64]) for name in NAMES],
        Reveal: [Reveal(NAMES[0], OCTETS[:32], OCTETS[:64])],
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
