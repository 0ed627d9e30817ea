"""The replay of a round as one sealed file, which only those who were given its key can read.

A bundle is a row of frames: a record, then one masked vector for each survivor. Each frame is sealed with
ChaCha20-Poly1305 (RFC 8439) under the bundle's own key, with its place as the nonce. A key seals one bundle; a
frame cannot be changed, moved or left out.
"""

import hashlib
import io
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from pydantic import BaseModel, ConfigDict

from common.deltas import Floats
from common.errors import AggregationAborted, HanseError
from common.frame import Frame, decode, encode
from common.replies import answer, masked_vector
from common.secagg.messages import Advert, ReleasedShares
from common.secagg.replay import Replay
from common.secagg.terms import RoundSpec

KIND: Final = "replay"
_LENGTH: Final = 8


class BundleUnreadable(AggregationAborted):
    """The bundle cannot be opened with this key, or holds something else than a replay."""


class _Record(BaseModel):
    """All of a bundle but its arrays."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, ser_json_bytes="base64", val_json_bytes="base64"
    )

    spec: RoundSpec
    adverts: tuple[bytes, ...]
    receipts: dict[str, dict[str, bytes]]
    survivors: tuple[str, ...]
    signatures: dict[str, bytes]
    released: dict[str, bytes]
    mean: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    """A round's signed messages, and what the coordinator says it made of them.

    ``before``: the optimiser's arrays, float32 (d,) each, as they were before the round's step. ``mean`` and
    ``after``: the :func:`digest_of` the mean and of the optimiser's arrays after the step.
    """

    replay: Replay
    before: tuple[Floats, ...] = field(repr=False)
    mean: bytes
    after: bytes

    def sealed(self, key: bytes) -> Iterator[bytes]:
        """The bundle's bytes, frame by frame, under a ``key`` from :func:`fresh_key` that seals nothing else."""
        cipher = ChaCha20Poly1305(key)
        for place, frame in enumerate(self._frames()):
            text = cipher.encrypt(_nonce(place), b"".join(encode(frame)), None)
            yield len(text).to_bytes(_LENGTH, "big") + text

    @classmethod
    def opened(cls, data: bytes, key: bytes) -> "Bundle":
        """The bundle in ``data``; nothing in it has been checked yet.

        Raises:
            BundleUnreadable: when the key is another one, or the content is no bundle.
        """
        try:
            return cls._of(list(_frames(data, ChaCha20Poly1305(key))))
        except (HanseError, InvalidTag, ValueError) as error:
            raise BundleUnreadable("no readable replay", why=type(error).__name__) from error

    def _frames(self) -> Iterator[Frame]:
        replay = self.replay
        record = _Record(
            spec=replay.spec,
            adverts=tuple(advert.encode() for advert in replay.adverts),
            receipts={dealer: dict(receipts) for dealer, receipts in replay.receipts.items()},
            survivors=replay.survivors,
            signatures=dict(replay.signatures),
            released={holder: release.encode() for holder, release in replay.released.items()},
            mean=self.mean,
            after=self.after,
        )
        yield Frame(KIND, record.model_dump_json().encode(), self.before)
        for name in replay.survivors:
            yield answer(replay.vectors[name])

    @classmethod
    def _of(cls, frames: list[Frame]) -> "Bundle":
        if not frames or frames[0].kind != KIND:
            raise ValueError("no record")
        record, before = _Record.model_validate_json(frames[0].body), _floats(frames[0])
        replay = Replay(
            record.spec,
            tuple(Advert.decode(advert) for advert in record.adverts),
            record.receipts,
            dict(zip(record.survivors, map(masked_vector, frames[1:]), strict=True)),
            record.signatures,
            {holder: ReleasedShares.decode(release) for holder, release in record.released.items()},
        )
        return cls(replay, before, record.mean, record.after)


def fresh_key() -> bytes:
    """A key for one bundle, 32 bytes from the operating system."""
    return secrets.token_bytes(32)


def digest_of(*arrays: Floats) -> bytes:
    """SHA-256 over the arrays' bytes, 32 bytes. Of one array it is the hash by which models are known."""
    whole = hashlib.sha256()
    for array in arrays:
        whole.update(np.ascontiguousarray(array).data)
    return whole.digest()


def _nonce(place: int) -> bytes:
    return place.to_bytes(12, "big")


def _frames(data: bytes, cipher: ChaCha20Poly1305) -> Iterator[Frame]:
    rest, place = memoryview(data), 0
    while rest:
        end = _LENGTH + int.from_bytes(rest[:_LENGTH], "big")
        if end > len(rest):
            raise ValueError("a bundle that is cut short")
        yield _frame(cipher.decrypt(_nonce(place), rest[_LENGTH:end], None))
        rest, place = rest[end:], place + 1


def _frame(text: bytes) -> Frame:
    stream = io.BytesIO(text)

    def exactly(count: int) -> bytes:
        content = stream.read(count)
        if len(content) < count:
            raise ValueError("a frame that is cut short")
        return content

    frame = decode(exactly)
    if stream.read(1):
        raise ValueError("bytes after a frame's end")
    return frame


def _floats(frame: Frame) -> tuple[Floats, ...]:
    if any(array.dtype != np.float32 for array in frame.arrays):
        raise ValueError("a state that is not float32")
    return tuple(np.asarray(array, np.float32) for array in frame.arrays)
