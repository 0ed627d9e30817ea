"""The study's report: a page, its picture alone, and the same figures for programs and for a letter."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from common.files import write_atomically
from common.privacy.plan import PrivacyPlan
from scenarios.experiments.report import wording
from scenarios.experiments.report.curves import Curves, Series, curves
from scenarios.experiments.report.page import environment
from scenarios.experiments.report.svg import Interval
from scenarios.experiments.utility.figures import Estimate, Reference, Row
from scenarios.experiments.utility.study import Study, System

_TITLES: Final[dict[System, str]] = {"clipped": "clipped, σ = 0", "open": "not clipped"}
_HEAD: Final = ("users", "system", "NDCG@10", "95 %", "gain kept", "95 %", "σ", "ε (PRV)", "δ", "repeats")


@dataclass(frozen=True, slots=True)
class UtilityReport:
    """What the study found, in a fixed order of crowds and systems."""

    study: Study
    oracle: Reference
    zero_shot: Reference
    rows: tuple[Row, ...]

    @property
    def answer(self) -> str:
        """One sentence on the strictest ε."""
        strictest = min(self.study.epsilons)
        parts = [
            f"{row.kept.mean:.0%} with {wording.count(row.users)} users".replace("%", " %")
            for row in self.rows
            if row.epsilon == strictest
        ]
        return f"At ε = {strictest:g} a model keeps {wording.listed(parts)} of what it gains without noise."

    @property
    def story(self) -> str:
        """What the levels mean."""
        return (
            f"The best possible ranking reaches an NDCG@10 of {wording.quality(self.oracle.quality.mean)}, public "
            f"features alone {wording.quality(self.zero_shot.quality.mean)}. What lies between can only be "
            "learned from users' records."
        )

    @property
    def chart(self) -> Curves:
        """Quality against ε, a line for each crowd."""
        levels = [
            Interval(one.name, *_ends(one.quality), tone=tone)
            for one, tone in ((self.oracle, "pooled"), (self.zero_shot, "alone"))
        ]
        return curves([self._series(crowd.users) for crowd in self.study.crowds], levels)

    def _series(self, users: int) -> Series:
        own = [row for row in self.rows if row.users == users]
        drawn = [
            Interval(title(row), *_ends(row.quality), text=wording.quality(row.quality.mean)) for row in own
        ]
        private = [(row.epsilon, one) for row, one in zip(own, drawn, strict=True) if row.epsilon is not None]
        columns = [one for row, one in zip(own, drawn, strict=True) if row.epsilon is None]
        return Series(f"{wording.count(users)} users", tuple(private), tuple(columns))

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before quoting a figure."""
        below = [
            row.users
            for row in self.rows
            if row.system == "open" and row.kept.high < 1 and len(row.repeats) > 1
        ]
        tuned = [f"With {users:,} users clipping alone helps: not clipped is under-tuned." for users in below]
        singles = [crowd.users for crowd in self.study.crowds if crowd.repeats == 1]
        alone = [f"With {users:,} users there is one repeat, and no interval." for users in singles]
        return (
            f"ε is for {PrivacyPlan.unit}, {PrivacyPlan.adjacency}, of one platform that trains "
            "alone and releases its model once. The users come from a generator: nobody's privacy was spent.",
            "Intervals are Student's t over repeats. Each repeat has users, draws and noise of its own; the "
            "world and the test users are the same. The references' are bootstraps over test users.",
            "Gain kept is (system − zero-shot) / (clipped with σ = 0 − zero-shot), repeat by repeat.",
            "The optimiser, its rate and the clip are those of the references, one for every ε and every crowd; "
            "none was chosen in this world.",
            "A crowd's δ is at most users^−1.1, so lines of different δ compare only roughly.",
            "One world, made to be learned by this model: how fast utility grows with users, not what a shop "
            "of that size would reach.",
            *tuned,
            *alone,
        )

    @property
    def lines(self) -> list[tuple[str, ...]]:
        """The table's cells."""
        return [
            *(_untrained_line(one) for one in (self.oracle, self.zero_shot)),
            *(_line(row) for row in self.rows),
        ]

    @property
    def settings(self) -> list[tuple[str, str]]:
        """Every number that another run needs."""
        study = self.study
        terms = study.terms(study.crowds[0])
        crowds = [
            (
                f"{crowd.users:,} users",
                f"q = {crowd.expected_batch}/{crowd.users:,}, {crowd.epochs} epochs = {crowd.steps} steps, "
                f"δ = {wording.delta(crowd.delta)}, {wording.counted(crowd.repeats, 'repeat')}",
            )
            for crowd in study.crowds
        ]
        return [
            *crowds,
            (
                "world",
                f"seed {study.seed}: {study.items} items, {study.topics} topics, {study.styles} styles",
            ),
            ("histories", f"{study.events} items"),
            ("model", f"{study.size}, {study.topics + study.styles} public features"),
            ("training", f"{terms.optimizer}, rate {terms.learning_rate:g}, clip {study.clip:g}"),
            ("negatives", f"{study.negatives}, drawn uniformly from the catalogue"),
        ]


