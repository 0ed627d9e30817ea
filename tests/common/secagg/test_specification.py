"""The protocol's page and the attacks' page say what the code does: bytes, inputs, states, reasons and tests."""

import ast
import hashlib
import importlib
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from common.errors import HanseError
from common.secagg import client, errors, server
from common.secagg.envelopes import Receipt, Route, Shares, key_hash, receipt, seed_hash, unseal
from common.secagg.keys import pair_key, self_key, verify
from common.secagg.messages import Advert, ReleasedShares, SealedShares
from common.secagg.ring import Ring, Tensor
from common.secagg.rules import adverts_hash, commitment, lanes_hash, sharers_hash
from common.secagg.seat import Secrets
from common.secagg.terms import RoundSpec, Terms

ROOT = Path(__file__).parents[3]
PROTOCOL = (ROOT / "docs/reference/protocol.md").read_text("utf-8")
ATTACKS = (ROOT / "docs/explanation/attacks.md").read_text("utf-8")
A, B, C, D = (f"port-{place:03}" for place in range(4))
ID = b"hanse/secagg/1"


def table(section: str, level: int = 2) -> list[list[str]]:
    """The cells of the first table in a section."""
    body = re.search(rf"^{'#' * level} {section}\n(.*?)(?=^#|\Z)", PROTOCOL, re.M | re.S)
    assert body, section
    lines = [line for line in body[1].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


@pytest.fixture(scope="module")
def sailed(convoy: Callable[..., Any]) -> Any:
    """A round of four in which the third does not send its vector, with its messages and keys."""
    secrets: list[Secrets] = []
    fresh = Secrets.fresh
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Secrets, "fresh", staticmethod(lambda: secrets.append(fresh()) or secrets[-1]))
        ships = convoy(4, 1)
        outcome = ships.round({"mask": [C]})
    ships.outcome, ships.secrets = outcome, dict(zip(ships.names, secrets, strict=True))
    ships.said = {(kind, name): message for kind, name, message in ships.log}
    return ships


# --- messages ------------------------------------------------------------------------------------------------


def cut(message: bytes, section: str) -> list[tuple[str, bytes]]:
    """The fields of a message, cut as the table says; nothing may be left over."""
    rows = [(field.strip("`"), size) for field, size, _ in table(section, 3)]
    plain = [(name, size) for name, size in rows if not name.startswith("each")]
    each = [(name.removeprefix("each `"), size) for name, size in rows if name.startswith("each")]
    fields: list[tuple[str, bytes]] = []
    at = 0
    for name, size in plain:
        at += len(taken(message, at, name, size, fields))
    for _ in range(int.from_bytes(dict(fields).get("rows", b""), "big")):
        for name, size in each:
            at += len(taken(message, at, name, size, fields))
    assert at == len(message), section
    return fields


def taken(message: bytes, at: int, name: str, size: str, fields: list[tuple[str, bytes]]) -> bytes:
    field = message[at : at + (fields[-1][1][0] if size == "L" else int(size))]
    fields.append((name, field))
    return field


def test_an_advert(sailed: Any) -> None:
    sent: Advert = sailed.said["advert", A]
    found = dict(cut(sent.encode(), "Advert"))
    assert found.pop("length") == bytes([len(A)])
    assert int.from_bytes(found.pop("counter"), "big") == sent.witness.counter
    assert found.pop("head") == sent.witness.head
    assert found.pop("platform") == A.encode()
    assert found == {name: getattr(sent, name) for name in found}
    assert set(found) == {"seal_key", "mask_key", "commitment", "signature"}


