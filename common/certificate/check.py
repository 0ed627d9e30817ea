"""Whether a certificate holds, offline: from its own bytes, and from the charter and the model at hand.

The keys are those of the charter inside. That these are the platforms' keys, only a reader knows who has the
charter, or its digest, from elsewhere.
"""

from collections.abc import Callable, Iterable, Iterator

from common.certificate.attestation import Attestation
from common.certificate.certificate import Certificate
from common.certificate.claims import require_charges, require_claims, require_finding
from common.certificate.errors import OtherCharter, SignatureMissing, SignatureWrong
from common.certificate.model_file import require_file
from common.certificate.rounds import expected_rounds, require_rounds, require_vouched, took_part
from common.certificate.statement import Claim, Statement
from common.charter import Charter, CharterInvalid
from common.errors import HanseError
from common.privacy.finding import AuditFinding
from common.privacy.plan import PrivacyPlan


def faults(
    certificate: Certificate, *, charter: bytes | None = None, model: bytes | None = None
) -> tuple[HanseError, ...]:
    """All that does not hold, each by its own kind of error; nothing if the certificate holds.

    ``charter``: the digest of the charter that is known to be the platforms'. ``model``: a model's file. With a
    charter whose signatures do not hold, nothing further can be told.
    """
    try:
        agreed = certificate.charter.verified()
    except CharterInvalid as error:
        return (error,)
    return tuple(_faults(certificate, agreed, charter, model))


def statement_faults(statement: Statement, charter: Charter) -> tuple[HanseError, ...]:
    """What of a statement does not follow from its charter, or contradicts itself; no signature is needed."""
    checks: list[Callable[[], None]] = [
        lambda: _require_terms(statement, charter),
        lambda: require_claims(charter, statement.claims, statement.joint),
        lambda: require_rounds(charter, statement),
    ]
    checks += [_finding_check(finding, statement) for finding in statement.findings]
    return tuple(_raised(checks))


def attestation_fault(attestation: Attestation, statement: Statement, charter: Charter) -> HanseError | None:
    """Why a site's word does not stand for this statement; None if it does."""
    name = attestation.platform
    keys = {member.platform: member.public_key for member in charter.members}
    if name not in keys:
        return SignatureWrong(f"{name} is not on the roster", where=charter.name)
    if not attestation.holds(keys[name]):
        return SignatureWrong(f"the signature of {name} is not over its word", where=charter.name)
    if attestation.statement != statement.digest():
        return SignatureWrong(f"{name} signed another statement", where=charter.name)
    if strange := set(attestation.finished) - set(expected_rounds(charter)):
        return SignatureWrong(f"{name} finished rounds that are not there: {', '.join(sorted(strange))}")
    promised = [claim for claim in statement.claims if claim.platform == name]
    return next(_raised(_spending_check(claim, attestation) for claim in promised), None)


def _faults(
    certificate: Certificate, charter: Charter, known: bytes | None, model: bytes | None
) -> Iterator[HanseError]:
    statement, told = certificate.statement, certificate.attestations
    if known is not None and charter.digest() != known:
        yield OtherCharter("the certificate is about another charter than the one given", where=charter.name)
    if set(certificate.charter.signatures) != {member.platform for member in charter.members}:
        yield CharterInvalid("signatures of others than its members", where=charter.name)
    yield from statement_faults(statement, charter)
    wrong = {}
    for attestation in told:
        if fault := attestation_fault(attestation, statement, charter):
            wrong[attestation.platform] = fault
    yield from wrong.values()
    names = [attestation.platform for attestation in told]
    if names != sorted(set(names)):
        yield SignatureWrong("the sites' words are not one for each, in order", where=charter.name)
    for name in sorted(took_part(statement) - set(names)):
        yield SignatureMissing(f"{name} has not signed", where=charter.name, why="it took part in a round")
    good = {one.platform: one.finished for one in told if one.platform not in wrong}
    yield from _raised([lambda: require_vouched(charter, statement, good)])
    if model is not None:
        yield from _raised([_model_check(statement, model)])


def _require_terms(statement: Statement, charter: Charter) -> None:
    if statement.charter != charter.digest().hex():
        raise OtherCharter(
            "the statement is about another charter than the one it comes with", where=charter.name
        )
    own = (PrivacyPlan.unit, PrivacyPlan.adjacency, charter.model.encoder, charter.model.basis)
    told = (statement.unit, statement.adjacency, statement.encoder, statement.basis)
    sizes = (charter.model.layout, charter.received("train"))
    if told != own or (statement.layout, statement.model.size) != sizes:
        raise OtherCharter("unit, adjacency or model are not those of the charter", where=charter.name)


def _spending_check(claim: Claim, attestation: Attestation) -> Callable[[], None]:
    return lambda: require_charges(claim, attestation)


def _model_check(statement: Statement, data: bytes) -> Callable[[], None]:
    def check() -> None:
        require_file(statement.model, data)

    return check


def _finding_check(finding: AuditFinding, statement: Statement) -> Callable[[], None]:
    return lambda: require_finding(finding, statement.claims)


def _raised(checks: Iterable[Callable[[], None]]) -> Iterator[HanseError]:
    for check in checks:
        try:
            check()
        except HanseError as error:
            yield error
