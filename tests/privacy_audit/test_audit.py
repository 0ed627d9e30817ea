"""Small audits on the product's own sites and rounds: what is broken must be caught, also in earnest."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from clients import trainer
from clients.private_optimizer import OsNoiseOptimizer
from common.privacy.audit_report import AuditReport, ClaimContradicted, ControlMissed, ControlOutcome
from common.privacy.finding import AuditFinding
from common.provenance import code_digest
from scenarios.privacy_audit import audit as whole
from scenarios.privacy_audit import cli
from scenarios.privacy_audit.audit import CASES, Case, Trial, audit, try_case
from scenarios.privacy_audit.cast import draw_cast
from scenarios.privacy_audit.controls import CLIPPING_OFF, NOISE_OFF, WRONG_SAMPLING
from scenarios.privacy_audit.gradients import clipped_gradients, windows_of
from scenarios.privacy_audit.release import run
from scenarios.privacy_audit.settings import FULL, Settings
from scenarios.privacy_audit.text import as_text

SMALL = Settings(
    canaries=256, references=64, guesses=128, items=1024, features=256, history=4, rounds=4, local_steps=15
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def contradicted(trial: Trial) -> bool:
    return any(finding.contradicts for finding in trial.findings)


def test_an_update_is_the_clipped_sum_where_nothing_hides_it(tmp_path: Path) -> None:
    settings = Settings(canaries=40, references=8, items=256, features=64, history=4, rounds=2, local_steps=1)
    plan, cast = settings.plan("user"), draw_cast(settings, "user")
    transcript = run(
        settings, plan, cast, tmp_path / "run", lambda plan: WRONG_SAMPLING.sabotage(NOISE_OFF.sabotage(plan))
    )
    windows = windows_of(cast.candidates, settings.training)
    for release in transcript.releases:
        known = clipped_gradients(release.model, cast.features, windows, settings.training, plan.clip)
        step = -settings.training.learning_rate * plan.clip / plan.denominator * known[cast.coins].sum(axis=0)
        # A thousandth of the noise and the ring's rounding are left: 3 % of the norm of the sum.
        assert np.linalg.norm(release.update - step) < 0.06 * np.linalg.norm(step)
    assert plan.epsilon - 0.1 < transcript.spent <= plan.epsilon


@pytest.mark.slow
def test_the_path_as_it_is_stays_within_its_claim() -> None:
    for unit in ("user", "interaction"):
        trial = try_case(SMALL, Case(unit))
        assert not contradicted(trial)
        assert trial.spent <= SMALL.plan(unit).epsilon <= SMALL.epsilon


@pytest.mark.slow
def test_a_path_without_noise_is_caught() -> None:
    trial = try_case(SMALL, Case("user", NOISE_OFF))
    assert contradicted(trial)
    assert all(finding.lower_bound > 2 for finding in trial.findings)
    assert [finding.attack for finding in trial.findings] == ["user, inner product", "user, likelihood ratio"]


@pytest.mark.slow
def test_an_optimiser_that_adds_no_noise_is_caught_in_earnest(monkeypatch: pytest.MonkeyPatch) -> None:
    def almost_none(self: OsNoiseOptimizer) -> None:
        for parameter in self.params:
            parameter.grad = (parameter.summed_grad + 1e-9).view_as(parameter)

    monkeypatch.setattr(OsNoiseOptimizer, "add_noise", almost_none)
    assert contradicted(try_case(SMALL, Case("user")))


@pytest.mark.slow
def test_a_trainer_that_takes_everyone_in_every_step_is_caught_in_earnest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trainer, "poisson_sample", lambda population, rate, randomness: np.arange(population))
    assert contradicted(try_case(SMALL, Case("user")))


def test_every_case_is_a_case_of_the_audit() -> None:
    honest = [case.unit for case in CASES if case.control is None]
    assert honest == ["user", "interaction"]
    assert [case.control for case in CASES if case.control and case.unit == "user"] == [
        NOISE_OFF,
        CLIPPING_OFF,
        WRONG_SAMPLING,
    ]
    assert FULL.canaries >= 1000
    assert FULL.epsilon == 3


def test_a_sabotage_changes_what_it_says_and_keeps_the_noise_or_the_clip() -> None:
    plan = SMALL.plan("user")
    clipping, noise, rate = (c.sabotage(plan) for c in (CLIPPING_OFF, NOISE_OFF, WRONG_SAMPLING))
    assert clipping.clip * clipping.noise_multiplier == pytest.approx(plan.clip * plan.noise_multiplier)
    assert clipping.clip > 1e5 * plan.clip
    assert (noise.clip, noise.sample_rate) == (plan.clip, plan.sample_rate)
    assert noise.noise_multiplier == pytest.approx(plan.noise_multiplier / 1000)
    assert rate.sample_rate == pytest.approx(10 * plan.sample_rate)


def test_what_is_claimed_for_a_row_follows_from_what_the_plan_claims_for_an_account() -> None:
    account, row = FULL.plan("user"), FULL.plan("interaction")
    assert (account.epsilon, account.delta) == (FULL.epsilon, FULL.delta)
    assert 2 * row.epsilon == FULL.epsilon
    assert (1 + np.exp(row.epsilon)) * row.delta == pytest.approx(FULL.delta)


def finding(bound: float) -> AuditFinding:
    return AuditFinding(
        attack="user, made up", canaries=1000, guesses=500, correct=400, confidence=0.95, delta=1e-5,
        claimed_epsilon=3, lower_bound=bound,
    )  # fmt: skip


def report(honest: float, broken: float) -> AuditReport:
    found = [(finding(0.1), finding(bound)) for bound in (honest, broken)]
    control = ControlOutcome(name="noise off", what="no noise", findings=found[1])
    return AuditReport(
        code="ab" * 32,
        settings={"canaries": 1000},
        spent=2.99,
        most=5.1,
        findings=found[0],
        controls=(control,),
        seconds=9,
    )


def test_a_contradicted_claim_and_a_missed_control_are_errors_that_say_so() -> None:
    report(honest=2.9, broken=3.1).judge()
    with pytest.raises(ClaimContradicted, match=r"user, made up: ε ≥ 3\.10.*the claim is ε = 3"):
        report(honest=3.1, broken=3.1).judge()
    with pytest.raises(ClaimContradicted):
        report(honest=3.1, broken=2.9).judge()
    with pytest.raises(ControlMissed, match=r"not caught: noise off \(user, made up\)"):
        report(honest=2.9, broken=2.9).judge()
    assert (ClaimContradicted.exit_code, ControlMissed.exit_code) == (3, 1)


def test_the_text_says_what_was_found_and_what_it_does_not_show() -> None:
    text = as_text(report(honest=3.1, broken=2.9))
    lines = text.splitlines()
    assert lines[0].startswith("claim: ε = 3 at δ = 1e-05, add/remove one user; the ledger says 2.990")
    assert [line.split("  ")[-1] for line in lines[3:7]] == [
        "within the claim",
        "CONTRADICTS THE CLAIM",
        "not caught",
        "not caught",
    ]
    assert "500 right guesses of 500 would have shown 5.10" in text
    assert "A bound near 0 is no proof" in text


@pytest.mark.parametrize(("honest", "broken", "code"), [(0.5, 4.0, 0), (3.5, 4.0, 3), (0.5, 2.0, 1)])
def test_the_command_writes_its_file_prints_and_fails_if_it_must(
    honest: float, broken: float, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = report(honest, broken)
    asked: list[Settings] = []
    monkeypatch.setattr(whole, "audit", lambda settings, update: asked.append(settings) or found)
    out = tmp_path / "audit.json"
    for option, printed in (([], as_text(found) + "\n"), (["--json"], None)):
        result = CliRunner().invoke(cli.app, ["run", "--out", str(out), *option])
        assert getattr(result.exception, "exit_code", 0) == code
        assert AuditReport.load(out) == found
        if printed is None:
            assert AuditReport.model_validate(json.loads(result.stdout)) == found
        else:
            assert result.stdout == printed
    assert asked == [FULL, FULL]


def test_the_whole_audit_holds_every_case_once(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[Case] = []

    def made_up(settings: Settings, case: Case) -> Trial:
        held.append(case)
        return Trial(case, 2.9, (finding(4.0 if case.control else 0.5),))

    monkeypatch.setattr(whole, "try_case", made_up)
    told: list[tuple[int, int]] = []
    found = audit(FULL, lambda done, total: told.append((done, total)))
    assert held == list(CASES)
    assert told == [(done, 6) for done in range(7)]
    assert (len(found.findings), len(found.controls)) == (2, 4)
    assert found.code == code_digest()
    found.judge()