def test_sealed_shares_and_their_envelopes(sailed: Any) -> None:
    sent: SealedShares = sailed.said["shares", A]
    fields = cut(sent.encode(), "SealedShares")
    assert fields[0] == ("own", sent.own)
    assert fields[1] == ("rows", (3).to_bytes(2, "big"))
    rows = [(name, value) for name, value in fields[2:] if name != "length"]
    assert rows == [
        pair
        for holder in (B, C, D)
        for pair in (("holder", holder.encode()), ("envelope", sent.envelopes[holder]))
    ]
    inside = dict(cut(sent.envelopes[B], "Envelope"))
    note = Receipt.decode(sent.envelopes[B])
    assert (note.seed, note.key) == (inside["seed hash"], inside["key hash"])
    assert note.signature == inside["signature"]
    route = Route(h1_of(sailed), A, B)
    key = sailed.said["advert", A].seal_key
    opened = unseal(inside["sealed"], sailed.secrets[B].seal, key, route)
    assert opened is not None
    assert (len(opened.seed), len(opened.key)) == (33, 33)


def test_a_masked_vector_and_a_survivors_signature(sailed: Any) -> None:
    for kind, section in (("vector", "MaskedVector"), ("signature", "SurvivorSignature")):
        sent = sailed.said[kind, A]
        assert cut(sent.encode(), section) == [("signature", sent.signature)]


def test_released_shares(sailed: Any) -> None:
    sent: ReleasedShares = sailed.said["release", A]
    fields = cut(sent.encode(), "ReleasedShares")
    assert fields[:2] == [("signature", sent.signature), ("rows", (4).to_bytes(2, "big"))]
    rows = [value for name, value in fields[2:] if name != "length"]
    assert rows == [part for dealer in (A, B, C, D) for part in (dealer.encode(), sent.shares[dealer])]


# --- hashes, signatures, keys: worked out again from the page alone ------------------------------------------


def encode(*fields: bytes) -> bytes:
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def hashed(purpose: str, *fields: bytes) -> bytes:
    return hashlib.sha256(encode(ID, purpose.encode(), *fields)).digest()


def names_of(members: Any) -> bytes:
    return encode(*(name.encode() for name in sorted(set(members))))


def values(cells: str, known: Mapping[str, Any]) -> list[bytes]:
    """The fields of a row: names of known values, or ``number(…)`` and ``names(…)`` of one."""
    found = []
    for cell in re.findall(r"`([^`]+)`", cells):
        function, _, argument = cell.rstrip(")").partition("(")
        if argument:
            call = {"number": lambda value: int(value).to_bytes(8, "big"), "names": names_of}[function]
            found.append(call(known[argument]))
        else:
            value = known[cell]
            found.append(value.encode() if isinstance(value, str) else value)
    return found


def row(section: str, name: str) -> list[str]:
    (found,) = [cells for cells in table(section) if cells[0] == f"`{name}`"]
    return found[1:]


def h1_of(sailed: Any) -> bytes:
    return sailed.outcome.quorum.masked.mail.h1


@pytest.fixture(scope="module")
def known(sailed: Any) -> dict[str, Any]:
    """Every value that the page names, of platform A and of what it dealt to B."""
    spec: RoundSpec = sailed.spec()
    terms: Terms = sailed.terms
    advert: Advert = sailed.said["advert", A]
    note = Receipt.decode(sailed.said["shares", A].envelopes[B])
    release: ReleasedShares = sailed.said["release", A]
    adverts = [sailed.said["advert", name] for name in sailed.names]
    inner = [
        encode(a.platform.encode(), a.seal_key, a.mask_key, a.commitment, a.witness.encode()) for a in adverts
    ]
    masked = sailed.outcome.quorum.masked
    pairs = [part for name, key in terms.roster.items() for part in (name.encode(), key)]
    released = [part for name in sorted(release.shares) for part in (name.encode(), release.shares[name])]
    part = hashlib.sha256(sailed.said["vector", A].delta.lanes.astype("<u4").tobytes()).digest()
    return {
        "charter": terms.charter,
        "roster": encode(*pairs),
        "colluders": terms.colluders,
        "dimension": terms.dimension,
        "ring": encode(terms.ring.clip.hex().encode(), terms.ring.bits.to_bytes(8, "big")),
        "terms": terms.digest(),
        "run": spec.run,
        "purpose": spec.purpose,
        "round": spec.round,
        "attempt": spec.attempt,
        "nonce": spec.nonce,
        "cohort": spec.cohort,
        "model": spec.model,
        "spec": spec.digest(terms),
        "platform": A,
        "seed": sailed.secrets[A].seed,
        "seal_key": advert.seal_key,
        "mask_key": advert.mask_key,
        "commitment": advert.commitment,
        "witness": advert.witness.counter.to_bytes(8, "big") + advert.witness.head,
        "adverts": inner,
        "h1": masked.mail.h1,
        "sharers": sailed.names,
        "h2": masked.h2,
        "dealer": A,
        "holder": B,
        "share": bytes(33),
        "seed hash": note.seed,
        "key hash": note.key,
        "parts": part,
        "lanes": hashed("lanes", part),
        "survivors": masked.survivors,
        "shares": encode(*released),
        "first": A,
        "second": B,
    }