def title(row: Row) -> str:
    """``ε = 8``, ``clipped, σ = 0`` or ``not clipped``."""
    return _TITLES[row.system] if row.epsilon is None else f"ε = {row.epsilon:g}"


def write_report(report: UtilityReport, folder: Path) -> Path:
    """Write ``report.json``, ``report.md``, ``utility.svg`` and ``report.html``; return the page's path."""
    filled = {
        "study": report.study,
        "answer": report.answer,
        "story": report.story,
        "chart": report.chart,
        "head": _HEAD,
        "lines": report.lines,
        "notes": report.notes,
        "settings": report.settings,
    }
    page = folder / "report.html"
    templates = environment()
    for path, content in (
        (folder / "report.json", json.dumps(_document(report), indent=1, ensure_ascii=False) + "\n"),
        (folder / "report.md", _markdown(report)),
        (folder / "utility.svg", templates.get_template("utility.svg.j2").render(filled)),
        (page, templates.get_template("utility.html.j2").render(filled)),
    ):
        write_atomically(path, content.encode(), mode=0o644)
    return page


def _document(report: UtilityReport) -> dict[str, Any]:
    return {
        "answer": report.answer,
        "references": [asdict(one) for one in (report.oracle, report.zero_shot)],
        "rows": [asdict(row) for row in report.rows],
        "study": report.study.model_dump(),
        "notes": list(report.notes),
    }


def _markdown(report: UtilityReport) -> str:
    table = _table(_HEAD, report.lines)
    notes = "\n".join(f"- {note}" for note in report.notes)
    settings = "\n".join(f"- {name}: {value}" for name, value in report.settings)
    return "\n\n".join(
        (
            "# Utility against ε",
            f"**{report.answer}**",
            report.story,
            table,
            "## Before you quote it",
            notes,
            "## How it was run",
            settings,
            "",
        )
    )


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))


def _line(row: Row) -> tuple[str, ...]:
    privacy = (
        f"{row.noise:.2f}",
        wording.epsilon(row.spent) if row.spent is not None else "∞",
        wording.delta(row.delta) if row.delta is not None else "",
    )
    repeats = len(row.repeats)
    return (
        wording.count(row.users),
        title(row),
        wording.quality(row.quality.mean),
        _span(wording.quality(row.quality.low), wording.quality(row.quality.high), repeats),
        f"{100 * row.kept.mean:.1f} %",
        _span(f"{100 * row.kept.low:.1f}", f"{100 * row.kept.high:.1f}", repeats),
        *privacy,
        str(repeats),
    )


def _untrained_line(one: Reference) -> tuple[str, ...]:
    span = _span(wording.quality(one.quality.low), wording.quality(one.quality.high))
    return ("none", one.name, wording.quality(one.quality.mean), span, *[""] * 6)


def _span(low: str, high: str, repeats: int = 2) -> str:
    return f"{low}–{high}" if repeats > 1 else "one repeat"


def _ends(one: Estimate) -> tuple[float, float, float]:
    return one.mean, one.low, one.high
