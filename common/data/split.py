"""Split: what may be learned from, chosen on and judged by, without leakage."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from common.data.sequences import Mask, Sequences, pair_codes
from common.errors import DataError

DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class Cut:
    """One moment per user: what was known before it, and what turned out relevant after it.

    ``known``: every earlier event. ``new``: items first met after it; ``repeat``: items met before and again
    after it. Both name an item once per user, at its first event after the moment. All three have the same
    users.
    """

    known: Sequences
    new: Sequences
    repeat: Sequences


@dataclass(frozen=True, slots=True)
class Split:
    """``train`` is ``validation.known``; models are chosen on ``validation`` and judged once, on ``test``."""

    train: Sequences
    validation: Cut
    test: Cut


def global_time(sequences: Sequences, *, end: int, validation_days: float, test_days: float) -> Split:
    """The ``test_days`` before ``end`` are the test, the ``validation_days`` before them validation.

    The same two moments for everyone: no model sees anything that happened after the moment it is asked
    about. ``end``, in seconds since 1970, is public: were it read from the events, one user's last event would
    move everybody's rows, and the sensitivity of training would no longer be one user's. Events at or after
    it are left out.

    Raises:
        DataError: where nothing is left to learn from.
    """
    sequences = sequences.keep(sequences.times < end)
    test = end - round(test_days * DAY)
    validation = test - round(validation_days * DAY)
    before, between = sequences.times < validation, (sequences.times >= validation) & (sequences.times < test)
    if not before.any():
        raise DataError(
            "no event is older than the validation period",
            why=f"it begins {(end - validation) / DAY:g} days before split.end",
            hint="see split.end; shorten split.validation_days and split.test_days",
        )
    return _split(sequences, before, between)


def leave_last_out(sequences: Sequences) -> Split:
    """Each user's last event is the test, the one before it validation.

    Each user's own events decide, nobody else's. Comparable with the literature; but what others did later is
    known when an early user is asked about. A
    user needs two events to be tested and three to be validated on; the first event is always known.
    """
    remaining = np.repeat(sequences.lengths, sequences.lengths) - sequences.positions  # 1 at the last event
    tested = (remaining == 1) & (sequences.positions > 0)
    validated = (remaining == 2) & (sequences.positions > 0)
    return _split(sequences, ~tested & ~validated, validated)


def _split(sequences: Sequences, train: Mask, validated: Mask) -> Split:
    validation = _cut(sequences, train, validated)
    test = _cut(sequences, train | validated, ~train & ~validated)
    return Split(validation.known, validation, test)


def _cut(sequences: Sequences, before: Mask, after: Mask) -> Cut:
    known, later = sequences.keep(before), sequences.keep(after).first_occurrences()
    again = np.isin(pair_codes(later.owners, later.items), pair_codes(known.owners, known.items))
    return Cut(known, new=later.keep(~again), repeat=later.keep(again))