def test_every_hash(sailed: Any, known: dict[str, Any]) -> None:
    route = Route(known["h1"], A, B)
    code = {
        "terms": sailed.terms.digest(),
        "spec": sailed.spec().digest(sailed.terms),
        "commitment": commitment(known["spec"], A, known["seed"]),
        "h1": adverts_hash(known["spec"], [sailed.said["advert", name] for name in sailed.names]),
        "h2": sharers_hash(known["h1"], sailed.names),
        "seed hash": seed_hash(bytes(33), route),
        "key hash": key_hash(bytes(33), route),
        "lanes": lanes_hash(sailed.said["vector", A].delta.lanes),
    }
    assert [cells[0].strip("`") for cells in table("Hashes")] == list(code)
    for name, value in code.items():
        purpose, fields = row("Hashes", name)
        head, *rest = [known["spec"], *known["adverts"]] if name == "h1" else values(fields, known)
        assert fields == "`spec` `adverts`" or name != "h1"
        assert hashed(purpose.strip("`"), head, *rest) == value, name
    assert code["commitment"] == known["commitment"]
    assert (known["h1"], known["h2"]) == (code["h1"], code["h2"])
    assert code["lanes"] == known["lanes"]


def test_the_ring_of_16_bits_in_the_hash_of_the_terms(sailed: Any, known: dict[str, Any]) -> None:
    ring = Ring(1.0, 16, 16, (Tensor(15, 1.0), Tensor(25, 0.5)))
    sizes = [number.to_bytes(8, "big") for number in (16, 16, 15, 25)]
    clips = [clip.hex().encode() for clip in (1.0, 1.0, 0.5)]
    fields = encode(clips[0], sizes[0], sizes[1], sizes[2], clips[1], sizes[3], clips[2])
    purpose, cells = row("Hashes", "terms")
    terms = replace(sailed.terms, ring=ring)
    assert terms.digest() == hashed(purpose.strip("`"), *values(cells, {**known, "ring": fields}))


def test_every_signature(sailed: Any, known: dict[str, Any]) -> None:
    note = Receipt.decode(sailed.said["shares", A].envelopes[B])
    signatures = {
        "Advert": sailed.said["advert", A].signature,
        "Envelope": note.signature,
        "MaskedVector": sailed.said["vector", A].signature,
        "SurvivorSignature": sailed.said["signature", A].signature,
        "ReleasedShares": sailed.said["release", A].signature,
    }
    assert [cells[0].strip("`") for cells in table("Signatures")] == list(signatures)
    public = sailed.keys[A].public_key()
    for name, signature in signatures.items():
        purpose, fields = row("Signatures", name)
        public.verify(signature, hashed(purpose.strip("`"), *values(fields, known)))
        assert verify(public.public_bytes_raw(), signature, purpose.strip("`"), *values(fields, known))


def test_every_key(sailed: Any, known: dict[str, Any]) -> None:
    ours, theirs = sailed.secrets[A], sailed.secrets[B]
    pair = pair_key(ours.mask, theirs.mask.public_key().public_bytes_raw(), known["h1"], (B, A))
    code = {"pair mask": pair, "self mask": self_key(ours.seed, known["h1"], A)}
    secrets = {
        "seal": ours.seal.exchange(theirs.seal.public_key()),
        "pair mask": ours.mask.exchange(theirs.mask.public_key()),
        "self mask": ours.seed,
    }
    assert [cells[0].strip("`") for cells in table("Keys")] == list(secrets)
    for name, secret in secrets.items():
        _, purpose, fields = row("Keys", name)
        info = encode(purpose.strip("`").encode(), *values(fields, known))
        key = HKDF(SHA256(), 32, ID, info).derive(secret)
        if name in code:
            assert key == code[name], name
        else:
            assert opens(key, sailed, known)


