"""Which code this is: a digest over the product's own source files, and the versions of what it rests on."""

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

PACKAGES: Final = ("clients", "common", "server")
"""What a platform and a coordinator run. Experiments and tests are not part of it."""

_RESTS_ON: Final = ("hanse", "flwr", "torch", "opacus", "dp-accounting", "cryptography", "numpy")


def code_digest() -> str:
    """SHA-256 in hexadecimal over names and bytes of every Python file of :data:`PACKAGES`; worked out once.

    The same for the same files, from a checkout or a wheel. It tells which code is installed; it does not prove
    which code ran.
    """
    return _of(Path(__file__).resolve().parents[1])


def installed() -> dict[str, str]:
    """The versions that are installed here, by package; one that is not is left out."""
    found = {}
    for name in _RESTS_ON:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def _of(root: Path) -> str:
    whole = hashlib.sha256(b"hanse/code/1")
    for name, content in sorted(_files(root)):
        for field in (name.encode(), content):
            whole.update(len(field).to_bytes(8, "big") + field)
    return whole.hexdigest()


def _files(root: Path) -> Iterator[tuple[str, bytes]]:
    """Each source file's path below ``root``, with slashes, and its bytes."""
    for package in PACKAGES:
        for path in (root / package).rglob("*.py"):
            yield path.relative_to(root).as_posix(), path.read_bytes()
