"""Where a round's secrets must not be: in files, logs, refusals and reprs, and after the round in memory.

Every secret is caught as it is made and kept scrambled, so that this test's own copy is never what it finds.
"""

import base64
import gc
import logging
import os
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from clients.site import Site
from common.deltas import AdapterDelta, Floats, QuantizedDelta
from common.errors import AggregationAborted
from common.frame import Frame, encode
from common.replies import REFUSED
from common.requests import ShareRequest, SignRequest, UnmaskRequest, UploadRequest
from common.secagg import client, seat
from common.secagg.envelopes import Shares
from common.secagg.ring import Ring
from server.channel import Meter
from server.cohort import Cohort
from server.rounds import hold_round

Make = Callable[..., Any]
PHASES = ("advertise", "share", "upload", "sign", "unmask")
PAD = os.urandom(1 << 12)
SEEDS, MASK_KEYS, SEAL_KEYS = "mask seeds", "mask keys", "sealing keys"
SEED_SHARES, KEY_SHARES, LANES, UPDATES = "shares of seeds", "shares of keys", "plain lanes", "updates"
PRIVATE_KEY = type(X25519PrivateKey.generate())
OWN = {SEEDS, MASK_KEYS, SEAL_KEYS}


def scrambled(secret: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(secret, PAD, strict=False))


@dataclass
class Caught:
    """Scrambled secrets by kind."""

    secrets: dict[str, set[bytes]] = field(default_factory=dict)

    def add(self, kind: str, secret: bytes) -> None:
        self.secrets.setdefault(kind, set()).add(scrambled(secret))

    def found(self, text: bytes, *, encoded: bool = True) -> set[str]:
        """The kinds of which a secret stands in ``text``: as it is, in hex, in base 64, as Python shows it."""
        return {
            kind
            for kind, secrets in self.secrets.items()
            for secret in map(scrambled, secrets)
            if any(form in text for form in (forms(secret) if encoded else (secret,)))
        }


def forms(secret: bytes) -> Iterator[bytes]:
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    yield base64.b64encode(secret)[:-4]
    yield repr(secret)[2:-1].encode()


@pytest.fixture
def caught(monkeypatch: pytest.MonkeyPatch) -> Caught:
    """Every secret of the sites in this test, as it is made."""
    kept = Caught()
    fresh, deal, quantise, train = seat.Secrets.fresh, seat.deal, Ring.quantise, Site._train

    def made() -> seat.Secrets:
        own = fresh()
        kept.add(SEEDS, own.seed)
        kept.add(MASK_KEYS, own.mask.private_bytes_raw())
        kept.add(SEAL_KEYS, own.seal.private_bytes_raw())
        return own

    def dealt(*arguments: Any) -> dict[str, Shares]:
        shares = deal(*arguments)
        for both in shares.values():
            kept.add(SEED_SHARES, both.seed)
            kept.add(KEY_SHARES, both.key)
        return shares

    def quantised(ring: Ring, delta: Any, weight: float, randomness: Any) -> QuantizedDelta:
        plain = quantise(ring, delta, weight, randomness)
        kept.add(LANES, plain.lanes[:-2].tobytes())
        return plain

    def trained(site: Site, model: Floats, number: int) -> AdapterDelta:
        # A vector of its own each time: the fixture's follows from the platform's name.
        fresh_update = train(site, model, number).values * np.float32(np.random.default_rng().uniform(0.5, 1))
        kept.add(UPDATES, fresh_update.tobytes())
        return AdapterDelta(fresh_update)

    monkeypatch.setattr(seat.Secrets, "fresh", staticmethod(made))
    monkeypatch.setattr(client, "deal", dealt)
    monkeypatch.setattr(Ring, "quantise", quantised)
    monkeypatch.setattr(Site, "_train", trained)
    return kept


def hold(made: Any, tape: Any) -> None:
    hold_round(Cohort(Meter(tape, 5.0)), made.charter, made.run.latest(), made.run)


def on_disk(made: Any) -> bytes:
    home = next(iter(made.folders.values())).path.parent
    return b"\0".join(path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file())


def in_memory() -> bytes:
    """Every bytes object, array and private key that anything alive refers to."""
    gc.collect()
    found: dict[int, bytes] = {}
    for holder in gc.get_objects():
        for thing in gc.get_referents(holder):
            if type(thing) in (bytes, bytearray):
                found[id(thing)] = bytes(thing)
            elif type(thing) is PRIVATE_KEY:
                found[id(thing)] = thing.private_bytes_raw()
            elif type(thing) is np.ndarray and thing.dtype in (np.uint32, np.float32):
                found[id(thing)] = thing.tobytes()
    return b"\0".join(found.values())


