"""The site's Unix socket, both ends: the daemon that answers frames, and the caller's side of it.

Who may speak to a site is the operating system's word: the folder is 0750, the socket 0660, and the user id
that the kernel reports of the caller (SO_PEERCRED, unix(7)) must be on the allow-list.
"""

import logging
import os
import socket
import struct
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from common.errors import EnvironmentProblem, HanseError
from common.frame import Frame, decode, encode

FOLDER_MODE: Final = 0o750
SOCKET_MODE: Final = 0o660
READ_SECONDS: Final = 30.0
PIECE: Final = 1 << 20

_log = logging.getLogger(__name__)


class SiteSilent(HanseError):
    """The site did not answer: it is not running, refused the caller, took too long, or failed."""


@dataclass(frozen=True)
class SiteSocket:
    """The caller's side of a site's socket."""

    path: Path

    def ask(self, frame: Frame, timeout: float) -> Frame:
        """What the site answers to ``frame``.

        Raises:
            SiteSilent: when there is no answer within ``timeout`` seconds.
        """
        try:
            with _connected(self.path, timeout) as connection:
                _send(connection, frame)
                return _receive(connection)
        except (OSError, EOFError, HanseError) as error:
            raise SiteSilent(
                "the site does not answer", where=str(self.path), why=type(error).__name__
            ) from error

    def listens(self) -> bool:
        """Whether anyone accepts connections there; nothing is asked."""
        with suppress(OSError), _connected(self.path, 1.0):
            return True
        return False


@dataclass(frozen=True)
class SiteDaemon:
    """Answers one frame per connection, one at a time: the state of a protocol phase is used once.

    ``users``: the ids of the operating system's users who may ask; by default only the one who runs the site.
    """

    handle: Callable[[Frame], Frame]
    listener: socket.socket
    users: Collection[int] = field(default_factory=lambda: frozenset({os.getuid()}))

    def serve(self) -> None:
        """Answer until :meth:`stop`, or until a signal raises."""
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return  # shut down by ``stop``
            with connection:
                self._converse(connection)

    def stop(self) -> None:
        """Let :meth:`serve` return once the answer in hand is given; from any thread."""
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)

    def _converse(self, connection: socket.socket) -> None:
        user = _user_of(connection)
        if user not in self.users:
            _log.warning("refused a caller: user id %d is not on the allow-list", user)
            return
        try:
            connection.settimeout(READ_SECONDS)
            _send(connection, self.handle(_receive(connection)))
        except EOFError:
            _log.debug("a caller left without asking")
        except Exception as error:  # whatever failed, a closed connection is all the caller may see
            _log.warning("a request stays without an answer: %s", _name_of(error))


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """A listening socket at ``path`` that is gone afterwards; the folder is made when missing.

    Raises:
        EnvironmentProblem: when a site already answers there, or the socket cannot be made.
    """
    if SiteSocket(path).listens():
        raise EnvironmentProblem(
            "a site already answers here", where=str(path), hint="stop it, or name another folder"
        )
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            os.fchmod(listener.fileno(), SOCKET_MODE)  # before bind, so that it is never wider
            with _short(path) as address:
                listener.bind(address)
            listener.listen()
        except OSError as error:
            raise EnvironmentProblem(
                "no socket can be made", where=str(path), why=error.strerror or ""
            ) from error
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def _connected(path: Path, timeout: float) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as connection, _short(path) as address:
        connection.settimeout(timeout)
        connection.connect(address)
        yield connection


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name for ``path`` within the 107 bytes that a socket address holds, however deep its folder lies."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _user_of(connection: socket.socket) -> int:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", credentials)
    return int(user)


def _send(connection: socket.socket, frame: Frame) -> None:
    # Once it has all, the other end may answer and close: nothing may follow, not even nothing.
    for buffer in encode(frame):
        if len(buffer) > 0:
            connection.sendall(buffer)


def _receive(connection: socket.socket) -> Frame:
    with connection.makefile("rb") as stream:

        def read(count: int) -> bytes:
            # In pieces: what a frame announces takes memory when it arrives, not before.
            pieces = [stream.read(min(PIECE, count - at)) for at in range(0, count, PIECE)]
            if sum(map(len, pieces)) < count:
                raise EOFError
            return b"".join(pieces)

        return decode(read)


def _name_of(error: Exception) -> str:
    # Our own errors hold no row and no secret; the text of any other might.
    return f"{type(error).__name__}: {error}" if isinstance(error, HanseError) else type(error).__name__
