"""Whether a statement's rounds are those of its charter, and who vouches for them."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from common.certificate.errors import BrokenChain, RoundsMissing, RoundUnvouched
from common.certificate.statement import RoundRecord, Statement, chained
from common.charter import Charter, Purpose

_IN_ORDER: Final[tuple[Purpose, ...]] = ("statistics", "train", "metrics")


def expected_rounds(charter: Charter) -> tuple[str, ...]:
    """The names of a charter's rounds in the order they are held: statistics, training, metrics."""
    return tuple(
        f"{purpose}/{number + 1}" for purpose in _IN_ORDER for number in range(charter.rounds_of(purpose))
    )


def final_round(charter: Charter) -> str:
    """The round whose result is the version: the last of training, by rule."""
    return f"train/{charter.rounds}"


def require_rounds(charter: Charter, statement: Statement) -> None:
    """Let the rounds stand that are all of the charter's, once each, of its platforms, and chained.

    Raises:
        RoundsMissing, BrokenChain: what does not hold.
    """
    names, expected = tuple(record.name for record in statement.rounds), expected_rounds(charter)
    if names != expected:
        lacking = sorted(set(expected) - set(names)) or ["none, but they are out of order or too many"]
        raise RoundsMissing(f"missing: {', '.join(lacking)}", where=charter.name)
    if statement.final != final_round(charter):
        raise RoundsMissing("the version is not the one after the last round", where=charter.name)
    for record in statement.rounds:
        if fault := _fault(charter, record) or _other_model(statement, record):
            raise RoundsMissing(f"{record.name}: {fault}", where=charter.name)
    if statement.transcript != chained(statement.rounds):
        raise BrokenChain("the transcript hash is not that of the rounds", where=charter.name)


def took_part(statement: Statement) -> frozenset[str]:
    """Everyone whose vector is in a sum of the version."""
    return frozenset(name for record in statement.rounds for one in record.sums for name in one.survivors)


def require_vouched(charter: Charter, statement: Statement, finished: Mapping[str, Collection[str]]) -> None:
    """Let rounds stand that enough sites remember; ``finished``: by platform the rounds that it does.

    As many must as had to release shares for the sum: each wrote the round down before it released.

    Raises:
        RoundUnvouched: naming the round and who does not remember it.
    """
    for record in statement.rounds:
        for one in record.sums:
            vouching = {name for name in one.survivors if record.name in finished.get(name, ())}
            needed = charter.terms(record.purpose).threshold(len(one.cohort))
            if len(vouching) < needed:
                silent = ", ".join(sorted(set(one.survivors) - vouching))
                why = f"{len(vouching)} sites vouch for it, {needed} needed; not: {silent}"
                raise RoundUnvouched(f"{record.name} is not vouched for", where=charter.name, why=why)


def _fault(charter: Charter, record: RoundRecord) -> str:
    roster, n_min = {member.platform for member in charter.members}, charter.terms().n_min
    asked = [name for one in record.sums for name in one.cohort]
    if not record.sums or len(set(asked)) < len(asked) or not roster.issuperset(asked):
        return "not cohorts of the roster"
    if len(record.sums) > 1 and charter.groups is None:
        return f"{len(record.sums)} sums, and the charter has no groups"
    if not roster.issuperset(record.dropped):
        return "a drop-out that is not on the roster"
    for one in record.sums:
        if not set(one.cohort).issuperset(one.survivors) or _twice(one.survivors):
            return "survivors outside the cohort"
        if len(one.survivors) < max(n_min, charter.terms(record.purpose).threshold(len(one.cohort))):
            return f"a sum of {len(one.survivors)} platforms"
    return ""


def _other_model(statement: Statement, record: RoundRecord) -> str:
    """Metrics are those of the version itself: the round shows every site in it what is released."""
    wrong = record.purpose == "metrics" and record.model != statement.model.values
    return "the metrics are of another model" if wrong else ""


def _twice(names: Iterable[str]) -> bool:
    listed = list(names)
    return len(set(listed)) < len(listed)
