"""Who takes part in a round and at which address; who dropped out, in which phase and why."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from common.errors import AggregationAborted
from common.frame import Frame
from common.replies import REFUSED, Refusal, body_of, refusal
from common.requests import AdvertiseRequest
from common.secagg.errors import ProtocolAborted
from common.secagg.messages import Advert
from server.accusations import Accusations
from server.channel import Meter
from server.outcome import RoundOutcome

log = logging.getLogger(__name__)


class _Named(Protocol):
    """A message that says whose it is."""

    @property
    def platform(self) -> str: ...


Answer = TypeVar("Answer")
Signed = TypeVar("Signed", bound=_Named)
Reader = Callable[[Frame], Answer]


@dataclass
class Cohort:
    """Asks the platforms of one round, and keeps account of those that no longer answer.

    Which platform is at which address is learned from the signed adverts of this round (or from the signed
    commitments to its draw of groups) and from nothing else.
    ``refusals`` are kept by address, since nobody has signed those to open the round.
    """

    meter: Meter
    address: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    refusals: dict[int, Refusal] = field(default_factory=dict)
    accusations: Accusations = field(default_factory=Accusations)

    def open(self, frame: Frame, fault: Callable[[Advert], str]) -> list[Advert]:
        """Ask everyone within reach; the first advert without a ``fault`` gives its platform's address."""
        return self.meet(frame, body_of(Advert.decode), fault)

    def meet(self, frame: Frame, read: Reader[Signed], fault: Callable[[Signed], str]) -> list[Signed]:
        """Ask everyone within reach for something signed, which tells who is where."""
        requests = dict.fromkeys(self.meter.channel.addresses(), frame)
        met = []
        for address, answer in self.meter.ask(frame.kind, requests).items():
            signed = self._signed(address, answer, frame.kind, read)
            if signed is None or signed.platform in self.address:
                continue
            if why := fault(signed):
                log.warning("address %d does not speak for %s: %s", address, signed.platform, why)
                continue
            self.address[signed.platform] = address
            met.append(signed)
        return met

    def _signed(self, address: int, frame: Frame, phase: str, read: Reader[Signed]) -> Signed | None:
        if frame.kind == REFUSED:
            self.refusals[address] = refusal(frame)
            log.warning("address %d refuses to %s: %s", address, phase, refusal(frame))
            return None
        try:
            return read(frame)
        except AggregationAborted as error:
            log.warning("address %d answers with something else: %s", address, error)
            return None

    def ask(self, frames: Mapping[str, Frame], read: Reader[Answer]) -> dict[str, Answer]:
        """Ask the named platforms and return what those who are still there answer."""
        phase = next(iter(frames.values())).kind
        received = self.meter.ask(phase, {self.address[name]: frame for name, frame in frames.items()})
        answers = {}
        for name in frames:
            frame = received.get(self.address[name])
            answer = None if frame is None else self._read(name, frame, phase, read)
            if answer is None:
                self.dropped.setdefault(name, phase)
            else:
                answers[name] = answer
        return answers

    def exclude(self, faults: Mapping[str, ProtocolAborted]) -> None:
        """Count those as dropped whose answers the protocol found wrong."""
        self.accusations.prove(faults)
        for name, why in faults.items():
            self.dropped.setdefault(name, f"{why.phase}: {type(why).__name__}")
            log.warning("%s is excluded: %s", name, why)

    def absorb(self, group: "Cohort") -> None:
        """Add the account of a group that ran beside others: bytes add up, the slowest group's seconds count.

        Accusations are gathered, a platform's word against another once however many groups heard it.
        """
        self.dropped.update(group.dropped)
        self.refusals.update(group.refusals)
        self.accusations.absorb(group.accusations)
        self.meter.absorb(group.meter)

    def outcome(self, opening: AdvertiseRequest, survivors: tuple[str, ...]) -> RoundOutcome:
        """The account of a finished round."""
        absent = {name: opening.kind for name in opening.cohort if name not in self.address}
        return RoundOutcome(
            number=opening.round,
            attempt=opening.attempt,
            cohort=opening.cohort,
            survivors=survivors,
            dropped={**absent, **self.dropped},
            seconds_by_phase=self.meter.seconds,
            bytes_up={name: self.meter.up.get(address, 0) for name, address in self.address.items()},
            bytes_down={name: self.meter.down.get(address, 0) for name, address in self.address.items()},
        )

    def _read(self, who: str, frame: Frame, phase: str, read: Reader[Answer]) -> Answer | None:
        if frame.kind == REFUSED:
            told = self.refusals[self.address[who]] = refusal(frame)
            self.dropped[who] = f"{phase}: {told}"
            log.warning("%s refuses to %s: %s", who, phase, told)
            if told.accused in self.address:
                self.accusations.hear(who, told.accused)
            return None
        try:
            return read(frame)
        except AggregationAborted as error:
            self.dropped[who] = f"{phase}: {type(error).__name__}"
            log.warning("%s answers %s with something else: %s", who, phase, error)
            return None
