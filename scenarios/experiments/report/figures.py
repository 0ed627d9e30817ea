"""Finding the row to quote: one question, one row, the mean over repeats where there are several."""

from collections.abc import Iterable

from scenarios.experiments.report.names import HEADLINE_METRIC, HEADLINE_SLICE, SYSTEMS, ordered
from scenarios.experiments.report.rows import Row

Key = tuple[str, str, float | None, str | None, str, str]


class Figures:
    """An index of rows by platform, system, ε, reference, slice and metric."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows: dict[Key, Row] = {}
        self._cells: dict[str, dict[tuple[str, float | None], None]] = {}
        for row in rows:
            self._cells.setdefault(row.platform, {})[row.system, row.epsilon] = None
            key = (row.platform, row.system, row.epsilon, row.difference_to, row.slice, row.metric)
            if row.seed is None or key not in self._rows:
                self._rows[key] = row

    def row(
        self,
        platform: str,
        system: str,
        epsilon: float | None = None,
        *,
        against: str | None = None,
        slice: str = HEADLINE_SLICE,  # noqa: A002 - the schema's own word
        metric: str = HEADLINE_METRIC,
    ) -> Row | None:
        """The one row that answers, or ``None`` where this was not measured."""
        return self._rows.get((platform, system, epsilon, against, slice, metric))

    def systems(self, platform: str) -> list[tuple[str, float | None]]:
        """Systems of a platform with their ε, in the report's order: without ε first, then by falling ε."""
        cells = self._cells.get(platform, {})
        place = {name: index for index, name in enumerate(ordered((name for name, _ in cells), SYSTEMS))}
        return sorted(cells, key=lambda cell: (place[cell[0]], -(cell[1] or float("inf"))))
