"""A site's word on a finished version: it holds the statement against all it knows itself, then signs.

What it cannot know it does not vouch for: the rounds it was not in, and whether the last step was made right.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

from clients.logbook import Logbook, Seen
from clients.round import Member
from common.certificate.attestation import Attestation, Charged
from common.certificate.check import statement_faults
from common.certificate.claims import require_charges
from common.certificate.errors import RoundContradicted
from common.certificate.model_file import require_values
from common.certificate.statement import RoundRecord, Statement
from common.charter import Charter
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
        finished=tuple(_finished(charter, statement.rounds, logbook.all())),
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


def _finished(charter: Charter, rounds: Iterable[RoundRecord], seen: Iterable[Seen]) -> Iterator[str]:
    """The rounds that the site remembers just as they are told."""
    last = {(one.purpose, one.number): one for one in seen}
    for record in rounds:
        own = last.get((record.purpose, record.number))
        if own is None or _came_to_nothing(charter, own, record):
            continue
        if (own.attempt, own.model) != (record.attempt, record.model) or own.sum not in record.sums:
            raise RoundContradicted(f"{record.name} is not as this site remembers it")
        yield record.name


def _came_to_nothing(charter: Charter, own: Seen, record: RoundRecord) -> bool:
    """Whether the shares that this site released can have given no sum.

    Those of an earlier attempt than the one told gave none. Those of a later one must have: the coordinator makes
    no further attempt at a round that it finished. In the very attempt that is told, a group can lose its last
    answers while others finish; then nobody of that group is in a cohort of a sum.
    """
    if own.attempt != record.attempt:
        return own.attempt < record.attempt
    summed = {name for one in record.sums for name in one.cohort}
    return charter.groups is not None and own.model == record.model and summed.isdisjoint(own.sum.cohort)


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
