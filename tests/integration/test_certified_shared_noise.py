"""A run with shared noise ends with a certificate of both its ε: with aggregation, and if that fails.

Of two rounds the first needs a second attempt, which the plan's spare round pays for, and one platform's upload is
lost in the other.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from common.certificate.attestation import Attestation
from common.certificate.certificate import Certificate
from common.frame import Frame
from common.privacy.ledger_rows import columns_of
from common.privacy.shared import SharedNoisePlan, if_aggregation_fails
from common.requests import AdvertiseRequest, CertifyRequest
from common.secagg.errors import TooFewPlatforms
from server.card import card_of
from server.certify import MODEL, certify
from server.rounds import conduct
from server.summary import lines

Make = Callable[..., Any]
Handle = Callable[[Frame], Frame]
Verified = Callable[..., tuple[int, list[str]]]

LOST = {(1, 1): ("amber", "herring"), (2, 3): ("salt",)}
"""By round and attempt whose uploads the coordinator never sees."""


def conducted(made: Any) -> Any:
    """The fleet after its last round; the coordinator is started again when the first attempt comes to nothing."""
    asked: list[tuple[int, int]] = []

    def relay(address: int, frame: Frame, site: Handle) -> Frame | None:
        if frame.kind == "advertise":
            opening = AdvertiseRequest.parse(frame)
            asked.append((opening.round, opening.attempt))
        answer = site(frame)
        lost = frame.kind == "upload" and list(made.folders)[address] in LOST.get(asked[-1], ())
        return None if lost else answer

    with pytest.raises(TooFewPlatforms, match="2 of 4 are left"):
        conduct(made.tape(relay), made.run, lambda outcome: None)
    conduct(made.tape(relay), made.run, lambda outcome: None)
    assert [outcome.attempt for outcome in made.run.latest().outcomes][:2] == [2, 3]
    return made


@pytest.fixture
def made(fleet: Make) -> Any:
    """Two rounds under plans of three."""
    return conducted(fleet(private=True, shared=True, rounds=2))


@pytest.fixture
def certificate(made: Any) -> Certificate:
    return certify(made.tape(), made.run)


def plan_of(made: Any, platform: str) -> SharedNoisePlan:
    plan = made.charter.member(platform).privacy
    assert isinstance(plan, SharedNoisePlan)
    return plan


def test_it_holds_and_states_both_figures_as_every_ledger_has_them(
    made: Any, certificate: Certificate, verified: Verified
) -> None:
    known = ("--model", made.run.path / MODEL, "--charter", made.run.path / "charter.json")
    assert verified(certificate.encode(), *known) == (0, [])
    assert list(made.folders) == [word.platform for word in certificate.attestations]
    for word, claim in zip(certificate.attestations, certificate.statement.claims, strict=True):
        plan, ledger = plan_of(made, word.platform), made.folders[word.platform].ledger()
        assert (claim.platform, claim.mode) == (word.platform, "shared-noise")
        assert (claim.epsilon, claim.epsilon_alone) == (plan.epsilon, plan.epsilon_alone)
        # Two rounds and one void attempt: all that was planned for, and charged by everyone.
        (charged,) = word.charges
        assert (charged.mechanism(), charged.times) == (plan.whole, len(ledger.entries()))
        alone = if_aggregation_fails(ledger.history(), claim.delta)
        assert claim.figures == {"rdp": ledger.spent().prv, "rdp_if_aggregation_fails": alone}
        assert claim.figures["rdp"] <= claim.epsilon < alone <= claim.epsilon_alone


def test_a_platform_that_dropped_out_is_told_and_every_sum_holds_the_shares_that_are_claimed(
    made: Any, certificate: Certificate
) -> None:
    roster, left = tuple(made.folders), tuple(name for name in made.folders if name != "salt")
    first, second = certificate.statement.rounds
    assert [(record.attempt, record.dropped) for record in (first, second)] == [
        (2, {}),
        (3, {"salt": "upload"}),
    ]
    for record, survivors in ((first, roster), (second, left)):
        (one,) = record.sums
        assert (one.cohort, one.survivors) == (roster, survivors)
        assert len(one.survivors) - made.charter.colluders >= plan_of(made, "amber").shares
    for word in certificate.attestations:
        seen = {
            f"train/{one.number}": one.sum
            for one in made.folders[word.platform].engagement(made.charter).logbook.all()
        }
        assert (
            word.finished
            == tuple(seen)
            == (("train/1",) if word.platform == "salt" else ("train/1", "train/2"))
        )
        assert all(seen[record.name] in record.sums for record in (first, second) if record.name in seen)


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "local"},
        {"epsilon": 5.0},
        {"epsilon_alone": 6.0},
        {"epsilon_alone": None},
        {"figures": {"rdp": 5.0, "rdp_if_aggregation_fails": 12.302}},
        {"figures": {"rdp": 5.998, "rdp_if_aggregation_fails": 6.0}},
        {"figures": {"rdp": 5.998}},
        {"figures": {"prv": 5.998, "pld": 5.998, "rdp": 5.998}},
    ],
)
def test_another_mode_or_figure_is_named_whoever_signs(
    made: Any, certificate: Certificate, verified: Verified, change: dict[str, Any]
) -> None:
    first, *others = certificate.statement.claims
    claims = (first.model_copy(update=change), *others)
    statement = certificate.statement.model_copy(update={"claims": claims})
    forged = certificate.model_copy(update={"statement": statement})
    assert verified(forged.encode()) == (3, ["ClaimUnsound", *["SignatureWrong"] * 4, "RoundUnvouched"])
    code, (reason, *_) = verified(made.resigned(certificate, statement).encode())
    assert (code, reason) == (3, "ClaimUnsound")


@pytest.mark.parametrize("constants", [{"shares": 3}, {"share_variance": 2**30}, {"sensitivity": 1.0}])
def test_other_noise_in_a_sites_word_is_named(
    certificate: Certificate, verified: Verified, constants: dict[str, Any]
) -> None:
    (row,) = certificate.attestations[0].charges
    noise, rate, steps, terms = columns_of(replace(row.mechanism(), steps=row.steps, **constants))
    assert verified(with_charge(certificate, {"terms": terms})) == (4, ["CertificateUnreadable"])
    moved = {"noise_multiplier": noise, "sample_rate": rate, "steps": steps, "terms": terms}
    assert verified(with_charge(certificate, moved)) == (4, ["SignatureWrong", "RoundUnvouched"])


def with_charge(certificate: Certificate, change: dict[str, Any]) -> bytes:
    """The first site's only charge changed, in the file."""
    first, *others = certificate.attestations
    word = first.model_copy(update={"charges": (first.charges[0].model_copy(update=change),)})
    return certificate.model_copy(update={"attestations": (word, *others)}).encode()


