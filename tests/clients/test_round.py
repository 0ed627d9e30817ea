"""What a platform sends of its update: clipped to the ring, rounded as the charter says, and finite."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clients.memory import MemoryFile
from clients.round import Member, OutOfTurn, Round, UpdateNotFinite, WrongModel
from common.charter import Charter
from common.deltas import AdapterDelta, Floats
from common.privacy.errors import AlreadyCharged
from common.privacy.ledger import Ceiling, Charge, Ledger
from common.privacy.plan import PrivacyPlan
from common.replies import UNAVAILABLE, refusal, refuse
from common.requests import AdvertiseRequest, SignRequest, UnmaskRequest, UploadRequest

MODEL = np.zeros(24, np.float32)


@pytest.fixture
def member(
    draft: Callable[..., Charter], identity: Callable[[str], Ed25519PrivateKey], tmp_path: Path
) -> Callable[..., Member]:
    def make(update: Floats = MODEL, *, private: bool = False, **changes: Any) -> Member:
        ledger = Ledger.open(tmp_path / "ledger.sqlite", Ceiling(8.0, 1e-5)) if private else None
        memory, witnesses = MemoryFile(tmp_path / "memory.json"), MemoryFile(tmp_path / "witnesses.json")
        charter = draft(private=private, **changes)
        return Member(
            "salt",
            identity("salt"),
            charter,
            ledger,
            memory,
            witnesses,
            {"train": lambda model, number: AdapterDelta(update)},
        )

    return make


def opening(charter: Charter, **changes: Any) -> AdvertiseRequest:
    cohort = tuple(member.platform for member in charter.members)
    run = charter.digest().hex()
    fields = {"run": run, "round": 1, "attempt": 1, "nonce": b"n" * 16, "cohort": cohort}
    return AdvertiseRequest(**{**fields, **changes})


def quantised(member: Member, number: int = 1) -> np.ndarray:
    return (
        Round(member, opening(member.charter, round=number), MODEL)
        ._quantise(member.contribute["train"](MODEL, number))
        .lanes
    )


def as_values(lanes: np.ndarray, charter: Charter) -> np.ndarray:
    return lanes[:-2].view(np.int32) * charter.ring_clip / charter.terms().ring.top


def test_coordinates_beyond_the_ring_are_clipped_to_its_edge(member: Callable[..., Member]) -> None:
    update = np.linspace(-3, 3, 24, dtype=np.float32)
    made = member(update, ring_clip=0.5)
    values = as_values(quantised(made), made.charter)
    assert np.allclose(values, np.clip(update, -0.5, 0.5), atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_update_that_is_not_finite_never_leaves(member: Callable[..., Member], bad: float) -> None:
    """Nor does the reason: it depends on the data. Infinity is no large update that the ring would clip."""
    update = MODEL.copy()
    update[3] = bad
    made = member(update)
    with pytest.raises(UpdateNotFinite) as caught:
        quantised(made)
    assert refusal(refuse(caught.value)).reason == UNAVAILABLE


def test_with_a_seed_rounding_repeats_by_round_and_platform(member: Callable[..., Member]) -> None:
    made = member(np.full(24, 0.1234567, np.float32))
    assert np.array_equal(quantised(made), quantised(made))
    assert not np.array_equal(quantised(made), quantised(made, 2))
    other = replace(made, platform="amber")
    assert not np.array_equal(quantised(made), quantised(other))


def test_with_privacy_on_rounding_never_repeats(member: Callable[..., Member]) -> None:
    made = member(np.full(24, 0.1234567, np.float32), private=True)
    assert not np.array_equal(quantised(made), quantised(made))


@pytest.mark.parametrize(
    "model", [MODEL[:-1], np.zeros((24, 1), np.float32), np.full(24, np.nan, np.float32)]
)
def test_a_wrong_model_opens_no_round(member: Callable[..., Member], model: Floats) -> None:
    made = member()
    with pytest.raises(WrongModel):
        Round(made, opening(made.charter), model)
    assert not made.memory.path.exists()


def test_nothing_is_answered_before_the_opening(member: Callable[..., Member]) -> None:
    made = member()
    opened = Round(made, opening(made.charter), MODEL)
    for ask in (
        lambda: opened.upload(UploadRequest(attempt=1, sealed={})),
        lambda: opened.sign(SignRequest(attempt=1, survivors=())),
        lambda: opened.unmask(UnmaskRequest(attempt=1, signatures={})),
    ):
        with pytest.raises(OutOfTurn):
            ask()


def test_the_advert_carries_the_ledgers_head(member: Callable[..., Member], plan: PrivacyPlan) -> None:
    made = member(private=True)
    assert made.ledger is not None
    made.ledger.charge(Charge("earlier", 1, 1, "statistics", plan.per_round))
    advert = Round(made, opening(made.charter), MODEL).advertise()
    assert (advert.witness.counter, advert.witness.head) == made.ledger.head()
    assert advert.witness.counter == 1


def test_a_round_that_was_charged_by_whatever_process_is_not_charged_again(
    member: Callable[..., Member], plan: PrivacyPlan
) -> None:
    made = member(private=True)
    assert made.ledger is not None
    request = opening(made.charter)
    opened = Round(made, request, MODEL)
    made.ledger.charge(Charge(request.run, 1, 1, "training", plan.per_round))
    with pytest.raises(AlreadyCharged):
        opened._charge()
    assert len(made.ledger.entries()) == 1
