"""Child processes of a run and all that those start in turn: begun together, gone together."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from common.errors import EnvironmentProblem

MARK: Final = "HANSE_PROCESSES"
GRACE_SECONDS: Final = 5.0


@dataclass
class Processes:
    """Starts processes that log into ``logs``; leaving the context ends them and everything they started.

    Daemons detach themselves from their parents, so they are known by a mark in their environment: the folder
    of logs. Entering therefore also ends what a run in the same folder left behind when it was killed.
    """

    logs: Path
    environment: Mapping[str, str]
    _started: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict, init=False)

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        self._end()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def start(self, name: str, command: Sequence[str], folder: Path | None = None) -> None:
        """Start ``command`` in ``folder``; what it prints goes to ``<name>.log``.

        Raises:
            EnvironmentProblem: when there is no such program.
        """
        environment = {**self.environment, MARK: self._mark}
        with self.log(name).open("wb") as log:
            try:
                self._started[name] = subprocess.Popen(  # noqa: S603 - our own programs, no shell
                    command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            except OSError as error:
                raise EnvironmentProblem(f"cannot start {command[0]}", why=error.strerror or "") from error

    def log(self, name: str) -> Path:
        """Where the process prints."""
        return self.logs / f"{name}.log"

    def ended(self, name: str) -> bool:
        """Whether the process is over."""
        return self._started[name].poll() is not None

    def require(self, *names: str) -> None:
        """Check that the processes are alive.

        Raises:
            EnvironmentProblem: naming the first that is not, with its last words.
        """
        for name in names:
            if self.ended(name):
                words = self.log(name).read_text(errors="replace").split("\n")[-4:]
                code = self._started[name].returncode
                what, why = f"{name} ended with exit code {code}", " ".join(words).strip()
                raise EnvironmentProblem(what, why=why, hint=f"see {self.log(name)}")

    @property
    def _mark(self) -> str:
        return str(self.logs.resolve())

    def _end(self) -> None:
        """Ask each once, wait, then kill; what appears meanwhile is seen by the next look."""
        asked: set[int] = set()
        patience = time.monotonic() + GRACE_SECONDS
        while (left := marked(self._mark)) and time.monotonic() < patience + GRACE_SECONDS:
            late = time.monotonic() > patience
            for process in left if late else set(left) - asked:
                _send(process, signal.SIGKILL if late else signal.SIGTERM)
            asked.update(left)
            time.sleep(0.05)
        for child in self._started.values():
            with suppress(subprocess.TimeoutExpired):
                child.wait(GRACE_SECONDS)


def marked(mark: str) -> list[int]:
    """The processes of this user, but for this one, that were started with ``mark``."""
    needle = f"{MARK}={mark}".encode()
    return [process for process in _others() if needle in _environment(process).split(b"\0")]


def _others() -> list[int]:
    names = (entry.name for entry in Path("/proc").iterdir())
    return [int(name) for name in names if name.isdigit() and int(name) != os.getpid()]


def _environment(process: int) -> bytes:
    # Another user's process, or one that is over, has none to read.
    with suppress(OSError):
        return Path(f"/proc/{process}/environ").read_bytes()
    return b""


def _send(process: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, number)
