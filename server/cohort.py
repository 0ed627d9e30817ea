"""Who takes part in a round and at which address; who dropped out, in which phase and why."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from common.errors import AggregationAborted
from common.frame import Frame
from common.replies import REFUSED, Refusal, refusal
from common.requests import AdvertiseRequest
from common.secagg.errors import ProtocolAborted
from common.secagg.messages import Advert
from server.accusations import Accusations
from server.channel import Meter
from server.outcome import RoundOutcome

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Reader = Callable[[Frame], Answer]


@dataclass
class Cohort:
    """Asks the platforms of one round, and keeps account of those that no longer answer.

    Which platform is at which address is learned from the signed adverts of this round and from nothing else.
    ``refusals`` to open the round are kept by address, since nobody has signed them.
    """

    meter: Meter
    address: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    refusals: dict[int, Refusal] = field(default_factory=dict)
    accusations: Accusations = field(default_factory=Accusations)

    def open(self, frame: Frame, fault: Callable[[Advert], str]) -> list[Advert]:
        """Ask everyone within reach; the first advert without a ``fault`` gives its platform's address."""
        requests = dict.fromkeys(self.meter.channel.addresses(), frame)
        adverts = []
        for address, answer in self.meter.ask(frame.kind, requests).items():
            advert = self._advert(address, answer)
            if advert is None or advert.platform in self.address:
                continue
            if why := fault(advert):
                log.warning("address %d does not speak for %s: %s", address, advert.platform, why)
                continue
            self.address[advert.platform] = address
            adverts.append(advert)
        return adverts

    def _advert(self, address: int, frame: Frame) -> Advert | None:
        if frame.kind == REFUSED:
            self.refusals[address] = refusal(frame)
            log.warning("address %d refuses to advertise: %s", address, refusal(frame))
            return None
        try:
            return Advert.decode(frame.body)
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
            told = refusal(frame)
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
