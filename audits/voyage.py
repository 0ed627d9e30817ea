"""An honest round, of which every state and every message is kept: what the attacks on states start from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from random import Random
from runpy import run_path
from typing import Any, Final
from unittest.mock import patch

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from common.deltas import QuantizedDelta
from common.secagg import (
    MaskedVector,
    Quorum,
    RoundSpec,
    Witness,
    advertise,
    collect_adverts,
)
from common.secagg.once import Once
from common.secagg.seat import Secrets

# The convoy of the tests: a conftest is no module that could be imported by its name.
_CONFTEST: Final = Path(__file__).parents[1] / "tests" / "common" / "secagg" / "conftest.py"
Convoy: Any = run_path(str(_CONFTEST))["Convoy"]

ME: Final = "port-000"
DROPPED: Final = "port-003"


@dataclass(frozen=True)
class Voyage:
    """An honest round of four platforms, one of which sends no vector: every state and every message."""

    ships: Any
    states: Mapping[str, Any]
    adverts: Mapping[str, bytes]
    sealed: Mapping[str, bytes]
    mail: Mapping[str, bytes]
    vectors: Mapping[str, MaskedVector]
    signatures: Mapping[str, bytes]
    released: Mapping[str, bytes]
    quorum: Quorum

    @classmethod
    def of(cls, ships: Any, spec: RoundSpec) -> "Voyage":
        """Sail it. ``states`` are those in which the first platform waits for each phase's question."""
        witness = Witness(1, bytes(32))
        first = {n: advertise(n, ships.keys[n], ships.terms, spec, witness) for n in ships.names}
        book = collect_adverts(ships.terms, spec, [advert for _, advert in first.values()])
        states: dict[str, Any] = {"share": kept(first[ME][0])}
        second = {n: state.share(book.adverts) for n, (state, _) in first.items()}
        states["upload"] = kept(second[ME][0])
        boxes = book.collect_shares({n: sealed for n, (_, sealed) in second.items()})
        third = {
            n: state.open(boxes.for_platform(n)).mask(QuantizedDelta(ships.deltas[n].lanes.copy()))
            for n, (state, _) in second.items()
            if n != DROPPED
        }
        states["sign"] = kept(third[ME][0])
        total = boxes.collect_masked({n: vector for n, (_, vector) in third.items()})
        fourth = {n: state.sign(total.survivors) for n, (state, _) in third.items()}
        states["unmask"] = kept(fourth[ME][0])
        quorum = total.collect_signatures({n: signature for n, (_, signature) in fourth.items()})
        released = {n: state.release(quorum.signatures) for n, (state, _) in fourth.items()}
        assert np.array_equal(quorum.collect_releases(released).unmask(), ships.plain_sum(total.survivors))
        return cls(
            ships,
            states,
            {n: advert.encode() for n, (_, advert) in first.items()},
            {n: sealed.encode() for n, (_, sealed) in second.items()},
            boxes.for_platform(ME),
            {n: vector for n, (_, vector) in third.items()},
            dict(quorum.signatures),
            {n: release.encode() for n, release in released.items()},
            quorum,
        )


def kept(state: Any) -> Any:
    """A copy of a state, whose secrets can be taken as often as it is asked for a copy of its own."""
    box = "_secrets" if hasattr(state, "_secrets") else "_held"
    return replace(state, **{box: Once(getattr(state, box)._box[0])})


def voyages() -> list[Voyage]:
    """Two rounds of the same platforms, with the same secrets in every run of the audit."""
    numbers, ships = count(), Convoy(4, dimension=4)

    def octets() -> bytes:
        return Random(next(numbers)).randbytes(32)

    def fresh() -> Secrets:
        key = X25519PrivateKey.from_private_bytes
        return Secrets(key(octets()), key(octets()), octets())

    with (
        patch.object(Secrets, "fresh", fresh),
        patch("secrets.randbelow", lambda bound: int.from_bytes(octets(), "big") % bound),
    ):
        return [Voyage.of(ships, ships.spec(attempt=attempt)) for attempt in range(2)]