def test_other_noise_in_the_charter_is_named(certificate: Certificate, verified: Verified) -> None:
    text = certificate.encode()
    share = certificate.charter.charter.share_variance
    assert verified(text.replace(b'"share_variance": %d' % share, b'"share_variance": %d' % (2 * share))) == (
        2,
        ["CharterInvalid"],
    )
    assert verified(text.replace(b'"shares": 2', b'"shares": 3')) == (4, ["CertificateUnreadable"])


def test_charges_beyond_the_figure_without_aggregation_are_not_certified(
    fleet: Make, verified: Verified, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An ε with room to spare covers the void attempt; what is left if aggregation fails is not true any more."""
    first = fleet(private=True, shared=True)
    members = tuple(
        member.model_copy(update={"privacy": member.privacy.model_copy(update={"epsilon": 7.5})})
        for member in first.charter.members
    )
    made = conducted(first.again(shared=True, members=members, seed=None))
    assert all(folder.ledger().spent().prv < 7.5 for folder in made.folders.values())
    certificate = certify(made.tape(), made.run)
    assert certificate.attestations == ()
    assert "salt spent ε = " in caplog.text
    assert "on this run if aggregation fails, and 12.303 is claimed" in caplog.text
    assert verified(certificate.encode()) == (4, [*["SignatureMissing"] * 4, "RoundUnvouched"])
    monkeypatch.setattr("clients.certify.require_charges", lambda *_: None)
    asked = CertifyRequest(statement=certificate.statement.text()).frame(made.run.latest().released)
    words = tuple(Attestation.decode(made.site(name).handle(asked).body) for name in made.folders)
    careless = certificate.model_copy(update={"attestations": words})
    assert verified(careless.encode()) == (3, [*["ClaimExceeded"] * 4, "RoundUnvouched"])


def test_people_are_told_both(made: Any, certificate: Certificate) -> None:
    told = "6, or 12.303 if aggregation fails"
    assert f"amber: ε ≤ {told} at δ = 1e-05 (shared-noise; " in "\n".join(
        lines(certificate, charter=True, model=True)
    )
    assert f"| amber | shared-noise | {told} | 1e-05 |" in card_of(1, certificate)
