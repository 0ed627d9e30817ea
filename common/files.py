"""Files that are wholly there or not at all, and that one process has to itself."""

import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomically(path: Path, content: bytes | Iterable[bytes], *, mode: int = 0o600) -> None:
    """Replace ``path`` with ``content``, on disk before this returns; a crash leaves the old file or the new
    one.

    Raises:
        OSError: when the folder is missing, full or read-only; ``path`` is then unchanged.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make ``path``, and what is missing above it, for its owner alone; on disk before this returns.

    Raises:
        OSError: when one of them cannot be made.
    """
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
        sync_folder(path.parent)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold ``path`` alone among all processes, by a lock on ``.<name>.lock`` beside it; it ends with the process.

    Raises:
        BlockingIOError: when another process holds it and ``wait`` is false.
        OSError: when the lock file cannot be made.
    """
    lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def sync_folder(folder: Path) -> None:
    """Let what was renamed into ``folder`` be on disk before this returns.

    Raises:
        OSError: when the folder is missing.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
