"""A site signs what it remembers, and refuses a statement that its own records or its ledger contradict."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from common.certificate.attestation import Attestation
from common.certificate.model_file import model_of
from common.certificate.statement import RoundRecord, Statement, Sum, chained
from common.frame import Frame
from common.privacy.accountant import Mechanism
from common.privacy.finding import AuditFinding
from common.privacy.ledger import Charge
from common.replies import refusal
from common.requests import CertifyRequest
from server.certify import statement_of
from server.channel import Meter
from server.cohort import Cohort
from server.gates import settle
from server.rounds import conduct, hold_opened, opening_of

Make = Callable[..., Any]


@pytest.fixture
def made(fleet: Make) -> Any:
    made = fleet("amber", "herring", "salt", private=True, rounds=2)
    conduct(made.tape(), made.run, lambda outcome: None)
    return made


@pytest.fixture
def statement(made: Any) -> Statement:
    return statement_of(made.charter, made.run.latest(), ())


def asked(made: Any, statement: Statement, model: Any = None, site: Any = None) -> Frame:
    values = made.run.latest().released if model is None else model
    answer: Frame = (site or made.site("salt")).handle(
        CertifyRequest(statement=statement.text()).frame(values)
    )
    return answer


def with_rounds(statement: Statement, *rounds: RoundRecord) -> Statement:
    return statement.model_copy(update={"rounds": rounds, "transcript": chained(rounds)})


def test_a_site_that_restarted_signs_what_it_wrote_down(made: Any, statement: Statement) -> None:
    word = Attestation.decode(asked(made, statement).body)
    assert word.finished == ("train/1", "train/2")
    assert [(row.release, row.times) for row in word.charges] == [("training", 2)]
    assert word.holds(made.charter.member("salt").public_key)
    assert not word.holds(made.charter.member("amber").public_key)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "ab" * 32},
        {"attempt": 1},
        {
            "sums": (
                Sum(
                    cohort=("amber", "herring", "salt"), survivors=("amber", "herring", "salt"), h2="ab" * 32
                ),
            )
        },
    ],
)
def test_it_refuses_rounds_that_it_remembers_otherwise(
    made: Any, statement: Statement, change: dict[str, Any]
) -> None:
    first, last = statement.rounds
    told = refusal(asked(made, with_rounds(statement, first, last.model_copy(update=change))))
    assert (told.code, told.reason) == (4, "RoundContradicted")


def test_it_does_not_vouch_for_a_round_it_was_not_in(fleet: Make) -> None:
    made = fleet("amber", "herring", "salt", "timber", private=True, rounds=2)

    def relay(address: int, frame: Frame, site: Any) -> Frame | None:
        return None if address == 2 and made.run.latest().round == 0 else site(frame)

    conduct(made.tape(relay), made.run, lambda outcome: None)
    word = Attestation.decode(asked(made, statement_of(made.charter, made.run.latest(), ())).body)
    assert word.finished == ("train/2",)


def test_without_groups_a_sum_that_it_was_not_in_is_not_its_round(fleet: Make) -> None:
    """Where there are groups its own may have come to nothing; here an attempt has one sum or none."""
    six = ("amber", "herring", "salt", "timber", "wool", "zinc")
    made = fleet(*six, private=True, rounds=1)
    opening, begun = opening_of(made.charter, made.run, "train", 1, six[:3]), made.run.latest()
    delta, outcome = hold_opened(Cohort(Meter(made.tape(), 30.0)), made.charter, opening, begun.model)
    made.run.save(settle(made.charter, begun, delta.mean, outcome, None))
    statement = statement_of(made.charter, made.run.latest(), ())
    (record,) = statement.rounds
    others = Sum(cohort=six[3:], survivors=six[3:], h2="ab" * 32)
    told = asked(made, with_rounds(statement, record.model_copy(update={"sums": (others,)})))
    assert refusal(told).reason == "RoundContradicted"
    assert Attestation.decode(asked(made, statement).body).finished == ("train/1",)


def test_it_signs_for_one_version_of_a_run(made: Any, statement: Statement) -> None:
    other = np.zeros(24, np.float32)
    second = statement.model_copy(update={"model": model_of(other)})
    assert refusal(asked(made, second)).reason == "SwappedModel"
    assert Attestation.decode(asked(made, statement).body)
    assert refusal(asked(made, second, other)).reason == "SecondModel"
    finding = AuditFinding(
        attack="user",
        canaries=1000,
        guesses=10,
        correct=5,
        confidence=0.95,
        delta=1e-5,
        claimed_epsilon=8.0,
        lower_bound=0.0,
    )
    audited = statement.model_copy(update={"findings": (finding,)})
    assert Attestation.decode(asked(made, audited).body).statement == audited.digest()
    contradicted = finding.model_copy(update={"lower_bound": 9.0})
    told = refusal(asked(made, statement.model_copy(update={"findings": (contradicted,)})))
    assert (told.code, told.reason) == (3, "AuditContradicts")


def test_it_does_not_sign_a_claim_that_its_ledger_is_beyond(made: Any, statement: Statement) -> None:
    """Void attempts are charged too: enough of them, and the plan's ε is no longer true."""
    folder = made.folders["salt"]
    folder.ledger().charge(Charge(made.charter.digest().hex(), 2, 99, "training", Mechanism(0.9, 1.0, 1)))
    assert Attestation.decode(asked(made, statement).body)
    tight = made.charter.members[0].privacy.model_copy(update={"epsilon": 0.6})
    members = tuple(member.model_copy(update={"privacy": tight}) for member in made.charter.members)
    again = made.again(members=members, rounds=2)
    conduct(again.tape(), again.run, lambda outcome: None)
    folder.ledger().charge(Charge(again.charter.digest().hex(), 2, 99, "training", Mechanism(0.9, 1.0, 1)))
    told = refusal(asked(again, statement_of(again.charter, again.run.latest(), ())))
    assert (told.code, told.reason) == (3, "ClaimExceeded")


