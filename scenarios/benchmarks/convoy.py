"""A round of secure aggregation in one process, through its real messages, for as long as somebody measures it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.deltas import EXTRA_LANES, ClippedDelta, Floats, Lanes, MaskedDelta
from common.randomness import OsRandomness
from common.secagg import (
    Mailboxes,
    Masked,
    MaskedVector,
    Quorum,
    ReleasedShares,
    Ring,
    RoundSpec,
    Terms,
    Witness,
    advertise,
    collect_adverts,
)
from common.secagg.client import Opened
from common.secagg.ring import Tensor

SPREAD = 0.01  # σ of the made-up updates


def wide() -> Ring:
    """The default ring, 22 bits in lanes of 32, around made-up updates."""
    return Ring(clip=6 * SPREAD)


def narrow(dimension: int) -> Ring:
    """16 bits in lanes of 16, for a vector that is one tensor."""
    return Ring(6 * SPREAD, 16, 16, (Tensor(dimension, 6 * SPREAD),))


def update(dimension: int, ring: Ring) -> ClippedDelta:
    """A made-up update: normal, clipped in place as a site does."""
    values: Floats = np.random.default_rng(0).standard_normal(dimension, np.float32)
    values *= SPREAD
    return ClippedDelta(np.clip(values, -ring.clip, ring.clip, out=values), ring.clip)


@dataclass
class Convoy:
    """n platforms under one charter; ``sent`` counts the bytes that each has sent up to now."""

    platforms: int
    dimension: int
    ring: Ring
    sent: dict[str, int] = field(default_factory=dict)

    @property
    def weight(self) -> float:
        """Every platform's weight; they sum to 1."""
        return 1 / self.platforms

    @property
    def colluders(self) -> int:
        """c, a third of the platforms, and so t = ⌊2n/3⌋ + 1."""
        return self.platforms // 3

    def open(self) -> tuple[Mailboxes, dict[str, Opened]]:
        """Phases 1 and 2: the coordinator's and the platforms' states, with nothing masked yet."""
        keys = {f"port-{place:03}": Ed25519PrivateKey.generate() for place in range(self.platforms)}
        roster = {name: key.public_key().public_bytes_raw() for name, key in keys.items()}
        terms = Terms(bytes(32), roster, self.colluders, self.dimension, self.ring)
        spec = RoundSpec("benchmark", "train", 0, 0, bytes(16), tuple(keys), bytes(32))
        opening = {
            name: advertise(name, key, terms, spec, Witness(0, bytes(32))) for name, key in keys.items()
        }
        for name, (_, advert) in opening.items():
            self._count(name, advert.encode())
        book = collect_adverts(terms, spec, [advert for _, advert in opening.values()])
        sharing = {name: state.share(book.adverts) for name, (state, _) in opening.items()}
        for name, (_, shares) in sharing.items():
            self._count(name, shares.encode())
        mail = book.collect_shares({name: shares for name, (_, shares) in sharing.items()})
        return mail, {name: state.open(mail.for_platform(name)) for name, (state, _) in sharing.items()}

    def mask(self, opened: Opened, delta: ClippedDelta) -> tuple[Masked, MaskedVector]:
        """Phase 3 at one platform: quantise, then mask."""
        masked, vector = opened.mask(self.ring.quantise(delta, self.weight, OsRandomness()))
        self._count(opened.seat.me, vector.encode(), vector.delta.lanes.nbytes)
        return masked, vector

    def release(
        self, mail: Mailboxes, states: Mapping[str, Masked], vectors: Mapping[str, MaskedVector]
    ) -> tuple[Quorum, dict[str, ReleasedShares]]:
        """Phases 3 to 5 for those whose ``vectors`` arrived, up to what the coordinator unmasks with."""
        total = mail.collect_masked(vectors)
        signing = {name: states[name].sign(total.survivors) for name in total.survivors}
        quorum = total.collect_signatures({name: answer for name, (_, answer) in signing.items()})
        released = {name: state.release(quorum.signatures) for name, (state, _) in signing.items()}
        for name, answer in released.items():
            self._count(name, signing[name][1].encode() + answer.encode())
        return quorum, released

    def _count(self, name: str, message: bytes, lanes: int = 0) -> None:
        self.sent[name] = self.sent.get(name, 0) + len(message) + lanes


@dataclass(frozen=True)
class Round:
    """A round up to the last answer: what unmasking starts from."""

    mail: Mailboxes
    vectors: Mapping[str, MaskedVector]
    quorum: Quorum
    released: Mapping[str, ReleasedShares]


def hold(convoy: Convoy, dropped: Collection[int]) -> Round:
    """A round in which the ``dropped`` platforms, by their places, never send a vector."""
    mail, opened = convoy.open()
    delta = update(convoy.dimension, convoy.ring)
    answers = {
        name: convoy.mask(state, delta)
        for place, (name, state) in enumerate(opened.items())
        if place not in dropped
    }
    vectors = {name: vector for name, (_, vector) in answers.items()}
    quorum, released = convoy.release(mail, {name: state for name, (state, _) in answers.items()}, vectors)
    return Round(mail, vectors, quorum, released)


def from_octets(convoy: Convoy, octets: bytes, signature: bytes) -> MaskedVector:
    """A masked vector whose lanes have waited as bytes."""
    wide = convoy.ring.width == 32
    lanes: Lanes = np.frombuffer(octets, np.uint32) if wide else np.frombuffer(octets, np.uint16)
    if lanes.size != convoy.dimension + EXTRA_LANES:
        raise ValueError("not the lanes of this convoy")
    return MaskedVector(MaskedDelta(lanes), signature)
