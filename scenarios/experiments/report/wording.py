"""How figures are written in a report: units, signs and rounding that never flatters."""

import math
import re
from collections.abc import Sequence
from typing import Final

MINUS: Final = "\N{MINUS SIGN}"
_BYTES: Final = ("B", "kB", "MB", "GB")
_LOOSE: Final = re.compile(r" (?=%|=|[kMG]?B\b|s\b|min\b)|(?<==) ")


def signed(value: float, digits: int) -> str:
    """``+0.0123`` or ``−0.0123``; a value that rounds to zero has no sign."""
    text = f"{abs(value):.{digits}f}"
    if float(text) == 0:
        return text
    return f"{'+' if value > 0 else MINUS}{text}"


def percent(value: float, digits: int = 1) -> str:
    """A relative difference: ``0.031`` as ``+3.1 %``."""
    return f"{signed(100 * value, digits)} %"


def span(low: float, high: float) -> str:
    """The ends of an interval in percent, ``+1.2 to +5.0``; an end just beside zero keeps its sign."""
    return f"{_end(100 * low)} to {_end(100 * high)}"


def _end(value: float) -> str:
    return f"{'+' if value > 0 else MINUS if value < 0 else ''}{abs(value):.1f}"


def percent_interval(mean: float, low: float, high: float) -> str:
    """``+3.1 % (+1.2 to +5.0)``."""
    return f"{percent(mean)} ({span(low, high)})"


def unbroken(text: str) -> str:
    """``text`` whose figures stay together on a line: no-break spaces before units and around ``=``."""
    return _LOOSE.sub("\N{NO-BREAK SPACE}", text)


def plain_tick(value: float, digits: int) -> str:
    """A value at an axis."""
    return f"{value:.{digits}f}"


def percent_tick(value: float, digits: int) -> str:
    """A share at an axis, in percent."""
    return f"{signed(100 * value, max(digits - 2, 0))} %"


def quality(value: float) -> str:
    """A ranking metric: four decimals."""
    return f"{value:.4f}"


def weights(values: Sequence[float]) -> str:
    """λ of each repeat: ``0.2``, or ``0, 0.35, 0.2``; a dash where there is none."""
    return ", ".join(f"{value:g}" for value in values) or "–"


def epsilon(value: float | None) -> str:
    """An ε rounded *up*, so that what is printed never promises more than was accounted."""
    if value is None:
        return "no DP"
    digits = 1 if value >= 10 else 2
    return f"{math.ceil(value * 10**digits - 1e-9) / 10**digits:.{digits}f}".rstrip("0").rstrip(".")


def p_value(value: float) -> str:
    """Three decimals, rounded up: ``0.013``, ``1.000``."""
    return f"{math.ceil(value * 1000 - 1e-9) / 1000:.3f}"


def delta(value: float) -> str:
    """A δ, two digits, rounded up: ``1e-5``, ``2.3e-4``."""
    power = math.floor(math.log10(value))
    mantissa = math.ceil(value / 10.0 ** (power - 1) - 1e-6) / 10
    if mantissa >= 10:
        mantissa, power = 1.0, power + 1
    return f"{mantissa:g}e{power}"


def size(count: float) -> str:
    """Bytes in powers of 1000, three digits."""
    power = 0
    while count >= 999.5 and power < len(_BYTES) - 1:
        count, power = count / 1000, power + 1
    return f"{count:.3g} {_BYTES[power]}"


def coarse(seconds: float) -> float:
    """Two significant digits: exact times could tell how much data a platform trained on."""
    return float(f"{seconds:.2g}")


def duration(seconds: float) -> str:
    """Coarse time: ``0.14 s``, ``41 s``, ``3.5 min``."""
    if seconds < 99.5:
        return f"{coarse(seconds):g} s"
    return f"{coarse(seconds / 60):g} min"


def count(value: int) -> str:
    """``1,893``."""
    return f"{value:,}"


def counted(value: int, noun: str) -> str:
    """``1 round``, ``20 rounds``."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
