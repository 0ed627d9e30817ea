"""The channel of a simulation in one process: the same sites, asked one after the other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from common.frame import Frame


@dataclass(frozen=True, slots=True)
class InProcessChannel:
    """Hands each frame to a site's ``handle``; the address is the site's place in ``sites``."""

    sites: Sequence[Callable[[Frame], Frame]]

    def addresses(self) -> Sequence[int]:
        """Every site is always within reach."""
        return range(len(self.sites))

    def ask(self, requests: Mapping[int, Frame], timeout: float) -> Mapping[int, Frame]:
        """All answers; a call in the same process has no timeout."""
        return {address: self.sites[address](frame) for address, frame in requests.items()}
