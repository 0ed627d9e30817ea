"""ScenarioSpec: a platform's public declaration, one TOML file."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    model_validator,
)

from common.data.sequences import Sequences
from common.data.split import Split, global_time, leave_last_out
from common.model.training import LocalTraining

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Text = Annotated[str, Field(min_length=1)]

UNKNOWN: Final = "?"
"""What ``hanse scenario new`` writes where it can guess nothing."""


def _filled_in(value: str) -> str:
    if value == UNKNOWN:
        raise ValueError(f'is still "{UNKNOWN}": name a column')
    return value


def _all_filled_in(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_filled_in, values))


Column = Annotated[Text, AfterValidator(_filled_in)]


def _no_number(value: Any) -> Any:
    if isinstance(value, int | float):
        raise ValueError("should be a date or a time, such as 2024-01-01, not a number")
    return value


def _in_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Moment = Annotated[datetime, BeforeValidator(_no_number), AfterValidator(_in_utc)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Table):
    """Where rows come from: files beside the TOML, or a package read through its ``converter``.

    ``items`` may be left out, for a rehearsal, where the events file holds the items' texts too.
    ``departments`` selects a part of ``completejourney``.
    """

    events: Path | None = None
    items: Path | None = None
    converter: Literal["completejourney", "movielens"] | None = None
    departments: tuple[Text, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of its own that it names; none where a converter reads a package."""
        return tuple(path for path in (self.events, self.items) if path)

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.events is None) == (self.converter is None):
            raise ValueError("give either events (a file) or converter")
        if self.departments and self.converter != "completejourney":
            raise ValueError("departments belong to the converter completejourney")
        return self


class Columns(_Table):
    """Names of the events' columns. Numbers in ``time`` count ``time_unit``; text is ISO 8601, UTC unless it
    says."""

    user: Column
    item: Column
    time: Column
    value: Column | None = None
    time_unit: Literal["s", "ms", "us", "ns"] = "s"


class Items(_Table):
    """The items' key column (default: the events' item column) and the columns whose texts describe an
    item."""

    key: Column | None = None
    text: Annotated[tuple[Text, ...], Field(min_length=1), AfterValidator(_all_filled_in)]


class SplitRule(_Table):
    """How events are divided: see ``common.data.split``.

    ``end`` and the days belong to ``global-time``: the days count back from ``end``, a public moment (UTC unless
    it says), and events at or after it are left out.
    """

    by: Literal["global-time", "leave-last-out"] = "global-time"
    end: Moment | None = None
    validation_days: PositiveFloat = 42
    test_days: PositiveFloat = 42

    def apply(self, sequences: Sequences) -> Split:
        """The split of ``sequences`` by this rule."""
        if self.end_seconds is None:
            return leave_last_out(sequences)
        return global_time(
            sequences,
            end=self.end_seconds,
            validation_days=self.validation_days,
            test_days=self.test_days,
        )

    @property
    def end_seconds(self) -> int | None:
        """``end`` in seconds since 1970; ``None`` where the split has no common end."""
        return None if self.end is None else int(self.end.timestamp())

    @model_validator(mode="after")
    def _end_where_it_counts(self) -> Self:
        if self.by == "global-time" and self.end is None:
            raise ValueError("global-time counts back from a public moment: give end, such as 2024-01-01")
        if self.by == "leave-last-out" and self.model_fields_set & {"end", "validation_days", "test_days"}:
            raise ValueError("end, validation_days and test_days belong to global-time")
        return self


class Relations(_Table):
    """Other platforms that know some of the same people: a person's ε composes over all of them."""

    shares_people_with: tuple[Name, ...] = ()


class ScenarioSpec(_Table):
    """One platform: what it is, where its rows come from, how they are split and trained on.

    All of it is public. ``training.bucket``, a lower bound on the number of users, is what others may know of it.
    """

    name: Name
    title: Text
    description: Text
    licence: Text
    source: Source
    columns: Columns
    items: Items
    split: SplitRule
    training: LocalTraining = LocalTraining()
    relations: Relations = Relations()

    @property
    def public_catalogue(self) -> bool:
        """Whether items come from a file of their own or a public data set, not from the users' rows.

        A catalogue read from the events changes with each user: it moves the features and the negatives of all
        others, and no noise hides that.
        """
        return self.source.converter is not None or self.source.items not in (None, self.source.events)

    @model_validator(mode="after")
    def _ratings_need_values(self) -> Self:
        if self.training.loss == "mse" and self.columns.value is None:
            raise ValueError("the loss mse learns ratings: name their column in columns.value")
        return self
