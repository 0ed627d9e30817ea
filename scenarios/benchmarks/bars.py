"""Bars that measured figures are held against, the table of both, and the machine they were measured on."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from common.cores import CORES


@dataclass(frozen=True)
class Bar:
    """What a figure must reach. ``path``: its key in the results, and the key below, if any."""

    what: str
    path: tuple[str, ...]
    bar: float
    most: bool = False
    unit: str = ""
    form: str = ".2f"

    def of(self, measured: dict[str, Any]) -> float:
        """The figure itself."""
        value: Any = measured
        for key in self.path:
            value = value[key]
        return float(value)

    def holds(self, measured: dict[str, Any]) -> bool:
        """Whether the figure reaches the bar."""
        value = self.of(measured)
        return value <= self.bar if self.most else value >= self.bar

    def row(self, measured: dict[str, Any]) -> tuple[str, str, str, str]:
        """What, measured, bar, whether it holds."""
        told = f"{self.of(measured):{self.form}}{self.unit}"
        sign = "≤" if self.most else "≥"
        return self.what, told, f"{sign} {self.bar:.7g}{self.unit}", "yes" if self.holds(measured) else "NO"


def as_text(measured: dict[str, Any], bars: Sequence[Bar], *notes: str) -> str:
    """A table of what was measured, its bar, and whether it holds; then ``notes``, a line each."""
    rows = [("", "measured", "bar", "holds"), *(bar.row(measured) for bar in bars)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    table = [
        f"{what:<{widths[0]}}  {told:>{widths[1]}}  {bar:>{widths[2]}}  {holds}".rstrip()
        for what, told, bar, holds in rows
    ]
    return "\n".join([*table, "", *notes])


def machine(**more: Any) -> dict[str, Any]:
    """What it was measured on, and ``more``."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": CORES,
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        **more,
    }


def machine_note(measured: dict[str, Any]) -> str:
    """The machine of ``measured``, and how long measuring took."""
    found = measured["machine"]
    return (
        f"{found['processor']}, {found['cores']} cores, load {found['load']:.1f};"
        f" medians, {measured['seconds']:.0f} s"
    )
