"""Where derived files live: everything in it can be deleted and is made again."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def cache_folder(name: str) -> Path:
    """``$HANSE_CACHE/name``, or ``~/.cache/hanse/name``; created, readable by its owner alone."""
    root = os.environ.get("HANSE_CACHE")
    folder = (Path(root) if root else Path.home() / ".cache" / "hanse") / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def made_once(folder: Path, fill: Callable[[Path], None]) -> Path:
    """``folder``, filled by ``fill`` unless it is there already; nobody ever sees it half full."""
    if folder.is_dir():
        return folder
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        fill(draft)
        draft.rename(folder)
    except OSError:
        if not folder.is_dir():  # otherwise another process was faster, and its folder is as good
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder
