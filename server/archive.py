"""What the coordinator keeps so that the roster can replay a round: sealed, handed over, and deleted in time."""

import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.bundle import Bundle, digest_of, fresh_key
from common.charter import Charter
from common.deltas import Floats
from common.files import write_atomically
from common.requests import ReplayRequest
from common.secagg.messages import MaskedVector
from common.secagg.replay import Replay
from common.secagg.server import Releases
from server.cohort import Cohort
from server.optimizer import OptimizerState

BUNDLE: Final = "bundle"


@dataclass
class Archive:
    """The replays below a run's folder: none at all where the charter keeps them for 0 days.

    A bundle's key is told to the sites that finished the round, and kept nowhere at the coordinator.
    """

    path: Path
    seconds: int
    _taken: tuple[Replay, tuple[str, ...]] | None = None

    @classmethod
    def of(cls, run: Path, charter: Charter) -> "Archive":
        """The archive of a run; what is too old in it is gone when this returns."""
        archive = cls(run / "replays", charter.replay_seconds)
        archive.prune(time.time())
        return archive

    def take(self, releases: Releases, vectors: Mapping[str, MaskedVector]) -> None:
        """Take of a round that was unmasked what its replay needs; see :class:`Replay` for what it leaves."""
        self._taken = (Replay.of(releases, vectors), releases.platforms) if self.seconds else None

    def hand_over(self, cohort: Cohort, before: OptimizerState, mean: Floats, after: OptimizerState) -> None:
        """Write the round's bundle, then tell its hash and key to the sites that came through to the end.

        Each stands at the address whose advert its roster key signed in this round. One that does not listen
        loses the replay and nothing else.
        """
        taken, self._taken = self._taken, None
        if taken is None:
            return
        replay, finished = taken
        bundle = Bundle(replay, arrays(before), digest_of(mean), digest_of(*arrays(after)))
        notice = self._write(bundle)
        cohort.ask({name: notice.frame() for name in finished}, lambda frame: frame.body)
        self.prune(time.time())

    def prune(self, now: float) -> None:
        """Delete the bundles that are older than the charter allows, by this machine's clock."""
        for folder in self.path.glob("*"):
            if folder.stat().st_mtime + self.seconds <= now:
                shutil.rmtree(folder)

    def _write(self, bundle: Bundle) -> ReplayRequest:
        key, whole, spec = fresh_key(), hashlib.sha256(), bundle.replay.spec
        folder = self.path / name_of(spec.round, spec.attempt)
        for made in (self.path, folder):
            made.mkdir(exist_ok=True, mode=0o700)

        def hashed() -> Iterator[bytes]:
            for part in bundle.sealed(key):
                whole.update(part)
                yield part

        write_atomically(folder / BUNDLE, hashed())
        return ReplayRequest(attempt=spec.attempt, bundle=whole.digest(), key=key)


def name_of(number: int, attempt: int) -> str:
    """The folder of a round's replay."""
    return f"{number:04}-{attempt:04}"


def arrays(state: OptimizerState) -> tuple[Floats, ...]:
    """The optimiser's arrays, in the order in which a bundle holds them."""
    return (state.parameters, state.first, state.second, state.average)
