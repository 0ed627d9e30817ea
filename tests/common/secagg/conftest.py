"""A whole round in one process, every message through its bytes, with drop-outs and a relay that may tamper."""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from common.deltas import ClippedDelta, Lanes, QuantizedDelta
from common.randomness import KeyedRandomness
from common.secagg import (
    Advert,
    MaskedVector,
    Quorum,
    ReleasedShares,
    Releases,
    Ring,
    RoundSpec,
    SealedShares,
    SurvivorSignature,
    Terms,
    Witness,
    advertise,
    collect_adverts,
)

Tamper = Callable[[str, str, Any], Any]
"""(message kind, platform it comes from or goes to, message) → the message that arrives."""


def _honest(kind: str, platform: str, message: Any) -> Any:
    return message


@dataclass(frozen=True)
class Outcome:
    """What the coordinator got, and what it had to exclude on the way."""

    lanes: Lanes
    survivors: tuple[str, ...]
    released: Mapping[str, ReleasedShares]
    releases: Releases

    @property
    def quorum(self) -> Quorum:
        """The state before the last."""
        return self.releases.quorum


@dataclass
class Convoy:
    """n platforms with keys, updates and weights, and one charter."""

    n: int
    colluders: int = 0
    dimension: int = 40
    ring: Ring = field(default_factory=lambda: Ring(1.0))
    names: list[str] = field(init=False)
    keys: dict[str, Ed25519PrivateKey] = field(init=False)
    terms: Terms = field(init=False)
    deltas: dict[str, QuantizedDelta] = field(init=False)
    log: list[tuple[str, str, Any]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.names = [f"port-{i:03}" for i in range(self.n)]
        self.keys = {
            name: Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
            for name in self.names
        }
        roster = {name: key.public_key().public_bytes_raw() for name, key in self.keys.items()}
        self.terms = Terms(bytes(32), roster, self.colluders, self.dimension, self.ring)
        self.deltas = {name: self._delta(place, name) for place, name in enumerate(self.names)}

    def _delta(self, place: int, name: str) -> QuantizedDelta:
        values = np.linspace(-1, 1, self.dimension, dtype=np.float32) * np.float32((place + 1) / self.n)
        shares = 2 * self.n - 0.5 if self.ring.width == 16 else 1  # narrow lanes take weights that sum to 1
        weight = (0.5 + place / self.n) / shares
        return self.terms.ring.quantise(ClippedDelta(values, 1.0), weight, KeyedRandomness(name))

    def spec(self, **changes: Any) -> RoundSpec:
        return replace(RoundSpec("run", "training", 0, 0, bytes(16), tuple(self.names), bytes(32)), **changes)

    def plain_sum(self, survivors: Collection[str]) -> Lanes:
        return np.sum([self.deltas[name].lanes for name in survivors], axis=0, dtype=self.ring.dtype)

    def round(
        self,
        drop: Mapping[str, Collection[str]] | None = None,
        tamper: Tamper = _honest,
        spec: RoundSpec | None = None,
        witnesses: Mapping[str, Witness] | None = None,
    ) -> Outcome:
        """One round. ``drop``: phase → platforms that do not answer it or anything after it."""
        gone: set[str] = set()
        spec = spec or self.spec()

        def left(phase: str, platforms: Collection[str]) -> list[str]:
            gone.update((drop or {}).get(phase, ()))
            return [name for name in platforms if name not in gone]

        def down(kind: str, platform: str, message: Any) -> Any:
            return tamper(kind, platform, message)

        def up(kind: str, platform: str, message: Any) -> Any:
            arrived = tamper(kind, platform, message)
            self.log.append((kind, platform, arrived))
            if kind == "vector":
                return MaskedVector.decode(arrived.encode(), arrived.delta.lanes)
            return type(arrived).decode(arrived.encode())

        witness = Witness(1, bytes(32))
        advertised, adverts = {}, list[Advert]()
        for name in left("advertise", spec.cohort):
            own = (witnesses or {}).get(name, witness)
            advertised[name], advert = advertise(
                name, self.keys[name], self.terms, down("spec", name, spec), own
            )
            adverts.append(up("advert", name, advert))
        book = collect_adverts(self.terms, spec, adverts)

        shared, sealed = {}, dict[str, SealedShares]()
        for name in left("share", book.platforms):
            shared[name], answer = advertised[name].share(down("adverts", name, book.adverts))
            sealed[name] = up("shares", name, answer)
        mail = book.collect_shares(sealed)

        masked, vectors = {}, dict[str, MaskedVector]()
        for name in left("mask", mail.platforms):
            opened = shared[name].open(down("mail", name, mail.for_platform(name)))
            masked[name], vector = opened.mask(QuantizedDelta(self.deltas[name].lanes.copy()))
            vectors[name] = up("vector", name, vector)
        total = mail.collect_masked(vectors)

        signed, signatures = {}, dict[str, SurvivorSignature]()
        for name in left("sign", total.survivors):
            signed[name], signature = masked[name].sign(down("survivors", name, total.survivors))
            signatures[name] = up("signature", name, signature)
        quorum = total.collect_signatures(signatures)

        released = {}
        for name in left("unmask", quorum.platforms):
            answer = signed[name].release(down("signatures", name, quorum.signatures))
            released[name] = up("release", name, answer)
        releases = quorum.collect_releases(released)
        return Outcome(releases.unmask(), total.survivors, released, releases)


@pytest.fixture(scope="session")
def convoy() -> type[Convoy]:
    return Convoy
