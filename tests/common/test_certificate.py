"""Whatever is changed in a certificate is named: a byte, a field, a signature, a model, a claim, a round."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from common.certificate.attestation import Attestation, Charged
from common.certificate.certificate import Certificate
from common.certificate.check import faults
from common.certificate.claims import require_finding
from common.certificate.errors import AuditElsewhere, CertificateInvalid, CertificateUnreadable
from common.certificate.model_file import model_file, model_of
from common.certificate.statement import Statement, Sum, chained
from common.charter import CharterInvalid
from common.errors import HanseError, PrivacyRefused
from common.privacy.finding import AuditFinding
from server.certify import certify
from server.rounds import conduct

Make = Callable[..., Any]
Identity = Callable[[str], Any]
FINDING = AuditFinding(
    attack="user, score",
    canaries=1000,
    guesses=100,
    correct=60,
    confidence=0.95,
    delta=1e-5,
    claimed_epsilon=8.0,
    lower_bound=0.3,
)


@pytest.fixture
def made(fleet: Make) -> Any:
    return fleet("amber", "herring", "salt", private=True, rounds=2)


@pytest.fixture
def certificate(made: Any) -> Certificate:
    conduct(made.tape(), made.run, lambda outcome: None)
    return certify(made.tape(), made.run, [FINDING])


def kinds(found: Iterable[HanseError]) -> set[str]:
    return {type(fault).__name__ for fault in found}


def test_it_reads_back_as_it_was_written(certificate: Certificate) -> None:
    assert Certificate.decode(certificate.encode()) == certificate
    assert faults(certificate) == ()


def test_any_flipped_byte_is_named(certificate: Certificate) -> None:
    whole, told = certificate.encode(), set()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1
        try:
            found: tuple[HanseError, ...] = faults(Certificate.decode(bytes(changed)))
        except CertificateUnreadable as error:
            found = (error,)
        assert found, (place, whole[place - 20 : place + 20])
        assert all(isinstance(fault, CertificateInvalid | CharterInvalid | PrivacyRefused) for fault in found)
        told |= kinds(found)
    assert told >= {
        "CertificateUnreadable",
        "CharterInvalid",
        "SignatureWrong",
        "BrokenChain",
        "OtherCharter",
    }


def test_a_missing_signature_is_named_with_its_platform(certificate: Certificate) -> None:
    amber, herring, salt = certificate.attestations
    (fault, unvouched, *more) = faults(certificate.model_copy(update={"attestations": (amber, salt)}))
    assert str(fault) == "first-convoy: herring has not signed: it took part in a round"
    assert type(unvouched).__name__ == "RoundUnvouched"
    assert "not: herring" in str(unvouched)
    assert not more
    swapped = herring.model_copy(update={"signature": amber.signature})
    (fault, *_) = faults(certificate.model_copy(update={"attestations": (amber, swapped, salt)}))
    assert "the signature of herring is not over its word" in str(fault)
    doubled = certificate.model_copy(update={"attestations": (amber, amber, herring, salt)})
    assert kinds(faults(doubled)) == {"SignatureWrong"}


def test_a_swapped_model_is_named(certificate: Certificate, made: Any) -> None:
    own = model_file(made.run.latest().released)
    assert faults(certificate, model=own) == ()
    other = model_file(made.run.latest().state.parameters)
    assert kinds(faults(certificate, model=other)) == {"SwappedModel"}
    flipped = bytearray(own)
    flipped[-1] ^= 1
    assert kinds(faults(certificate, model=bytes(flipped))) == {"SwappedModel"}
    model = model_of(np.zeros(24, np.float32))
    lied = model.model_copy(update={"file": certificate.statement.model.file})
    swapped = certificate.statement.model_copy(update={"model": lied})
    assert kinds(faults(made.resigned(certificate, swapped), model=own)) == {"SwappedModel"}


def test_another_charter_is_named(certificate: Certificate, made: Any) -> None:
    assert faults(certificate, charter=made.charter.digest()) == ()
    assert kinds(faults(certificate, charter=bytes(32))) == {"OtherCharter"}
    other = made.again(name="second-convoy").signed
    moved = certificate.model_copy(update={"charter": other})
    assert "OtherCharter" in kinds(faults(moved))
    signed = certificate.charter
    unsigned = signed.model_copy(update={"signatures": {**signed.signatures, "salt": "00" * 64}})
    (fault,) = faults(certificate.model_copy(update={"charter": unsigned}))
    assert "the signature of salt is not over this charter" in str(fault)
    stranger = signed.model_copy(update={"signatures": {**signed.signatures, "zinc": "00" * 64}})
    assert kinds(faults(certificate.model_copy(update={"charter": stranger}))) == {"CharterInvalid"}


@pytest.mark.parametrize("field", ["unit", "adjacency", "encoder", "basis", "layout", "charter"])
def test_what_follows_from_the_charter_cannot_be_told_otherwise(
    certificate: Certificate, made: Any, field: str
) -> None:
    statement = certificate.statement.model_copy(update={field: "ab" * 32})
    assert kinds(faults(made.resigned(certificate, statement))) == {"OtherCharter"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"epsilon": 1.0}, "not those of the charter's plans"),
        ({"delta": 1e-6}, "not those of the charter's plans"),
        ({"mode": "shared-noise"}, "not those of the charter's plans"),
        ({"figures": {"prv": 0.1, "pld": 0.1, "rdp": 0.1}}, "do not follow from its plan"),
        ({"figures": {"prv": 0.5}}, "do not follow from its plan"),
    ],
)
def test_a_claim_that_does_not_follow_from_the_plan_is_named(
    certificate: Certificate, made: Any, change: dict[str, Any], told: str
) -> None:
    first, *others = certificate.statement.claims
    claims = (first.model_copy(update=change), *others)
    statement = certificate.statement.model_copy(update={"claims": claims})
    (fault,) = faults(made.resigned(certificate, statement))
    assert type(fault).__name__ == "ClaimUnsound"
    assert told in str(fault)


def test_the_joint_figure_is_recomputed_too(certificate: Certificate, made: Any) -> None:
    assert certificate.statement.joint["prv"] > certificate.statement.claims[0].figures["prv"]
    joint = {name: value / 2 for name, value in certificate.statement.joint.items()}
    statement = certificate.statement.model_copy(update={"joint": joint})
    assert kinds(faults(made.resigned(certificate, statement))) == {"ClaimUnsound"}


def test_charges_above_the_claim_are_named(certificate: Certificate, made: Any) -> None:
    charged = Charged(release="training", noise_multiplier=2.0, sample_rate=0.05, steps=2, times=2000)
    (fault, *_) = faults(made.resigned(certificate, certificate.statement, charges=(charged,)))
    assert type(fault).__name__ == "ClaimExceeded"
    assert "8 is claimed" in str(fault)


def test_charges_that_nobody_can_count_are_named(certificate: Certificate, made: Any) -> None:
    charged = certificate.attestations[0].charges[0].model_copy(update={"times": 10**400})
    found = faults(made.resigned(certificate, certificate.statement, charges=(charged,)))
    assert kinds(found) == {"PlanUnsound", "RoundUnvouched"}


def test_missing_strange_and_reordered_rounds_are_named(certificate: Certificate, made: Any) -> None:
    first, last = certificate.statement.rounds
    alien = Sum(cohort=("amber", "herring", "zinc"), survivors=("amber", "herring", "zinc"), h2="ab" * 32)
    few = first.sums[0].model_copy(update={"survivors": ("amber", "herring")})
    parts = tuple(Sum(cohort=names, survivors=names, h2="ab" * 32) for names in (("amber",), ("salt",)))
    for rounds, told in (
        ((first,), "missing: train/2"),
        ((), "missing: train/1, train/2"),
        ((last, first), "out of order"),
        ((first, first, last), "too many"),
        ((first.model_copy(update={"sums": ()}), last), "train/1: not cohorts of the roster"),
        ((first.model_copy(update={"sums": (alien,)}), last), "train/1: not cohorts of the roster"),
        ((first.model_copy(update={"sums": (few,)}), last), "train/1: a sum of 2 platforms"),
        ((first.model_copy(update={"sums": parts}), last), "train/1: 2 sums, and the charter has no groups"),
    ):
        changed = {"rounds": rounds, "transcript": chained(rounds)}
        statement = certificate.statement.model_copy(update=changed)
        found = [fault for fault in faults(made.resigned(certificate, statement)) if told in str(fault)]
        assert kinds(found) == {"RoundsMissing"}, told


def test_a_transcript_that_is_not_of_the_rounds_and_another_final_round_are_named(
    certificate: Certificate, made: Any
) -> None:
    for field, value, kind in (
        ("transcript", "ab" * 32, "BrokenChain"),
        ("final", "train/1", "RoundsMissing"),
    ):
        statement = certificate.statement.model_copy(update={field: value})
        assert kinds(faults(made.resigned(certificate, statement))) == {kind}


def test_a_round_that_too_few_remember_is_named(certificate: Certificate, made: Any) -> None:
    (fault,) = faults(made.resigned(certificate, certificate.statement, finished=("train/2",)))
    assert type(fault).__name__ == "RoundUnvouched"
    assert "train/1" in str(fault)
    invented = made.resigned(certificate, certificate.statement, finished=("train/1", "train/2", "train/3"))
    assert "SignatureWrong" in kinds(faults(invented))


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"lower_bound": 8.1}, "AuditContradicts"),
        ({"claimed_epsilon": 9.0}, "AuditElsewhere"),
        ({"delta": 1e-6}, "AuditElsewhere"),
    ],
)
def test_a_finding_that_contradicts_the_claim_or_is_about_another_is_named(
    certificate: Certificate, made: Any, change: dict[str, Any], kind: str
) -> None:
    finding = FINDING.model_copy(update=change)
    statement = certificate.statement.model_copy(update={"findings": (finding,)})
    assert kinds(faults(made.resigned(certificate, statement))) == {kind}


def test_a_finding_about_local_noise_says_nothing_of_shared_noise(certificate: Certificate) -> None:
    claims = certificate.statement.claims
    require_finding(FINDING, claims)
    shared = [claim.model_copy(update={"mode": "shared-noise"}) for claim in claims]
    with pytest.raises(AuditElsewhere, match="for local noise"):
        require_finding(FINDING, shared)


@pytest.mark.parametrize(
    "text",
    [b"", b"{}", b"[" * 9_000, b'{"platform": NaN}', b"\xff", json.dumps({"platform": "x" * 9}).encode()],
)
def test_what_is_no_certificate_says_so_and_nothing_of_what_it_holds(text: bytes) -> None:
    for kind in (Certificate, Statement, Attestation):
        with pytest.raises(CertificateUnreadable) as caught:
            kind.decode(text)
        assert "xxxx" not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "terms", ["3", "null", "[]", "{}", "[" * 9_000, '{"kind": "skellam"}', '{"shares": NaN}']
)
def test_a_charge_of_an_unknown_mechanism_is_unreadable(certificate: Certificate, terms: str) -> None:
    content = json.loads(certificate.attestations[0].text())
    content["charges"][0]["terms"] = terms
    text = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(CertificateUnreadable, match="no attestation"):
        Attestation.decode(text)


def test_one_certificate_has_one_text(certificate: Certificate) -> None:
    compact = json.dumps(json.loads(certificate.encode())).encode()
    with pytest.raises(CertificateUnreadable, match="written otherwise"):
        Certificate.decode(compact)
