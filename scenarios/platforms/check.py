"""``hanse scenario check``: does a scenario hold on its real data?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from common.data.interactions import Interactions
from common.data.redact import scan
from common.data.split import Cut, Split
from scenarios.platforms.readers import ItemReading, read_events, read_items
from scenarios.platforms.sources import tables_of
from scenarios.platforms.spec import ScenarioSpec


@dataclass(frozen=True, slots=True)
class CutSizes:
    """Users that have something to predict, and how much, of what is new to them and of what is not."""

    users_new: int
    events_new: int
    users_repeat: int
    events_repeat: int


@dataclass(frozen=True, slots=True)
class Conformance:
    """What was kept, what was dropped and why, and what speaks against training on it.

    ``merged``: items that share their text with another; ``redacted`` and ``personal_data_left`` count by
    kind, the latter from a second look at the texts that were kept. ``notes`` are worth knowing, ``problems``
    forbid training.
    """

    scenario: str
    users: int
    users_with_one_event: int
    items: int
    items_never_chosen: int
    items_without_text: int
    items_merged: int
    events: int
    days: float
    dropped: Mapping[str, int]
    redacted: Mapping[str, int]
    personal_data_left: Mapping[str, int]
    train_events: int
    validation: CutSizes
    test: CutSizes
    notes: tuple[str, ...]
    problems: tuple[str, ...]


def check(spec: ScenarioSpec) -> Conformance:
    """Read, clean and split everything, and look at the result with suspicion.

    Raises:
        DataError: where there is nothing to look at.
    """
    tables = tables_of(spec.source)
    items = read_items(spec, tables)
    interactions = read_events(spec, tables, items.index)
    split = spec.split.apply(interactions.sequences())
    left = scan(items.catalog.texts)
    return Conformance(
        scenario=spec.name,
        users=len(interactions.user_keys),
        users_with_one_event=_users_with_one_event(interactions),
        items=len(items.catalog),
        items_never_chosen=len(items.catalog) - len(np.unique(interactions.items)),
        items_without_text=items.without_text,
        items_merged=len(items.index) - len(items.catalog),
        events=len(interactions),
        days=round(float(np.ptp(interactions.times)) / 86_400, 1),
        dropped=interactions.dropped,
        redacted=items.redacted,
        personal_data_left=dict(left),
        train_events=split.train.events,
        validation=_sizes(split.validation),
        test=_sizes(split.test),
        notes=tuple(_notes(spec, items, interactions)),
        problems=tuple(_problems(split, left)),
    )


def _users_with_one_event(interactions: Interactions) -> int:
    return int((interactions.sequences().lengths == 1).sum())


def _sizes(cut: Cut) -> CutSizes:
    users_new, users_repeat = (int((part.lengths > 0).sum()) for part in (cut.new, cut.repeat))
    return CutSizes(users_new, cut.new.events, users_repeat, cut.repeat.events)


def _notes(spec: ScenarioSpec, items: ItemReading, interactions: Interactions) -> Iterator[str]:
    users, dropped = len(interactions.user_keys), sum(interactions.dropped.values())
    if not spec.public_catalogue:
        yield (
            "the catalogue is read from the events, which are private rows: right for a rehearsal alone; to train "
            "with differential privacy, give a public file of items in source.items"
        )
    if users < spec.training.bucket:
        yield f"training.bucket is {spec.training.bucket}, but there are {users} users: it is to be a lower bound"
    if single := _users_with_one_event(interactions):
        yield f"{single} users have one event: they are kept, but a sequence of one teaches nothing"
    if dropped > len(interactions):
        yield f"more rows are dropped ({dropped}) than kept ({len(interactions)})"
    if items.without_text:
        yield f"{items.without_text} of {items.rows} items have no text: events with them are dropped"


def _problems(split: Split, left: Mapping[str, int]) -> Iterator[str]:
    for kind, count in left.items():
        yield f"{count} × {kind} left in item texts after redaction"
    if not (split.train.lengths > 1).any():
        yield "no user has two events to learn from"
    for name, cut in (("validation", split.validation), ("test", split.test)):
        if cut.new.events == 0:
            yield f"nobody has a new item in the {name} period"
