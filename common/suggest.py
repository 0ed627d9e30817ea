"""Hints that name what was probably meant."""

import difflib
from pathlib import Path


def did_you_mean(word: str, known: list[str]) -> str:
    """A hint that names the closest of ``known``, or all of a short list, or nothing."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"known: {', '.join(sorted(known))}" if known and len(known) <= 12 else ""


def closest_file(path: Path, besides: Path | None = None) -> str:
    """A hint that names the neighbour of ``path`` with its suffix and the closest name, or nothing.

    ``besides`` is a neighbour that cannot be meant. Suffixes are not compared: any two names would be close.
    """
    beside = (item for item in path.parent.glob("*") if item.suffix == path.suffix and item != besides)
    names = {item.stem: item.name for item in beside}
    close = difflib.get_close_matches(path.stem, names, n=1, cutoff=0.6)
    return f'did you mean "{names[close[0]]}"?' if close else ""
