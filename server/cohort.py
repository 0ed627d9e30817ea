"""Who takes part in a round and at which address; who dropped out, in which phase and why."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from common.errors import AggregationAborted
from common.frame import Frame
from common.replies import REFUSED, Refusal, body_of, refusal
from common.requests import AdvertiseRequest
from common.secagg.messages import Advert
from server.channel import Meter
from server.outcome import RoundOutcome

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Reader = Callable[[Frame], Answer]


@dataclass
class Cohort:
    """Asks the platforms of one round, and keeps account of those that no longer answer.

    Which platform is at which address is learned from the signed adverts of this round and from nothing else.
    """

    meter: Meter
    address: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    refusals: set[Refusal] = field(default_factory=set)

    def open(self, frame: Frame) -> list[Advert]:
        """Ask everyone within reach; the first advert that names a platform gives its address."""
        requests = dict.fromkeys(self.meter.channel.addresses(), frame)
        adverts = []
        for address, answer in self.meter.ask(frame.kind, requests).items():
            advert = self._read(f"address {address}", answer, frame.kind, body_of(Advert.decode))
            if advert is not None and advert.platform not in self.address:
                self.address[advert.platform] = address
                adverts.append(advert)
        return adverts

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
            reason = refusal(frame)
            self.refusals.add(reason)
            self.dropped[who] = f"{phase}: {reason}"
            log.warning("%s refuses to %s: %s", who, phase, reason)
            return None
        try:
            return read(frame)
        except AggregationAborted as error:
            self.dropped[who] = f"{phase}: {type(error).__name__}"
            log.warning("%s answers %s with something else: %s", who, phase, error)
            return None