def opens(key: bytes, sailed: Any, known: dict[str, Any]) -> bool:
    """Whether the key opens A's envelope for B, and its shares have the hashes in the receipt."""
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    envelope = sailed.said["shares", A].envelopes[B]
    plain = ChaCha20Poly1305(key).decrypt(bytes(12), envelope[:82], None)
    shares = Shares(plain[:33], plain[33:])
    note = receipt(shares, sailed.keys[A], Route(known["h1"], A, B))
    return (note.seed, note.key) == (known["seed hash"], known["key hash"])


def test_the_thresholds() -> None:
    roster = {f"p{i}": i.to_bytes(32, "big") for i in range(1, 101)}
    for cells in table("Thresholds"):
        n, c, t, n_min, spare = map(int, cells)
        terms = Terms(bytes(32), dict(list(roster.items())[:n]), c, 1, Ring(1.0))
        assert (terms.threshold(n), terms.n_min, n - terms.floor(n)) == (t, n_min, spare)


@pytest.mark.parametrize("c", range(34))
def test_the_inequalities_of_the_proof(c: int) -> None:
    """For every cohort that the charter allows: those that the explanation argues from."""
    roster = {f"p{i}": i.to_bytes(32, "big") for i in range(1, 101)}
    terms = Terms(bytes(32), roster, c, 1, Ring(1.0))
    for n in range(terms.n_min, 101):
        t = terms.threshold(n)
        assert c < t <= n
        assert 2 * t > n + c
        assert terms.n_min >= c + 2
        assert (n - c >= terms.floor(n)) or n <= 3 * c
        assert n == terms.n_min or terms.threshold(n - 1) <= t


# --- states ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("section", "module"), [("A platform", client), ("The coordinator", server)])
def test_the_states(section: str, module: Any) -> None:
    for cells in table(section, 3):
        state, question, then = (cell.strip("`") for cell in cells[:3])
        method = getattr(getattr(module, state), question)
        assert then in str(typing.get_type_hints(method, vars(module))["return"]) or then == "Lanes"
        refuses = (method.__doc__ or "").split("Refuses:")[1]
        told = set(re.findall(r"`(\w+)`", cells[3]))
        assert told == {word for word in re.findall(r"[A-Z]\w+", refuses) if hasattr(errors, word)}


# --- attacks ---------------------------------------------------------------------------------------------------


def attacks() -> Iterator[list[str]]:
    for line in ATTACKS.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 4 and cells[0] != "attack" and not cells[0].startswith("---"):
            yield cells


@cache
def functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("cells", list(attacks()), ids=lambda cells: cells[0][:50])
def test_every_attack_has_a_check_a_reason_and_a_test_that_exists(cells: list[str]) -> None:
    _, check, reasons, tests = cells
    assert check
    for reason in re.findall(r"`(\w+)`", reasons):
        assert reason in words(), reason
    found = re.findall(r"\[(test_\w+)\]\(([^)]+)\)", tests)
    assert found
    assert "`" not in tests
    for name, link in found:
        assert name in functions((ROOT / "docs/explanation" / link).resolve()), name


def words() -> set[str]:
    """Every reason there is."""
    for module in ("clients.round", "clients.memory", "common.requests"):
        importlib.import_module(module)

    def below(kind: type[HanseError]) -> Iterator[str]:
        yield kind.__name__
        for child in kind.__subclasses__():
            yield from below(child)

    return set(below(HanseError))


def test_no_reason_is_missing() -> None:
    told = {reason for cells in attacks() for reason in re.findall(r"`(\w+)`", cells[2])}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    reasons = {kind.__name__ for kind in kinds if issubclass(kind, errors.ProtocolAborted)}
    assert reasons - told == {"ProtocolAborted"}
