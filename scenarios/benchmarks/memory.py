"""The most memory that a site and the coordinator need for one vector, each measured in a process of its own.

Run as ``python -m scenarios.benchmarks.memory DIMENSION WIDTH``: prints a JSON object. A site is measured from
before its update exists until its masked vector is ready; the coordinator from before the first vector is read
from where it waited, to the mean. Linux only: it asks the kernel for the process's peak.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from common.console import show
from common.secagg import Masked, MaskedVector
from common.secagg.client import Opened
from scenarios.benchmarks.convoy import Convoy, from_octets, narrow, update, wide

Result = TypeVar("Result")

PLATFORMS = 3


def peak_ratios(dimension: int, width: int) -> dict[str, float]:
    """Peak above baseline over the bytes of a float32 vector, for ``site`` and ``coordinator``."""
    command = [sys.executable, "-m", __name__, str(dimension), str(width)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  # ourselves
    return {side: float(ratio) for side, ratio in json.loads(told).items()}


class Waiting(Mapping[str, MaskedVector]):
    """Masked vectors as files of a folder, read one by one when they are asked for."""

    def __init__(self, folder: Path, convoy: Convoy) -> None:
        self._folder, self._convoy, self._signatures = folder, convoy, dict[str, bytes]()

    def put(self, name: str, vector: MaskedVector) -> None:
        """Write the lanes, keep the signature."""
        vector.delta.lanes.tofile(self._folder / name)
        self._signatures[name] = vector.signature

    def __getitem__(self, name: str) -> MaskedVector:
        return from_octets(self._convoy, (self._folder / name).read_bytes(), self._signatures[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._signatures)

    def __len__(self) -> int:
        return len(self._signatures)


def _measure(dimension: int, width: int, folder: Path) -> dict[str, float]:
    convoy = Convoy(PLATFORMS, dimension, wide() if width == 32 else narrow(dimension))
    mail, opened = convoy.open()
    waiting, states, site = Waiting(folder, convoy), dict[str, Masked](), 0
    for name, state in opened.items():
        states[name], risen = _peak(partial(_send, convoy, name, state, waiting))
        site = max(site, risen)

    def whole() -> None:
        quorum, released = convoy.release(mail, states, waiting)
        convoy.ring.dequantise(quorum.collect_releases(released).unmask(), reuse=True)

    _, coordinator = _peak(whole)
    return {"site": site / (4 * dimension), "coordinator": coordinator / (4 * dimension)}


def _send(convoy: Convoy, name: str, opened: Opened, waiting: Waiting) -> Masked:
    masked, vector = convoy.mask(opened, update(convoy.dimension, convoy.ring))
    waiting.put(name, vector)
    return masked


def _peak(action: Callable[[], Result]) -> tuple[Result, int]:
    """The result of ``action`` and by how many bytes the process grew at most meanwhile."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _status("VmRSS")
    result = action()
    return result, _status("VmHWM") - before


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{key}:"))
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        show(json.dumps(_measure(int(sys.argv[1]), int(sys.argv[2]), Path(place))))
