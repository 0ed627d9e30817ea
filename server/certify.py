"""The certificate of a finished run: what the coordinator states, and the signed words of the sites on it."""

import logging
from collections.abc import Iterable
from typing import Final

from common.certificate.attestation import Attestation
from common.certificate.certificate import Certificate
from common.certificate.check import attestation_fault
from common.certificate.claims import claims_of, joint_of
from common.certificate.errors import RoundsMissing
from common.certificate.model_file import model_file, model_of
from common.certificate.rounds import expected_rounds, final_round, took_part
from common.certificate.statement import RoundRecord, Statement, chained
from common.charter import Charter, Purpose
from common.errors import HanseError
from common.files import write_atomically
from common.privacy.finding import AuditFinding
from common.privacy.plan import PrivacyPlan
from common.provenance import code_digest, installed
from common.replies import body_of
from common.requests import CertifyRequest
from server.channel import Channel, Meter
from server.checkpoint import Checkpoint, RunFolder
from server.cohort import Cohort
from server.outcome import RoundOutcome

CERTIFICATE: Final = "certificate.json"
MODEL: Final = "model.safetensors"
_LONGEST: Final = 512

log = logging.getLogger(__name__)


def certify(
    channel: Channel, folder: RunFolder, findings: Iterable[AuditFinding] = (), timeout: float = 600.0
) -> Certificate:
    """State what the finished run in ``folder`` gave, have every site within reach sign, and keep both there.

    It may be asked again: a site that was away signs later. Who is missing is told by the log, and by
    :func:`common.certificate.check.faults`.

    Raises:
        RoundsMissing: when the run is not finished, or was begun before rounds were recorded.
        PrivacyRefused: when a plan does not keep its claim.
    """
    signed, checkpoint = folder.signed(), folder.latest()
    charter, model = signed.verified(), checkpoint.released
    statement = statement_of(charter, checkpoint, tuple(findings))
    asked = CertifyRequest(statement=statement.text()).frame(model)

    def fault(attestation: Attestation) -> str:
        return str(attestation_fault(attestation, statement, charter) or "")

    words = Cohort(Meter(channel, timeout)).meet(asked, body_of(Attestation.decode), fault)
    if missing := took_part(statement) - {word.platform for word in words}:
        log.warning("the certificate lacks the word of %s", ", ".join(sorted(missing)))
    certificate = Certificate(
        charter=signed,
        statement=statement,
        attestations=tuple(sorted(words, key=lambda word: word.platform)),
    )
    write_atomically(folder.path / MODEL, model_file(model), mode=0o644)
    certificate.save(folder.path / CERTIFICATE)
    return certificate


def conclude(channel: Channel, folder: RunFolder, timeout: float = 600.0) -> None:
    """:func:`certify` after the last round; a run is not lost for want of a certificate, the log says why."""
    try:
        certify(channel, folder, timeout=timeout)
    except HanseError as error:
        log.warning("no certificate: %s", error)


def statement_of(charter: Charter, checkpoint: Checkpoint, findings: tuple[AuditFinding, ...]) -> Statement:
    """What the coordinator says of the version that ``checkpoint`` ends with; raises as :func:`certify`."""
    rounds, expected = tuple(_records(checkpoint)), expected_rounds(charter)
    if tuple(record.name for record in rounds) != expected:
        why = f"{len(rounds)} of {len(expected)} rounds are on record"
        raise RoundsMissing("only a finished run has a version to certify", where=charter.name, why=why)
    return Statement(
        charter=charter.digest().hex(),
        unit=PrivacyPlan.unit,
        adjacency=PrivacyPlan.adjacency,
        claims=claims_of(charter),
        joint=joint_of(charter),
        rounds=rounds,
        transcript=chained(rounds),
        final=final_round(charter),
        model=model_of(checkpoint.released),
        encoder=charter.model.encoder,
        basis=charter.model.basis,
        layout=charter.model.layout,
        code=code_digest(),
        versions=installed(),
        findings=findings,
    )


def _records(checkpoint: Checkpoint) -> Iterable[RoundRecord]:
    if checkpoint.warmed is not None:
        yield from _record("statistics", checkpoint.warmed)
    for outcome in checkpoint.outcomes:
        yield from _record("train", outcome)
    if checkpoint.measured is not None:
        yield from _record("metrics", checkpoint.measured)


def _record(purpose: Purpose, outcome: RoundOutcome) -> Iterable[RoundRecord]:
    if outcome.sums:
        yield RoundRecord(
            purpose=purpose,
            number=outcome.number,
            attempt=outcome.attempt,
            model=outcome.model,
            sums=outcome.sums,
            dropped=outcome.dropped,
            refused=outcome.refused[:_LONGEST],
        )
