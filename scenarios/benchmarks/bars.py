"""The bars that the measured figures are held against, and the table of both."""

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Bar:
    """What a figure must reach. ``path``: its key in the results, and the key below, if any."""

    what: str
    path: tuple[str, ...]
    bar: float
    most: bool = False
    unit: str = ""

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
        digits = 4 if self.path[0] == "upload_ratio_fp32" else 2
        told = f"{self.of(measured):.{digits}f}{self.unit}"
        sign = "≤" if self.most else "≥"
        return self.what, told, f"{sign} {self.bar:g}{self.unit}", "yes" if self.holds(measured) else "NO"


BARS: Final = (
    Bar("masks against AES-256-CTR in cache, one thread", ("prg_fraction_of_aes",), 0.5),
    Bar("client, 10 platforms, 1 M, against Flower", ("client_speedup_vs_flower", "10x1M"), 6, unit=" ×"),
    Bar("client, 10 platforms, 10 M, against Flower", ("client_speedup_vs_flower", "10x10M"), 8, unit=" ×"),
    Bar(
        "unmasking, 10, 1 dropped, 1 M, against Flower",
        ("server_speedup_vs_flower", "10x1M_drop10"),
        15,
        unit=" ×",
    ),
    Bar(
        "unmasking, 50, 5 dropped, 1 M, against Flower",
        ("server_speedup_vs_flower", "50x1M_drop10"),
        40,
        unit=" ×",
    ),
    Bar(
        "upload against float32, lanes of 32 bits", ("upload_ratio_fp32", "u32"), 1.001, most=True, unit=" ×"
    ),
    Bar("upload against float32, lanes of 16 bits", ("upload_ratio_fp32", "u16"), 0.51, most=True, unit=" ×"),
    Bar("Shamir, 100 platforms, split", ("shamir_split_ms",), 5, most=True, unit=" ms"),
    Bar("Shamir, 100 platforms, combine", ("shamir_combine_ms",), 5, most=True, unit=" ms"),
    Bar("peak memory against the float32 vector", ("peak_memory_ratio",), 3, most=True, unit=" ×"),
)


def as_text(measured: dict[str, Any]) -> str:
    """A table of what was measured, its bar, and whether it holds; then the machine."""
    rows = [("", "measured", "bar", "holds"), *(bar.row(measured) for bar in BARS)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    table = [
        f"{what:<{widths[0]}}  {told:>{widths[1]}}  {bar:>{widths[2]}}  {holds}".rstrip()
        for what, told, bar, holds in rows
    ]
    machine = measured["machine"]
    about = (
        f"{machine['processor']}, {machine['cores']} cores, load {machine['load']:.1f}; AES"
        f" {measured['aes_gb_per_s']:.1f} GB/s, memcpy {measured['memcpy_gb_per_s']:.1f} GB/s;"
        f" medians, {measured['seconds']:.0f} s"
    )
    part = "With 50 platforms Flower's unmasking is measured on a part of its secrets and masks, and scaled."
    return "\n".join([*table, "", about, part])
