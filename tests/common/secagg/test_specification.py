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
from common.randomness import OsRandomness
from common.secagg import client, errors, server
from common.secagg.draw import Ballot, Commitment, Draw, Reveal, commit, commitment_to
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
SOURCES = {path.stem: path.read_text("utf-8") for path in (ROOT / "common/secagg").glob("*.py")}


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


@pytest.fixture(scope="module")
def drawn(sailed: Any) -> tuple[Draw, Ballot, list[Reveal]]:
    """A draw of groups by the same four."""
    draw = Draw(sailed.spec().run, 3, 7, 2)
    made = [commit(name, sailed.keys[name], sailed.terms, draw, OsRandomness()) for name in sailed.names]
    told = [one.commitment for one in made]
    answers = [one.reveal(told, 1) for one in made]
    return draw, answers[0][0], [reveal for _, reveal in answers]


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


def test_a_commitment_and_a_reveal(drawn: tuple[Draw, Ballot, list[Reveal]]) -> None:
    _, ballot, reveals = drawn
    sent: list[tuple[Commitment | Reveal, str]] = [
        (ballot.commitments[0], "draw commitment"),
        (reveals[0], "value"),
    ]
    for message, content in sent:
        assert cut(message.encode(), type(message).__name__) == [
            ("length", bytes([len(A)])),
            ("platform", A.encode()),
            (content, message.content),
            ("signature", message.signature),
        ]


def test_the_bytes_in_the_explanations_table_of_a_round(sailed: Any) -> None:
    page = (ROOT / "docs/explanation/secure-aggregation.md").read_text("utf-8")
    told = {cells[0]: cells[1] for cells in re.findall(r"^\| (\d \w+) \| [^|]* \| ([^|]*) \| ", page, re.M)}
    name, lanes = 1 + len(A), sailed.said["vector", A].delta.lanes
    sizes = {
        "1 advertise": ("200 + name", 200 + name, "advert"),
        "2 share": ("130 + 210 and a name each", 130 + 3 * (210 + name), "shares"),
        "3 mask": ("4 (d + 2) + 64", 4 * (sailed.terms.dimension + 2) + 64, "vector"),
        "4 sign": ("64", 64, "signature"),
        "5 release": ("66 + 33 and a name each", 66 + 4 * (33 + name), "release"),
    }
    assert told == {phase: text for phase, (text, _, _) in sizes.items()}
    for phase, (_, size, kind) in sizes.items():
        beside = lanes.nbytes if kind == "vector" else 0
        assert len(sailed.said[kind, A].encode()) + beside == size, phase


# --- hashes, signatures, keys: worked out again from the page alone ------------------------------------------


def encode(*fields: bytes) -> bytes:
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def hashed(purpose: str, *fields: bytes) -> bytes:
    return hashlib.sha256(encode(ID, purpose.encode(), *fields)).digest()


def names_of(members: Any) -> bytes:
    return encode(*(name.encode() for name in sorted(set(members))))


def values(cells: str, known: Mapping[str, Any]) -> list[bytes]:
    """The fields of a row: names of known values (a list is several fields), or ``number(…)`` and ``names(…)``
    of one.
    """
    found: list[bytes] = []
    for cell in re.findall(r"`([^`]+)`", cells):
        function, _, argument = cell.rstrip(")").partition("(")
        if argument:
            call = {"number": lambda value: int(value).to_bytes(8, "big"), "names": names_of}[function]
            found.append(call(known[argument]))
        else:
            value = known[cell]
            several = value if isinstance(value, list) else [value]
            found.extend(one.encode() if isinstance(one, str) else one for one in several)
    return found


def row(section: str, name: str) -> list[str]:
    (found,) = [cells for cells in table(section) if cells[0] == f"`{name}`"]
    return found[1:]


def h1_of(sailed: Any) -> bytes:
    return sailed.outcome.quorum.masked.mail.h1


@pytest.fixture(scope="module")
def known(sailed: Any, drawn: tuple[Draw, Ballot, list[Reveal]]) -> dict[str, Any]:
    """Every value that the page names, of platform A and of what it dealt to B."""
    draw, ballot, reveals = drawn
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
        "draw": draw.digest(terms),
        "draw number": draw.number,
        "draw commitment": ballot.commitments[0].content,
        "commitments": [one.encode() for one in ballot.commitments],
        "ballot": ballot.hash,
        "value": reveals[0].content,
        "values": [encode(one.platform.encode(), one.content) for one in reveals],
    }


def test_every_hash(
    sailed: Any, known: dict[str, Any], drawn: tuple[Draw, Ballot, list[Reveal]], monkeypatch: Any
) -> None:
    draw, ballot, reveals = drawn
    seeds: list[bytes] = []
    monkeypatch.setattr("common.secagg.draw.partition", lambda platforms, count, seed: seeds.append(seed))
    ballot.groups(reveals)
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
        "draw": draw.digest(sailed.terms),
        "draw commitment": commitment_to(known["draw"], A, known["value"]),
        "ballot": ballot.hash,
        "group seed": seeds[0],
    }
    assert [cells[0].strip("`") for cells in table("Hashes")] == list(code)
    for name, value in code.items():
        purpose, fields = row("Hashes", name)
        place = {**known, "round": draw.round, "attempt": draw.attempt} if name == "draw" else known
        assert hashed(purpose.strip("`"), *values(fields, place)) == value, name
    assert code["draw commitment"] == known["draw commitment"]
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


