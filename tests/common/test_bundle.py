"""The sealed file of a replay: it comes back whole, under its key, or not at all."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from common import bundle
from common.bundle import Bundle, BundleUnreadable, digest_of, fresh_key
from common.deltas import MaskedDelta
from common.frame import Frame, encode
from common.secagg.messages import Advert, MaskedVector, ReleasedShares, Witness
from common.secagg.replay import Replay
from common.secagg.terms import RoundSpec

KEY = b"k" * 32
SPEC = RoundSpec("run", "train", 3, 5, b"n" * 16, ("salt", "amber"), b"m" * 32)


def made() -> Bundle:
    """Two platforms; only the form is right, no signature holds."""
    vectors = {
        name: MaskedVector(MaskedDelta(np.arange(6, dtype=np.uint32) + place), bytes([place]) * 64)
        for place, name in enumerate(("amber", "salt"))
    }
    replay = Replay(
        SPEC,
        tuple(
            Advert(name, b"s" * 32, b"m" * 32, b"c" * 32, Witness(1, bytes(32)), b"\xff" * 64)
            for name in vectors
        ),
        {name: {"salt": b"\xfe" * 128} for name in vectors},
        vectors,
        dict.fromkeys(vectors, b"\xfd" * 64),
        {"salt": ReleasedShares(dict.fromkeys(vectors, b"\x01" * 33), b"r" * 64)},
    )
    before = tuple(np.full(4, place, np.float32) for place in range(4))
    return Bundle(replay, before, b"\x80" * 32, b"\x81" * 32)


def sealed(key: bytes = KEY) -> bytes:
    return b"".join(made().sealed(key))


def test_a_bundle_comes_back_bit_for_bit() -> None:
    told, whole = made(), Bundle.opened(sealed(), KEY)
    assert whole.replay.spec == SPEC
    for name in ("adverts", "receipts", "signatures", "released", "survivors"):
        assert getattr(whole.replay, name) == getattr(told.replay, name)
    for name, vector in told.replay.vectors.items():
        assert whole.replay.vectors[name].signature == vector.signature
        assert whole.replay.vectors[name].delta.lanes.tobytes() == vector.delta.lanes.tobytes()
    assert digest_of(*whole.before) == digest_of(*told.before)
    assert (whole.mean, whole.after) == (told.mean, told.after)


def test_nothing_of_it_can_be_read_without_the_key() -> None:
    text = sealed()
    for shown in (b"amber", b"salt", b"train", b"replay", bytes(np.arange(4, dtype=np.uint32).data)):
        assert shown not in text
    with pytest.raises(BundleUnreadable, match="InvalidTag"):
        Bundle.opened(text, b"K" * 32)


def test_no_byte_can_be_changed() -> None:
    text = sealed()
    for place in range(0, len(text), 7):
        changed = bytearray(text)
        changed[place] ^= 0x10
        with pytest.raises(BundleUnreadable):
            Bundle.opened(bytes(changed), KEY)


def parts() -> list[bytes]:
    return list(made().sealed(KEY))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        sealed()[:-1],
        sealed() + b"x",
        b"".join(parts()[:-1]),
        b"".join([parts()[0], parts()[2], parts()[1]]),
        b"".join(parts()[1:]),
        sealed() * 2,
    ],
    ids=["empty", "cut short", "a byte more", "a vector less", "swapped", "no record", "twice"],
)
def test_frames_cannot_be_left_out_moved_or_added(text: bytes) -> None:
    with pytest.raises(BundleUnreadable):
        Bundle.opened(text, KEY)


def resealed(*frames: Frame, change: Callable[[bytes], bytes] = bytes) -> bytes:
    """What a coordinator that holds the key can write; ``change`` is done to each frame's bytes."""
    cipher, text = ChaCha20Poly1305(KEY), b""
    for place, frame in enumerate(frames):
        part = cipher.encrypt(place.to_bytes(12, "big"), change(b"".join(encode(frame))), None)
        text += len(part).to_bytes(8, "big") + part
    return text


def test_a_lying_coordinator_gets_the_same_refusal() -> None:
    record, *vectors = made()._frames()
    assert Bundle.opened(resealed(record, *vectors), KEY)
    for frames in (
        (replace(record, kind="answer"), *vectors),
        (replace(record, body=record.body[:-1] + b',"remark":1}'), *vectors),
        (replace(record, body=record.body.replace(b'"round":3', b'"round":3.0')), *vectors),
        (replace(record, arrays=vectors[0].arrays), *vectors),
        (record, *vectors, vectors[0]),
        (record, vectors[0], replace(vectors[1], arrays=())),
        (record, vectors[0], replace(vectors[1], body=b"")),
        (record, vectors[0], replace(vectors[1], arrays=record.arrays[:1])),
    ):
        with pytest.raises(BundleUnreadable):
            Bundle.opened(resealed(*frames), KEY)
    with pytest.raises(BundleUnreadable):
        Bundle.opened(resealed(record, *vectors, change=lambda text: text + b"x"), KEY)
    for length in range(len(b"".join(encode(vectors[0])))):
        with pytest.raises(BundleUnreadable):
            Bundle.opened(resealed(record, *vectors, change=lambda text, cut=length: text[:cut]), KEY)


def test_a_key_is_new_each_time() -> None:
    assert len({fresh_key() for _ in range(100)}) == 100
    assert {len(fresh_key()) for _ in range(3)} == {32}


def test_no_two_frames_of_a_key_share_a_nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    class Watched:
        def __init__(self, key: bytes) -> None:
            self.cipher = ChaCha20Poly1305(key)

        def encrypt(self, nonce: bytes, data: bytes, associated_data: None) -> bytes:
            seen.append(nonce)
            return self.cipher.encrypt(nonce, data, associated_data)

    monkeypatch.setattr(bundle, "ChaCha20Poly1305", Watched)
    sealed()
    assert len(seen) == len(set(seen)) == 3


def test_the_digest_is_of_all_arrays_in_their_order() -> None:
    one, two = np.zeros(3, np.float32), np.ones(3, np.float32)
    digests = {digest_of(one), digest_of(two), digest_of(one, two), digest_of(two, one), digest_of()}
    assert len(digests) == 5
