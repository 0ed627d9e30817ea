"""Where in a TOML file each key stands."""

import tomllib
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]


def key_lines(text: str) -> dict[Path, int]:
    """The line, from 1, of every key and table of a valid TOML document; arrays count from 0."""
    lines = text.splitlines()
    found: dict[Path, int] = {}
    tables: dict[Path, int] = {}  # how many elements each array of tables has so far
    prefix: Path = ()
    number = 0
    while number < len(lines):
        content, end = _statement(lines, number)
        if lines[number].lstrip().startswith("["):
            prefix = _header(content, tables)
            found.setdefault(prefix, number + 1)
        else:
            for path in _paths(content):
                found.setdefault(prefix + path, number + 1)
        number = end
    return found


def _statement(lines: list[str], start: int) -> tuple[dict[str, Any], int]:
    """The shortest run of lines from ``start`` that is TOML by itself, and the line after it."""
    for end in range(start + 1, len(lines) + 1):
        try:
            return tomllib.loads("\n".join(lines[start:end])), end
        except tomllib.TOMLDecodeError:
            continue
    return {}, start + 1


def _header(content: dict[str, Any], tables: dict[Path, int]) -> Path:
    """The path a ``[table]`` or ``[[array]]`` line opens, given the arrays opened before it."""
    path: Path = ()
    value: Any = content
    while value:
        ((key, value),) = value.items()
        path = (*path, key)
        if isinstance(value, list):
            tables[path] = tables.get(path, 0) + 1
            value = value[0]
        if path in tables:
            path = (*path, tables[path] - 1)
    return path


def _paths(value: Any) -> Iterator[Path]:
    """The path of everything inside ``value``."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield (key,)
        yield from ((key, *path) for path in _paths(inner))
