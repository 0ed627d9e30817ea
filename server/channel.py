"""How the coordinator reaches sites, whatever carries the frames; and a meter on it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from common.frame import Frame


class Channel(Protocol):
    """Delivers a frame to each address and returns the answers; an address that is missing has dropped out."""

    def addresses(self) -> Sequence[int]:
        """Where sites can be reached now; which platform is where, only its signed advert tells."""
        ...

    def ask(self, requests: Mapping[int, Frame], timeout: float) -> Mapping[int, Frame]:
        """The answers that came within ``timeout`` seconds."""
        ...


@dataclass
class Meter:
    """Counts payload bytes by address and seconds by phase of everything that passes through."""

    channel: Channel
    timeout: float
    seconds: dict[str, float] = field(default_factory=dict)
    up: dict[int, int] = field(default_factory=dict)
    down: dict[int, int] = field(default_factory=dict)

    def ask(self, phase: str, requests: Mapping[int, Frame]) -> Mapping[int, Frame]:
        """Ask as the channel does; seconds are wall time until the last answer or the timeout."""
        begun = time.perf_counter()
        answers = self.channel.ask(requests, self.timeout)
        self.seconds[phase] = time.perf_counter() - begun
        for address, frame in requests.items():
            self.down[address] = self.down.get(address, 0) + frame.size
        for address, frame in answers.items():
            self.up[address] = self.up.get(address, 0) + frame.size
        return answers

    def absorb(self, other: "Meter") -> None:
        """Count what passed through a meter that ran at the same time."""
        for phase, seconds in other.seconds.items():
            self.seconds[phase] = max(seconds, self.seconds.get(phase, 0.0))
        for mine, others in ((self.up, other.up), (self.down, other.down)):
            for address, octets in others.items():
                mine[address] = mine.get(address, 0) + octets
