"""Draws the picture of the README: ``python docs/images/result.py RUN/report.json > docs/images/result.svg``."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

SYSTEMS: Final = {
    ("popularity", None): ("popularity", "plain"),
    ("ease", None): ("own rows (EASE)", "plain"),
    ("zero-exchange", None): ("zero-exchange", "strong"),
    ("federated-ungated", 8.0): ("federated, ε ≤ 8", "federated"),
    ("pooled", None): ("pooled, no privacy", "plain"),
}
MOST: Final = 0.12  # the right end of every axis
LABELS, SCALE, ROW, PANEL, TOP = 140, 255, 21, (430, 172), 52

STYLE: Final = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.small { font-size: 11px; fill: #57606a }
.tick { text-anchor: middle }
.title { font-size: 15px; font-weight: 600 }
line { stroke: #d0d7de }
.plain { stroke: #6e7781; fill: #6e7781 } .strong { stroke: #1a7f37; fill: #1a7f37 }
.federated { stroke: #0969da; fill: #0969da }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .small { fill: #9198a1 } line { stroke: #3d444d }
.plain { stroke: #9198a1; fill: #9198a1 } .strong { stroke: #3fb950; fill: #3fb950 }
.federated { stroke: #4493f8; fill: #4493f8 }
}
line.mark { stroke: inherit; stroke-width: 2 }
"""

Row = Mapping[str, Any]


def draw(report: Mapping[str, Any]) -> str:
    """The picture as SVG: per platform, NDCG@10 of five systems with 95 % intervals."""
    names = [platform["name"] for platform in report["setting"]["platforms"]]
    width, height = 2 * PANEL[0], TOP + 2 * PANEL[1]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        "<title>NDCG@10 of five systems on four platforms: they differ by less than their intervals</title>",
        f"<style>{STYLE}</style>",
        '<text class="title" x="8" y="20">NDCG@10 for items new to the user, full catalogue</text>',
        f'<text class="small" x="8" y="38">{caption(report)}</text>',
    ]
    for place, name in enumerate(names):
        left, top = PANEL[0] * (place % 2), TOP + PANEL[1] * (place // 2)
        parts += [f'<g transform="translate({left} {top})">', *panel(name, report["rows"]), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def caption(report: Mapping[str, Any]) -> str:
    """What every figure rests on."""
    joint = next(
        entry for entry in report["privacy"] if (entry["platform"], entry["target"]) == ("joint", 8.0)
    )
    return (
        f"95 % intervals over users, one repeat, seed 1. ε ≤ 8 at δ = {joint['delta']:g} for one account; "
        f"joint ε = {joint['epsilon_prv']:.1f} for a person on all three shops"
    )


def panel(platform: str, rows: list[Row]) -> Iterator[str]:
    """One platform's systems below each other."""
    shown = [next(row for row in rows if _is(row, platform, system, epsilon)) for system, epsilon in SYSTEMS]
    yield f'<text class="title" x="8" y="20">{platform}</text>'
    yield f'<text class="small" x="{LABELS}" y="20">{shown[0]["users"]:,} users</text>'
    for tick in (0.0, 0.04, 0.08, 0.12):
        yield f'<line x1="{at(tick)}" x2="{at(tick)}" y1="28" y2="{36 + ROW * len(shown)}"/>'
        yield f'<text class="small tick" x="{at(tick)}" y="{50 + ROW * len(shown)}">{tick:g}</text>'
    for place, row in enumerate(shown):
        label, tone = SYSTEMS[row["system"], row["epsilon"]]
        y, ends = 42 + ROW * place, f'x1="{at(row["low"])}" x2="{at(row["high"])}"'
        yield f'<text x="8" y="{y + 4}">{label}</text>'
        yield f'<g class="{tone}"><line class="mark" {ends} y1="{y}" y2="{y}"/>'
        yield f'<circle cx="{at(row["mean"])}" cy="{y}" r="4"/></g>'


def at(value: float) -> float:
    """The pixel of a value."""
    return round(LABELS + SCALE * value / MOST, 1)


def _is(row: Row, platform: str, system: str, epsilon: float | None) -> bool:
    wanted = (platform, system, epsilon, "new", "ndcg@10", None)
    fields = ("platform", "system", "epsilon", "slice", "metric", "difference_to")
    return tuple(row[field] for field in fields) == wanted


if __name__ == "__main__":
    sys.stdout.write(draw(json.loads(Path(sys.argv[1]).read_text("utf-8"))))
