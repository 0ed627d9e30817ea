"""The model card of a published version, in the model hub's format: YAML in front of Markdown."""

import json
from collections.abc import Iterable, Iterator

from common.certificate.certificate import Certificate
from common.certificate.rounds import took_part
from common.privacy.finding import AuditFinding

_NOT_COVERED = """
The figures say nothing of: the platforms themselves, and what they serve to their own users; that a platform takes
part; the catalogues; how long anything took. An audit's lower bound near 0 is no proof.
"""


def card_of(number: int, certificate: Certificate, findings: Iterable[AuditFinding] = ()) -> str:
    """The card of version ``number``; ``findings`` came after the certificate."""
    return "\n".join([*_front(certificate), "", *_body(number, certificate, (*findings,)), ""])


def _front(certificate: Certificate) -> Iterator[str]:
    # A JSON string is a YAML string.
    charter = certificate.charter.charter
    yield "---"
    yield "library_name: hanse"
    yield "pipeline_tag: other"
    yield f"model_name: {json.dumps(charter.name)}"
    yield "tags:"
    tags = ("recommender-system", "federated-learning", "secure-aggregation")
    for tag in (*tags, *(("differential-privacy",) if certificate.statement.claims else ())):
        yield f"- {tag}"
    yield "---"


def _body(number: int, certificate: Certificate, later: tuple[AuditFinding, ...]) -> Iterator[str]:
    statement, charter = certificate.statement, certificate.charter.charter
    yield f"# {charter.name}, version {number}"
    yield ""
    yield f"Trained by {', '.join(sorted(took_part(statement)))} over {charter.rounds} rounds; final: the last."
    yield f"Size `{charter.model.size}`, {statement.model.size} numbers over {charter.model.features} features."
    yield "Check it offline: `hanse verify certificate.json --model model.safetensors`."
    yield ""
    yield "## Privacy"
    yield ""
    if statement.claims:
        yield f"Unit: {statement.unit}. Adjacency: {statement.adjacency}."
        yield ""
        yield "| platform | mode | ε claimed | δ | ε by accountant |"
        yield "|---|---|---|---|---|"
        for claim in statement.claims:
            by = ", ".join(f"{name} {value:.3f}" for name, value in sorted(claim.figures.items()))
            yield f"| {claim.platform} | {claim.mode} | {claim.bound} | {claim.delta:g} | {by} |"
        if statement.joint:
            by = ", ".join(f"{name} {value:.3f}" for name, value in sorted(statement.joint.items()))
            yield ""
            yield f"A person with an account on every platform: {by}."
    else:
        yield "Trained with privacy off: this version claims no ε."
    yield _NOT_COVERED
    yield "## Audit"
    yield ""
    found = (*statement.findings, *later)
    if not found:
        yield "Not audited."
    for finding in found:
        yield (
            f"- {finding.attack}: ε ≥ {finding.lower_bound:.3g} at {finding.confidence:.0%} confidence, held "
            f"against ε = {finding.claimed_epsilon:g}; {finding.correct} of {finding.guesses} guesses right."
        )