def test_after_its_word_it_joins_no_further_round_of_the_run(made: Any, statement: Statement) -> None:
    site = made.site("salt")
    assert Attestation.decode(asked(made, statement, site=site).body)
    opening = opening_of(made.charter, made.run, "train", 2)
    answer = site.handle(opening.frame(made.run.latest().model))
    assert refusal(answer).reason == "RunOver"


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_without_its_records_it_vouches_for_nothing(made: Any, statement: Statement, damage: str) -> None:
    logbook = made.folders["salt"].engagement(made.charter).logbook
    for path in logbook.path.glob("train-*"):
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-1])
    answer = asked(made, statement)
    if damage == "gone":
        assert Attestation.decode(answer.body).finished == ()
    else:
        assert refusal(answer).reason == "LogbookUnreadable"


def test_a_malformed_request_is_refused_by_name(made: Any, statement: Statement) -> None:
    site = made.site("salt")
    assert refusal(site.handle(Frame("certify", b"{}"))).reason == "MalformedRequest"
    assert (
        refusal(site.handle(CertifyRequest(statement=statement.text()).frame())).reason == "MalformedRequest"
    )
    model = made.run.latest().released
    strange = CertifyRequest(statement=statement.text() + b" ").frame(model)
    assert refusal(site.handle(strange)).reason == "CertificateUnreadable"


def test_the_record_is_on_disk_before_the_shares_leave(fleet: Make) -> None:
    made, seen = fleet("amber", "herring", "salt", private=True, rounds=1), []

    def relay(address: int, frame: Frame, site: Any) -> Frame | None:
        answer = site(frame)
        if frame.kind == "unmask":
            name = list(made.folders)[address]
            seen.append([one.number for one in made.folders[name].engagement(made.charter).logbook.all()])
        return answer

    conduct(made.tape(relay), made.run, lambda outcome: None)
    assert seen == [[1]] * 3
