"""The protocol's monotone state on disk: written, and synced, before the answer that depends on it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common.errors import AggregationAborted
from common.files import locked, write_atomically
from common.secagg.memory import Memory


class MemoryUnavailable(AggregationAborted):
    """What the protocol must never forget cannot be read or written, so nothing is answered."""


@dataclass(frozen=True, slots=True)
class MemoryFile:
    """One JSON file. ``begun``: it was written once for all, so where it is missing it was lost."""

    path: Path
    begun: bool = False

    def begin(self) -> None:
        """Write an empty memory, unless there is one; on disk before this returns.

        Raises:
            MemoryUnavailable: when it cannot be written, or one that is there cannot be read.
        """
        self.update(lambda memory: memory)

    def update(self, change: Callable[[Memory], Memory]) -> None:
        """Replace the memory by its change; on disk before this returns.

        Raises:
            MemoryUnavailable: when it cannot be read or written.
            AggregationAborted: whatever reason ``change`` has to refuse; the file then stays as it was.
        """
        try:
            with locked(self.path):
                write_atomically(self.path, change(self.read()).to_json().encode())
        except OSError as error:
            raise self._unavailable("cannot write", error) from error

    def read(self) -> Memory:
        """The memory; an empty one where none has begun.

        Raises:
            MemoryUnavailable: when it was lost, or is there and cannot be read.
        """
        try:
            return Memory.from_json(self.path.read_text())
        except FileNotFoundError as error:
            if not self.begun:
                return Memory.empty()
            hint = "take no part under this charter again: what was answered under it is forgotten"
            raise MemoryUnavailable("lost", where=str(self.path), hint=hint) from error
        except (OSError, ValueError) as error:
            raise self._unavailable("cannot read", error) from error

    def _unavailable(self, what: str, error: Exception) -> MemoryUnavailable:
        hint = "see to the disk and the file's owner, then join at the next round"
        return MemoryUnavailable(what, where=str(self.path), why=type(error).__name__, hint=hint)
