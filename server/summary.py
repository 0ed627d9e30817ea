"""A certificate that holds, in a few lines for people: what is claimed, by whom, and what nobody vouches for."""

from collections.abc import Iterator

from common.certificate.certificate import Certificate


def lines(certificate: Certificate, *, charter: bool, model: bool) -> Iterator[str]:
    """What to say of a certificate that holds; ``charter``, ``model``: whether it was held against them."""
    statement, words = certificate.statement, certificate.attestations
    yield f"the certificate holds: {certificate.charter.charter.name}, {len(statement.rounds)} rounds"
    yield f"signed by {', '.join(word.platform for word in words)}"
    for claim in statement.claims:
        by = ", ".join(f"{name} {value:.3f}" for name, value in sorted(claim.figures.items()))
        yield f"{claim.platform}: ε ≤ {claim.bound} at δ = {claim.delta:g} ({claim.mode}; planned: {by})"
    if not statement.claims:
        yield "privacy is off: no ε is claimed"
    yield f"model {statement.model.values}{'' if model else ' (no file was given to hold against it)'}"
    codes = {statement.code, *(word.code for word in words)}
    yield f"code {' '.join(sorted(codes))}{'' if len(codes) == 1 else ' (the sites or the coordinator differ)'}"
    for finding in statement.findings:
        yield f"audit, {finding.attack}: ε ≥ {finding.lower_bound:.3g}, held against {finding.claimed_epsilon:g}"
    if not statement.findings:
        yield "not audited"
    if not charter:
        yield f"the keys are those of the charter inside, {statement.charter}: compare it, or give --charter"
