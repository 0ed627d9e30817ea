"""Where derived files live: everything in it can be deleted and is made again."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from common.errors import EnvironmentProblem
from common.files import write_atomically


def cache_folder(name: str) -> Path:
    """``$HANSE_CACHE/name``, or ``~/.cache/hanse/name``; created, readable by its owner alone.

    Raises:
        EnvironmentProblem: where it cannot be created.
    """
    root = os.environ.get("HANSE_CACHE")
    folder = (Path(root) if root else Path.home() / ".cache" / "hanse") / name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


def made_once(folder: Path, fill: Callable[[Path], None]) -> Path:
    """``folder``, filled by ``fill`` unless it is there already; nobody ever sees it half full.

    Raises:
        EnvironmentProblem: where it cannot be written.
    """
    if folder.is_dir():
        return folder
    draft = None
    try:
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        fill(draft)
        draft.rename(folder)
    except OSError as error:
        if not folder.is_dir():  # otherwise another process was faster, and its folder is as good
            raise _unwritable(folder, error) from error
    finally:
        if draft:
            shutil.rmtree(draft, ignore_errors=True)
    return folder


def keep(path: Path, content: bytes) -> None:
    """Write one derived file, wholly or not at all.

    Raises:
        EnvironmentProblem: where it cannot be written.
    """
    try:
        write_atomically(path, content)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(folder: Path, error: OSError) -> EnvironmentProblem:
    hint = "set HANSE_CACHE to a folder with a gigabyte to spare"
    return EnvironmentProblem(
        "the cache cannot be written", where=str(folder), why=error.strerror or "", hint=hint
    )
