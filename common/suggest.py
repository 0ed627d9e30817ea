"""Hints that name what was probably meant."""

import difflib
from collections.abc import Iterable
from pathlib import Path


def did_you_mean(word: str, known: list[str]) -> str:
    """A hint that names the closest of ``known``, or all of a short list, or nothing."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"known: {', '.join(sorted(known))}" if known and len(known) <= 12 else ""


def closest_file(path: Path, besides: Path | None = None) -> str:
    """A hint that names the file beside ``path`` with its suffix and the closest name, or nothing.

    ``besides`` is a file that cannot be meant.
    """
    return _closest(path, (item for item in path.parent.glob("*") if item.is_file() and item != besides))


def closest_folder(path: Path) -> str:
    """A hint that names the folder beside ``path`` with its suffix and the closest name, or nothing."""
    return _closest(path, (item for item in path.parent.glob("*") if item.is_dir()))


def _closest(path: Path, beside: Iterable[Path]) -> str:
    # Suffixes are not compared: any two names would be close.
    names = {item.stem: item.name for item in beside if item.suffix == path.suffix}
    close = difflib.get_close_matches(path.stem, names, n=1, cutoff=0.6)
    return f'did you mean "{names[close[0]]}"?' if close else ""
