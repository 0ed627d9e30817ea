"""The whole audit: attacks on the path as it is, and on paths that are broken on purpose."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from common.deltas import Floats
from common.privacy.audit_report import AuditReport, ControlOutcome
from common.privacy.finding import AuditFinding
from common.privacy.plan import PrivacyPlan
from common.provenance import code_digest
from scenarios.privacy_audit.attacks import ATTACKS, presence, right_guesses
from scenarios.privacy_audit.bound import lower_bound
from scenarios.privacy_audit.cast import Cast, draw_cast
from scenarios.privacy_audit.controls import CLIPPING_OFF, NOISE_OFF, WRONG_SAMPLING, Control
from scenarios.privacy_audit.gradients import clipped_gradients, windows_of
from scenarios.privacy_audit.release import Transcript, run
from scenarios.privacy_audit.settings import Settings, Unit

Update = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Case:
    """One run: whose coins are guessed, and what is broken, if anything."""

    unit: Unit
    control: Control | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """What the attacks found on a case. ``spent``: ε by the audited site's ledger, for accounts."""

    case: Case
    spent: float
    findings: tuple[AuditFinding, ...]


CASES: Final = (
    Case("user"),
    Case("interaction"),
    Case("user", NOISE_OFF),
    Case("interaction", NOISE_OFF),
    Case("user", CLIPPING_OFF),
    Case("user", WRONG_SAMPLING),
)


def audit(settings: Settings, update: Update) -> AuditReport:
    """Run every case and say what the attacks found.

    Raises:
        HanseError: what a site or the coordinator has to refuse.
    """
    begun, trials = time.perf_counter(), list[Trial]()
    for done, case in enumerate(CASES):
        update(done, len(CASES))
        trials.append(try_case(settings, case))
    update(len(CASES), len(CASES))
    honest = [trial for trial in trials if trial.case.control is None]
    whole = settings.guesses
    return AuditReport(
        code=code_digest(),
        settings=asdict(settings),
        spent=max(trial.spent for trial in honest),
        most=lower_bound(settings.canaries, whole, whole, settings.delta, settings.confidence),
        findings=tuple(finding for trial in honest for finding in trial.findings),
        controls=tuple(
            ControlOutcome(name=control.name, what=control.what, findings=trial.findings)
            for trial in trials
            if (control := trial.case.control) is not None
        ),
        seconds=time.perf_counter() - begun,
    )


def try_case(settings: Settings, case: Case) -> Trial:
    """One run over freshly drawn canaries, and what every attack makes of it.

    Raises:
        HanseError: what a site or the coordinator has to refuse.
    """
    settings = settings.of(case.unit)
    plan, cast = settings.plan(case.unit), draw_cast(settings, case.unit)
    with tempfile.TemporaryDirectory(prefix="hanse-audit-") as home:
        sabotage = case.control.sabotage if case.control else None
        transcript = run(settings, plan, cast, Path(home) / "run", sabotage)
    signals, known = _signals(settings, plan, cast, transcript), settings.canaries
    findings = []
    for name, attack in ATTACKS.items():
        certainties = attack(signals[:, :known], signals[:, known:], cast.coins[known:])
        right = right_guesses(certainties, cast.coins[:known], settings.guesses)
        findings.append(_finding(settings, f"{case.unit}, {name}", right))
    return Trial(case, transcript.spent, tuple(findings))


def _finding(settings: Settings, attack: str, right: int) -> AuditFinding:
    canaries, guesses, delta = settings.canaries, settings.guesses, settings.delta
    return AuditFinding(
        attack=attack,
        canaries=canaries,
        guesses=guesses,
        correct=right,
        confidence=settings.confidence,
        delta=delta,
        claimed_epsilon=settings.epsilon,
        lower_bound=lower_bound(canaries, guesses, right, delta, settings.confidence),
    )


def _signals(settings: Settings, plan: PrivacyPlan, cast: Cast, transcript: Transcript) -> Floats:
    """What each round tells of each coin, (rounds, canaries + references)."""
    terms = settings.training
    windows = windows_of(cast.candidates, terms)
    # Gradient descent: an update is minus the noisy sums of its steps, times the rate, over the denominator.
    scale = np.float32(-plan.denominator / (terms.learning_rate * plan.clip))
    seen = [
        presence(
            clipped_gradients(release.model, cast.features, windows, terms, plan.clip), scale * release.update
        )
        for release in transcript.releases
    ]
    return cast.contrast(np.stack(seen))
