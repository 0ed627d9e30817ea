"""What a platform allows: each reason to refuse, and that nothing is charged by asking."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients.policy import (
    OutsideCharter,
    PrivateCatalogue,
    ProtectionWithoutCeiling,
    UnprotectedRefused,
    accept,
    admit,
    require_public_catalogue,
)
from common.charter import Charter, CharterInvalid
from common.errors import PrivacyRefused
from common.model.closed_form import StatisticsTerms
from common.privacy.accountant import epsilon_of
from common.privacy.errors import CeilingExceeded, PlanUnsound
from common.privacy.ledger import Ceiling, Charge, Ledger
from common.privacy.plan import PrivacyPlan
from common.requests import AdvertiseRequest
from scenarios.platforms.registry import load_scenario
from scenarios.platforms.spec import Source

Draft = Callable[..., Charter]


def opening(charter: Charter, **changes: Any) -> AdvertiseRequest:
    fields = {
        "run": charter.digest().hex(),
        "round": 1,
        "attempt": 1,
        "nonce": bytes(16),
        "cohort": tuple(member.platform for member in charter.members),
    }
    return AdvertiseRequest(**{**fields, **changes})


@pytest.fixture
def ledger(tmp_path: Path) -> Callable[[float], Ledger]:
    return lambda epsilon: Ledger.open(tmp_path / "ledger.sqlite", Ceiling(epsilon, 1e-5))


def test_what_fits_is_admitted_and_nothing_is_charged(draft: Draft, ledger: Any) -> None:
    charter, book = draft(private=True), ledger(8.0)
    for number in (1, 2, 3):
        admit(charter, "salt", book, opening(charter, round=number))
    assert book.entries() == ()
    admit(draft(), "salt", None, opening(draft()))


def test_privacy_off_at_a_site_with_a_ceiling(draft: Draft, ledger: Any) -> None:
    with pytest.raises(UnprotectedRefused) as caught:
        admit(draft(), "salt", ledger(8.0), opening(draft()))
    assert caught.value.exit_code == 3


def test_a_private_run_at_a_site_without_a_ceiling(draft: Draft) -> None:
    charter = draft(private=True)
    with pytest.raises(ProtectionWithoutCeiling):
        admit(charter, "salt", None, opening(charter))


@pytest.mark.parametrize(
    "change",
    [
        {"run": "another run"},
        {"run": ""},
        {"round": 0},
        {"round": 4},
        {"round": 2**63 - 1},
        {"cohort": ("amber", "salt", "visby")},
        {"cohort": ("visby",)},
    ],
    ids=str,
)
def test_what_the_charter_does_not_provide_for(draft: Draft, change: dict[str, Any]) -> None:
    with pytest.raises(OutsideCharter):
        admit(draft(), "salt", None, opening(draft(), **change))


def test_the_run_of_an_edited_charter_is_another_run(draft: Draft) -> None:
    with pytest.raises(OutsideCharter):
        admit(draft(), "salt", None, opening(draft(rounds=2)))


def test_all_rounds_that_are_left_must_fit(draft: Draft, ledger: Any, plan: PrivacyPlan) -> None:
    """A ceiling between what one round and what three rounds spend: the last round fits, the first does not."""
    charter, whole = draft(private=True), plan.forecast().prv
    book = ledger(0.97 * whole)
    admit(charter, "salt", book, opening(charter, round=3))
    with pytest.raises(CeilingExceeded):
        admit(charter, "salt", book, opening(charter, round=1))
    assert book.entries() == ()


def test_a_ceiling_at_too_large_a_delta(draft: Draft, tmp_path: Path) -> None:
    """160 users: at δ = 0.01 the mechanism may expose one of them outright, and ε would be stated all the same."""
    charter = draft(private=True)
    for delta, fits in ((160**-1.1, True), (0.01, False)):
        book = Ledger.open(tmp_path / f"{fits}.sqlite", Ceiling(8.0, delta))
        if fits:
            admit(charter, "salt", book, opening(charter))
        else:
            with pytest.raises(PlanUnsound, match=r"the ceiling's δ = 0\.01 is too large for 160 users"):
                admit(charter, "salt", book, opening(charter))


def test_what_was_charged_by_any_run_counts(draft: Draft, ledger: Any, plan: PrivacyPlan) -> None:
    charter, book = draft(private=True), ledger(1.2 * plan.forecast().prv)
    admit(charter, "salt", book, opening(charter))
    for number in range(4):
        book.charge(Charge("another run", number, 1, "statistics", plan.per_round))
    with pytest.raises(CeilingExceeded):
        admit(charter, "salt", book, opening(charter))


STATISTICS = {"statistics": StatisticsTerms(noise_multiplier=1.5, rank=4)}


def test_every_purpose_that_is_left_must_fit(draft: Draft, ledger: Any, plan: PrivacyPlan) -> None:
    """A ceiling that training alone would keep: with the statistics it is passed, until they are paid for."""
    charter = draft(private=True, **STATISTICS)
    statistics = charter.besides_training("salt")
    both = epsilon_of([plan.whole, *statistics], 1e-5).prv
    assert plan.forecast().prv < 0.9 * both
    book = ledger(0.95 * both)
    for purpose in ("statistics", "train"):
        with pytest.raises(CeilingExceeded):
            admit(charter, "salt", book, opening(charter, purpose=purpose))
    book = Ledger.open(book.path, Ceiling(1.01 * both, 1e-5))
    admit(charter, "salt", book, opening(charter, purpose="statistics"))
    book.charge(Charge(charter.digest().hex(), 1, 1, "statistics", statistics[0]))
    admit(charter, "salt", book, opening(charter))
    with pytest.raises(CeilingExceeded):  # a second attempt is a second release
        admit(charter, "salt", book, opening(charter, purpose="statistics", attempt=2))


@pytest.mark.parametrize("number", [0, 2])
def test_statistics_are_released_in_one_round_or_not_at_all(draft: Draft, ledger: Any, number: int) -> None:
    charter = draft(private=True, **STATISTICS)
    with pytest.raises(OutsideCharter, match="for statistics"):
        admit(charter, "salt", ledger(8.0), opening(charter, purpose="statistics", round=number))
    without = draft(private=True)
    with pytest.raises(OutsideCharter, match="charter's 0 for statistics"):
        admit(without, "salt", ledger(8.0), opening(without, purpose="statistics"))


def test_a_plan_that_forgets_the_statistics_is_not_pinned(draft: Draft) -> None:
    charter = draft(private=True, **STATISTICS)
    accept(charter, "salt")
    members = tuple(
        member.model_copy(
            update={"privacy": member.privacy and member.privacy.model_copy(update={"epsilon": 0.6})}
        )
        for member in charter.members
    )
    with pytest.raises(PlanUnsound):
        accept(charter.model_copy(update={"members": members}), "salt")


def test_a_platform_that_is_not_on_the_roster(draft: Draft) -> None:
    with pytest.raises(CharterInvalid, match="visby is not on the roster"):
        admit(draft(), "visby", None, opening(draft()))
    with pytest.raises(CharterInvalid):
        accept(draft(), "visby")


def test_a_plan_must_keep_its_claim_at_this_platform(draft: Draft, plan: PrivacyPlan) -> None:
    charter = draft(private=True)
    accept(charter, "salt")
    accept(draft(), "salt")
    amber, *others = charter.members
    claim = amber.model_copy(update={"privacy": plan.model_copy(update={"epsilon": 0.01})})
    accept(draft(private=True, members=(claim, *others)), "salt")
    with pytest.raises(PlanUnsound) as caught:
        accept(draft(private=True, members=(claim, *others)), "amber")
    assert isinstance(caught.value, PrivacyRefused)


def test_learning_in_private_needs_a_public_catalogue() -> None:
    require_public_catalogue(load_scenario("grocery"))
    drugstore = load_scenario("drugstore")
    source = Source(events=Path("events.csv"))
    for items in (None, Path("events.csv")):
        private = drugstore.model_copy(update={"source": source.model_copy(update={"items": items})})
        with pytest.raises(PrivateCatalogue, match="read from the events"):
            require_public_catalogue(private)


def test_a_site_with_a_ceiling_and_a_private_catalogue_does_not_start(fleet: Callable[..., Any]) -> None:
    made = fleet(private=True)
    path = made.folders["salt"].path.with_name("harbour.toml")
    path.write_text(path.read_text().replace(', items = "items.csv"', ""))
    with pytest.raises(PrivateCatalogue):
        made.site("salt")