def test_nothing_secret_is_on_disk_in_a_log_or_in_an_answer(
    fleet: Make, caught: Caught, caplog: pytest.LogCaptureFixture
) -> None:
    """Two rounds, the second with a site that is refused in each phase; logs at their most talkative."""
    made = fleet(private=True, colluders=0)
    bad = {
        "share": ShareRequest(attempt=1, adverts=()),
        "upload": UploadRequest(attempt=1, sealed={"salt": b"x" * 210, "timber": b"x" * 210}),
        "sign": SignRequest(attempt=1, survivors=("salt", "timber", "amber")),
        "unmask": UnmaskRequest(attempt=1, signatures={}),
    }
    tapes = [made.tape()]
    with caplog.at_level(logging.DEBUG):
        hold(made, tapes[0])
        for phase, question in bad.items():
            made.next_model()

            def relay(
                address: int, frame: Frame, site: Any, phase: str = phase, question: Any = question
            ) -> Any:
                if (address, frame.kind) != (1, phase):
                    return site(frame)
                attempt = type(question).parse(frame).attempt
                return site(question.model_copy(update={"attempt": attempt}).frame())

            tapes.append(made.tape(relay))
            hold(made, tapes[-1])
    refusals = [reply for tape in tapes for _, _, reply in tape.passed if reply.kind == REFUSED]
    assert len(refusals) >= 4
    assert len(caplog.records) >= 4
    told = "\n".join(f"{r.getMessage()} {r.args} {r.exc_info} {r.exc_text}" for r in caplog.records)
    assert set(caught.secrets) == {*OWN, SEED_SHARES, KEY_SHARES, LANES, UPDATES}
    assert caught.found(told.encode()) == set()
    assert caught.found(b"\0".join(b"".join(encode(reply)) for reply in refusals)) == set()
    assert caught.found(on_disk(made)) == set()
    answers = b"\0".join(b"".join(encode(reply)) for tape in tapes for _, _, reply in tape.passed)
    assert caught.found(answers) == {SEED_SHARES, KEY_SHARES}  # what phase 5 is for: one of each pair


def test_after_the_round_no_live_object_holds_a_secret(fleet: Make, caught: Caught) -> None:
    made = fleet()
    tape = made.tape()
    hold(made, tape)
    assert len(caught.secrets[SEEDS]) == 4
    tape.passed.clear()  # the released shares
    for site in tape.sites:
        site.__self__._answers.clear()  # again, for whoever asks twice
    assert caught.found(in_memory(), encoded=False) == set()


@pytest.mark.parametrize("since", PHASES[1:])
def test_the_scan_of_memory_finds_what_is_there(fleet: Make, caught: Caught, since: str) -> None:
    """In the middle of a round each site still holds what the next phases need, and no more."""
    made = fleet()
    tape = made.tape(lambda address, frame, site: None if frame.kind == since else site(frame))
    with pytest.raises(AggregationAborted):
        hold(made, tape)
    tape.passed.clear()
    held = {
        "share": OWN,
        "upload": {*OWN, SEED_SHARES, KEY_SHARES},  # of one's own secrets, one's own shares
        "sign": {SEED_SHARES, KEY_SHARES},
        "unmask": {SEED_SHARES, KEY_SHARES},
    }
    assert caught.found(in_memory(), encoded=False) == held[since]


@pytest.mark.parametrize("phase", PHASES[1:])
def test_a_refused_phase_leaves_no_secret_behind(fleet: Make, caught: Caught, phase: str) -> None:
    """Whatever a site is asked, it forgets the attempt as soon as it refuses."""
    made = fleet()
    bad = {
        "share": ShareRequest(attempt=1, adverts=()),
        "upload": UploadRequest(attempt=1, sealed={}),
        "sign": SignRequest(attempt=1, survivors=()),
        "unmask": UnmaskRequest(attempt=1, signatures={}),
    }[phase]
    tape = made.tape(lambda address, frame, site: site(bad.frame() if frame.kind == phase else frame))
    with pytest.raises(AggregationAborted):
        hold(made, tape)
    assert [reply.kind for _, asked, reply in tape.passed if asked.kind == phase] == [REFUSED] * 4
    tape.passed.clear()
    for site in tape.sites:
        site.__self__._answers.clear()
    assert caught.found(in_memory(), encoded=False) == set()


def content(thing: Any) -> dict[str, Any]:
    """Every attribute, with slots or without."""
    names = getattr(thing, "__slots__", None) or vars(thing)
    return {name: getattr(thing, name) for name in names}


def test_nothing_of_a_round_can_be_shown_or_pickled(fleet: Make, caught: Caught) -> None:
    made = fleet()
    shown: list[str] = []

    def relay(address: int, frame: Frame, site: Any) -> Frame:
        answer: Frame = site(frame)
        round_ = site.__self__._round
        things = [thing for thing in (round_._state, round_, site.__self__) if thing is not None]
        shown.extend(f"{thing!r} {thing} {content(thing)}" for thing in things)
        for thing in things if len(things) == 3 else ():
            with pytest.raises(TypeError):
                pickle.dumps(thing)
        return answer

    hold(made, made.tape(relay))
    assert len(shown) == 4 * (4 * 3 + 2)
    assert "Once(…)" in "".join(shown)
    assert caught.found("".join(shown).encode()) <= {
        SEED_SHARES
    }  # released ones, in the answers for who asks twice
    assert repr(Shares(b"s" * 33, b"k" * 33)) == "Shares(…)"
