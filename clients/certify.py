"""A site's word on a finished version: it holds the statement against all it knows itself, then signs.

What it cannot know it does not vouch for: the rounds it was not in, and whether the last step was made right.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

from clients.logbook import Logbook, Seen
from clients.round import Member
from common.certificate.check import statement_faults
from common.certificate.claims import require_charges
from common.certificate.errors import RoundContradicted
from common.certificate.model_file import require_values
from common.certificate.parts import Attestation, Charged, RoundRecord, Statement
from common.deltas import Floats
from common.privacy.ledger_rows import columns_of
from common.provenance import code_digest, installed

_UNSIGNED = "0" * 128


def attest(member: Member, logbook: Logbook, statement: Statement, model: Floats) -> Attestation:
    """The site's signed word that ``statement`` is true of ``model``, as far as it can know.

    Guarantee: the claims follow from the pinned charter; the rounds, and the models they opened with, are those
        that this site remembers; its ledger holds no more for this run than its claim; and it signs for one
        version of a run only.
    Refuses: everything else, by the reasons of :mod:`common.certificate.errors`.
    """
    charter, name = member.charter, member.platform
    for fault in statement_faults(statement, charter):
        raise fault
    require_values(statement.model, model, where=name)
    unsigned = Attestation(
        platform=name,
        statement=statement.digest(),
        finished=tuple(_finished(statement.rounds, logbook.all())),
        charges=tuple(_charges(member)),
        code=code_digest(),
        versions=installed(),
        signature=_UNSIGNED,
    )
    for claim in statement.claims:
        if claim.platform == name:
            require_charges(claim, unsigned)
    version = statement.transcript + statement.model.text().decode()
    logbook.promise(hashlib.sha256(version.encode()).hexdigest())
    return unsigned.signed(member.identity)


def _finished(rounds: Iterable[RoundRecord], seen: Iterable[Seen]) -> Iterator[str]:
    """The rounds that the site remembers just as they are told.

    An earlier attempt than the one told came to nothing. A later one cannot have come to nothing: the coordinator
    makes no further attempt at a round that it finished.
    """
    last = {(one.purpose, one.number): one for one in seen}
    for record in rounds:
        own = last.get((record.purpose, record.number))
        if own is None or own.attempt < record.attempt:
            continue
        if (own.attempt, own.model) != (record.attempt, record.model) or own.sum not in record.sums:
            raise RoundContradicted(f"{record.name} is not as this site remembers it")
        yield record.name


def _charges(member: Member) -> Iterator[Charged]:
    if member.ledger is None:
        return
    run = member.charter.digest().hex()
    rows = [one.charge for one in member.ledger.entries() if one.charge.run == run]
    for (release, mechanism), times in Counter((row.release, row.mechanism) for row in rows).items():
        noise, rate, steps, *terms = columns_of(mechanism)
        yield Charged(
            release=release,
            noise_multiplier=noise,
            sample_rate=rate,
            steps=steps,
            times=times,
            terms=terms[0] if terms else None,
        )
