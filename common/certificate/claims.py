"""What a charter's plans promise, worked out anew by whoever asks: coordinator, site and verifier alike."""

import math
from collections.abc import Iterable, Mapping
from typing import Final

from common.certificate.attestation import Attestation
from common.certificate.errors import AuditContradicts, AuditElsewhere, ClaimExceeded, ClaimUnsound
from common.certificate.statement import Claim
from common.charter import Charter
from common.privacy.accountant import AnyMechanism, Epsilon, epsilon_of, joint_epsilon
from common.privacy.errors import PlanUnsound
from common.privacy.finding import AuditFinding
from common.privacy.shared import if_aggregation_fails

MARGIN: Final = (0.02, 0.02)
"""How far a figure may lie from the one recomputed, by versions of the accountants: this, and this share of it."""


def claims_of(charter: Charter) -> tuple[Claim, ...]:
    """One claim for each platform of a private charter, none with privacy off.

    Raises:
        PrivacyRefused: when a plan does not keep its claim, or the accountants disagree.
    """
    return tuple(
        Claim(
            platform=member.platform,
            mode=charter.privacy,
            epsilon=member.privacy.epsilon,
            delta=member.privacy.delta,
            epsilon_alone=getattr(member.privacy, "epsilon_alone", None),
            figures=_figures(
                member.privacy.forecast(charter.besides_training(member.platform)),
                [member.privacy.whole, *charter.besides_training(member.platform)],
            ),
        )
        for member in charter.members
        if member.privacy is not None
    )


def joint_of(charter: Charter) -> dict[str, float]:
    """ε by accountant for a person on every platform, at the largest δ; nothing where none can be computed."""
    plans = {member.platform: member.privacy for member in charter.members if member.privacy is not None}
    if not plans:
        return {}
    histories = [[plan.whole, *charter.besides_training(name)] for name, plan in plans.items()]
    try:
        joint = joint_epsilon(histories, max(plan.delta for plan in plans.values()))
        return _figures(joint, [one for history in histories for one in history])
    except PlanUnsound:
        return {}


def require_claims(charter: Charter, claims: tuple[Claim, ...], joint: Mapping[str, float]) -> None:
    """Let claims stand that follow from the charter's plans.

    Raises:
        PrivacyRefused: :class:`ClaimUnsound`, or why a plan itself does not keep what it claims.
    """
    found = claims_of(charter)
    if [_promise(claim) for claim in claims] != [_promise(claim) for claim in found]:
        raise ClaimUnsound("the claims are not those of the charter's plans", where=charter.name)
    for told, own in zip(claims, found, strict=True):
        if not _close(told.figures, own.figures):
            raise ClaimUnsound(
                f"the figures of {told.platform} do not follow from its plan",
                where=charter.name,
                why=f"ε by {_listed(told.figures)}, recomputed {_listed(own.figures)}",
            )
    if not _close(joint, joint_of(charter)):
        raise ClaimUnsound("the joint figure does not follow from the plans", where=charter.name)


def require_charges(claim: Claim, attestation: Attestation) -> None:
    """Let a run stand whose attested charges, void attempts included, compose to no more than the claim.

    Raises:
        ClaimExceeded: when they compose to more; with shared noise also when they do if aggregation fails.
        PrivacyRefused: when no ε can be computed.
    """
    history = [charged.mechanism() for charged in attestation.charges]
    _require_spent(claim, epsilon_of(history, claim.delta).prv, claim.epsilon)
    if claim.epsilon_alone is not None:
        alone = if_aggregation_fails(history, claim.delta)
        _require_spent(claim, alone, claim.epsilon_alone, " if aggregation fails")


def _require_spent(claim: Claim, spent: float, most: float, when: str = "") -> None:
    if not spent <= most:
        raise ClaimExceeded(
            f"{claim.platform} spent ε = {spent:.3f} on this run{when}, and {most:g} is claimed",
            hint="plan more spare rounds: attempts that came to nothing were charged too",
        )


def require_finding(finding: AuditFinding, claims: Iterable[Claim]) -> None:
    """Let a finding stand beside claims that it does not contradict.

    Raises:
        AuditContradicts: when its lower bound is above the ε it was held against.
        AuditElsewhere: when no claim is as large as that ε at the finding's δ; or those that are share their
            noise, as an audit attacks training with local noise.
    """
    if finding.contradicts:
        found, claimed = f"{finding.lower_bound:.3g}", f"{finding.claimed_epsilon:g}"
        raise AuditContradicts(
            f"{finding.attack}: ε is at least {found}, and {claimed} is claimed",
            why=f"{finding.correct} of {finding.guesses} guesses were right",
            hint="do not publish this version; something on the release path does not hold",
        )
    if not any(
        claim.mode == "local" and claim.delta == finding.delta and claim.epsilon >= finding.claimed_epsilon
        for claim in claims
    ):
        raise AuditElsewhere(
            f"{finding.attack} was held against ε = {finding.claimed_epsilon:g} at δ = {finding.delta:g}",
            why="no platform claims that much at that δ for local noise",
        )


def _figures(found: Epsilon, history: Iterable[AnyMechanism]) -> dict[str, float]:
    """By accountant; with shared noise RDP's bound with honest aggregation, and the same if that fails."""
    if found.by == "RDP":
        alone = if_aggregation_fails(history, found.delta)
        return {"rdp": found.rdp} | ({"rdp_if_aggregation_fails": alone} if math.isfinite(alone) else {})
    return {"prv": found.prv, "pld": found.pld, "rdp": found.rdp}


def _promise(claim: Claim) -> tuple[str, str, float, float, float | None]:
    return claim.platform, claim.mode, claim.epsilon, claim.delta, claim.epsilon_alone


def _close(told: Mapping[str, float], own: Mapping[str, float]) -> bool:
    return set(told) == set(own) and all(
        abs(told[name] - value) <= MARGIN[0] + MARGIN[1] * value for name, value in own.items()
    )


def _listed(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in sorted(figures.items()))