def test_every_signature(
    sailed: Any, known: dict[str, Any], drawn: tuple[Draw, Ballot, list[Reveal]]
) -> None:
    _, ballot, reveals = drawn
    note = Receipt.decode(sailed.said["shares", A].envelopes[B])
    signatures = {
        "Advert": sailed.said["advert", A].signature,
        "Envelope": note.signature,
        "MaskedVector": sailed.said["vector", A].signature,
        "SurvivorSignature": sailed.said["signature", A].signature,
        "ReleasedShares": sailed.said["release", A].signature,
        "Commitment": ballot.commitments[0].signature,
        "Reveal": reveals[0].signature,
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


# --- purposes: read from the source, so that one which is not on the page is noticed ---------------------------

SECTIONS = {
    "digest": "Hashes",
    "sign": "Signatures",
    "verify": "Signatures",
    "derive": "Keys",
    "agree": "Keys",
}
PLACES = {"Hashes": 1, "Signatures": 1, "Keys": 2}


def helpers() -> dict[str, int]:
    """The package's functions that take a purpose, and which argument it is."""
    return {
        node.name: names.index("purpose")
        for source in SOURCES.values()
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef)
        and "purpose" in (names := [argument.arg for argument in node.args.args])
    }


def purposes(source: str) -> set[tuple[str, str]]:
    """(section of the page, purpose) of every call of a helper in ``source``.

    Raises:
        AssertionError: on a purpose that is neither a literal nor handed on by a helper, or a helper under
            another name.
    """
    found = set()
    tree, places = ast.parse(source), helpers()
    for imported in (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)):
        for name in imported.names:
            whole = imported.module == "common.secagg" and name.name in ("keys", "transcript")
            assert not whole and not (name.name in places and name.asname), ast.unparse(imported)
    for function in (tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))):
        hands_on = isinstance(function, ast.FunctionDef) and function.name in places
        local = {
            node.targets[0].id: node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        for call in own_calls(function):
            if not isinstance(call.func, ast.Name) or call.func.id not in places:
                continue
            said = argument(call, places[call.func.id], local)
            if isinstance(said, ast.Constant) and isinstance(said.value, str):
                found.add((SECTIONS[call.func.id], said.value))
            else:
                assert hands_on and isinstance(said, ast.Name) and said.id == "purpose", ast.unparse(call)
    return found


def own_calls(function: ast.AST) -> Iterator[ast.Call]:
    """The calls in a function or module, without those in the functions inside it."""
    for child in ast.iter_child_nodes(function):
        if isinstance(child, ast.Call):
            yield child
        if not isinstance(child, ast.FunctionDef):
            yield from own_calls(child)


def argument(call: ast.Call, place: int, local: Mapping[str, ast.expr]) -> ast.expr | None:
    """The argument at ``place``, or called purpose, with ``*name`` replaced by the tuple that it was set to."""
    given: list[ast.expr] = []
    for one in call.args:
        fields = (
            local.get(one.value.id)
            if isinstance(one, ast.Starred) and isinstance(one.value, ast.Name)
            else None
        )
        given.extend(fields.elts if isinstance(fields, ast.Tuple) else [one])
    named = [keyword.value for keyword in call.keywords if keyword.arg == "purpose"]
    return next(iter(given[place : place + 1] + named), None)


def test_the_page_has_every_purpose_in_the_source_and_no_other() -> None:
    assert set(helpers()) == set(SECTIONS)
    told = [
        (section, cells[place].strip("`")) for section, place in PLACES.items() for cells in table(section)
    ]
    assert sorted(told) == sorted(set().union(*map(purposes, SOURCES.values())))


def test_nothing_is_hashed_or_derived_beside_the_helpers() -> None:
    """The masked vector's parts are hashed as they are; their hashes go through ``digest``."""
    raw = {
        (name, function.name)
        for name, source in SOURCES.items()
        for function in ast.walk(ast.parse(source))
        if isinstance(function, ast.FunctionDef)
        for call in own_calls(function)
        if ast.unparse(call.func).split(".")[-1] in ("sha256", "HKDF", "new", "Hash", "HMAC")
    }
    assert raw == {("transcript", "digest"), ("rules", "part_hash"), ("keys", "derive")}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f(): return digest('new', b'')", ("Hashes", "new")),
        ("class C:\n def f(self): return [verify(k, s, 'new', x) for x in y]", ("Signatures", "new")),
        ("def f():\n fields = ('new', h2)\n return verify(k, s, *fields)", ("Signatures", "new")),
        ("KEY = derive(secret, purpose='new')", ("Keys", "new")),
    ],
)
def test_an_undocumented_purpose_is_seen(source: str, found: tuple[str, str]) -> None:
    assert purposes(source) == {found}


@pytest.mark.parametrize(
    "source",
    [
        "def f(what): return digest(what, b'')",
        "def f(purpose): return digest(purpose, b'')",
        "def f(fields): return sign(identity, *fields)",
        "from common.secagg.transcript import digest as other",
        "from common.secagg import keys",
    ],
)
def test_a_purpose_that_cannot_be_read_is_an_error(source: str) -> None:
    with pytest.raises(AssertionError):
        purposes(source)


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
