"""What a site must remember across rounds, and write down *before* it answers: a value that only grows."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from common.secagg.draw import Draw
from common.secagg.errors import (
    BaseModelReleased,
    LedgerRollback,
    MemoryCorrupt,
    NonceReplayed,
    ProtocolError,
    RoundReplayed,
)
from common.secagg.messages import Advert, Witness
from common.secagg.terms import RoundSpec

_DRAWS: Final = "draws/"  # a run's name is the charter's hash, in which there is no slash


@dataclass(frozen=True, slots=True)
class Memory:
    """Monotone state of one site under one charter; every change is a new value.

    ``last``: run → last (round, attempt) answered, and for its draws of groups last (round, number). ``nonces``:
    every nonce answered. ``models``: (purpose, model hash) of every sum this site helped to unmask.
    ``witnesses``: platform → highest ledger counter seen, and its head. ``least``: platform → the counter that its
    ledger must have reached since, because it was seen to release something.
    """

    last: Mapping[str, tuple[int, int]]
    nonces: frozenset[bytes]
    models: frozenset[tuple[str, bytes]]
    witnesses: Mapping[str, Witness]
    least: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def empty(cls) -> "Memory":
        """The memory of a site that has answered nothing.

        Guarantee: admits any round once.
        Refuses: nothing.
        """
        return cls({}, frozenset(), frozenset(), {})

    def admit(self, spec: RoundSpec) -> "Memory":
        """The memory after answering ``spec``; persist it before the advert leaves.

        Guarantee: within a run (round, attempt) only grows, a nonce is answered once, and no model whose sum
            was unmasked for a purpose is summed over again for it.
        Refuses: a round or attempt not after the last (RoundReplayed), a known nonce (NonceReplayed), a model
            already released (BaseModelReleased).
        """
        later = self._advanced(spec.run, spec.round, spec.attempt)
        if spec.nonce in self.nonces:
            raise NonceReplayed("memory")
        self._fresh(spec)
        return replace(later, nonces=self.nonces | {spec.nonce})

    def admit_draw(self, draw: Draw) -> "Memory":
        """The memory after committing to ``draw``; persist it before the commitment leaves.

        Guarantee: within a run (round, number of the draw) only grows, so a site takes part in no more draws
            for a round than the charter allows it.
        Refuses: a draw that is not after the last (RoundReplayed).
        """
        return self._advanced(f"{_DRAWS}{draw.run}", draw.round, draw.number)

    def _advanced(self, run: str, round_: int, attempt: int) -> "Memory":
        place, last = (round_, attempt), self.last.get(run)
        if last is not None and place <= last:
            why = (
                f"asked for round {place[0]}, attempt {place[1]}; last was round {last[0]}, attempt {last[1]}"
            )
            raise RoundReplayed("memory", why=why)
        return replace(self, last={**self.last, run: place})

    def released(self, spec: RoundSpec) -> "Memory":
        """The memory after releasing shares for ``spec``; persist it before the shares leave.

        Guarantee: ``admit`` then refuses this (purpose, model) for ever, in every run; and no second attempt that
            was opened before may release for it either.
        Refuses: a model already released (BaseModelReleased).
        """
        self._fresh(spec)
        return replace(self, models=self.models | {(spec.purpose, spec.model)})

    def _fresh(self, spec: RoundSpec) -> None:
        if (spec.purpose, spec.model) in self.models:
            raise BaseModelReleased("memory", why=f"{spec.purpose} over model {spec.model.hex()[:12]}")

    def witness(self, adverts: Iterable[Advert]) -> "Memory":
        """The memory after seeing the ledgers in ``adverts``; persist it before the shares leave.

        Call it on adverts that :meth:`Advertised.share` has verified, else a relay could invent a rollback.

        Guarantee: per platform the counter never falls, one counter has one head, and a platform that released
            since has a higher one.
        Refuses: a lower counter, another head at the same counter, or a counter that a release should have moved
            (LedgerRollback).
        """
        seen = dict(self.witnesses)
        for advert in adverts:
            old, new = seen.get(advert.platform), advert.witness
            if old is not None and new.counter < old.counter:
                why = f"entry {new.counter} after entry {old.counter}"
                raise LedgerRollback("memory", advert.platform, why=why)
            if old is not None and new.counter == old.counter and new.head != old.head:
                raise LedgerRollback("memory", advert.platform, why=f"two heads at entry {new.counter}")
            if new.counter < self.least.get(advert.platform, new.counter):
                why = f"still entry {new.counter} after a release that must have been entered"
                raise LedgerRollback("memory", advert.platform, why=why)
            seen[advert.platform] = new
        return replace(self, witnesses=seen)

    def saw_release(self, adverts: Iterable[Advert]) -> "Memory":
        """The memory after the platforms of ``adverts`` released in the round of these adverts.

        A charge is durable before a release is made, so their next adverts show at least one entry more. Without
        this a platform could put its ledger back after every round, and show the same counter and head for ever.
        Call it for platforms whose own signature says that they were among the survivors: the coordinator's word
        alone could frame one that never got so far.

        Guarantee: :meth:`witness` then refuses a ledger without the charge.
        Refuses: nothing.
        """
        shown = {advert.platform: advert.witness.counter + 1 for advert in adverts}
        least = {name: max(counter, self.least.get(name, counter)) for name, counter in shown.items()}
        return replace(self, least={**self.least, **least})

    def to_json(self) -> str:
        """The memory as JSON text, the same for equal memories.

        Guarantee: :meth:`from_json` gives an equal memory. It holds no secret.
        Refuses: nothing.
        """
        content = {
            "last": {run: list(place) for run, place in self.last.items()},
            "nonces": sorted(nonce.hex() for nonce in self.nonces),
            "models": sorted([purpose, model.hex()] for purpose, model in self.models),
            "witnesses": {name: [seen.counter, seen.head.hex()] for name, seen in self.witnesses.items()},
            **({"least": dict(self.least)} if self.least else {}),
        }
        return json.dumps(content, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Memory":
        """The memory in ``text``.

        Guarantee: fails closed: never an emptier memory than was written.
        Refuses: anything :meth:`to_json` does not write (MemoryCorrupt).
        """
        try:
            memory = cls._of(**json.loads(text))
            again = memory.to_json()
        except (ValueError, TypeError, AttributeError, RecursionError, ProtocolError) as error:
            raise MemoryCorrupt("memory", why=type(error).__name__) from None
        if again != text:
            raise MemoryCorrupt("memory", why="a value that no memory holds")
        return memory

    @classmethod
    def _of(
        cls,
        last: Mapping[str, tuple[int, int]],
        nonces: Iterable[str],
        models: Iterable[tuple[str, str]],
        witnesses: Mapping[str, tuple[int, str]],
        least: Mapping[str, int] | None = None,
    ) -> "Memory":
        return cls(
            {run: (_whole(round_), _whole(attempt)) for run, (round_, attempt) in last.items()},
            frozenset(bytes.fromhex(nonce) for nonce in nonces),
            frozenset((_text(purpose), bytes.fromhex(model)) for purpose, model in models),
            {
                name: Witness(_whole(counter), bytes.fromhex(head))
                for name, (counter, head) in witnesses.items()
            },
            {name: _whole(counter) for name, counter in (least or {}).items()},
        )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError("not a whole number")
    return value
