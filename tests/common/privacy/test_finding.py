"""What an audit found, against what was claimed."""

import pytest
from pydantic import ValidationError

from common.privacy.finding import AuditFinding

FOUND = AuditFinding(
    attack="one run",
    canaries=1000,
    guesses=400,
    correct=260,
    confidence=0.95,
    delta=1e-5,
    claimed_epsilon=3.0,
    lower_bound=0.4,
)


@pytest.mark.parametrize(("bound", "contradicts"), [(0.4, False), (3.0, False), (3.001, True)])
def test_a_bound_above_the_claim_contradicts_it(bound: float, contradicts: bool) -> None:
    assert FOUND.model_copy(update={"lower_bound": bound}).contradicts is contradicts


@pytest.mark.parametrize(
    "wrong", [{"canaries": 0}, {"confidence": 1.0}, {"lower_bound": -0.1}, {"delta": 0.0}]
)
def test_impossible_values_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        AuditFinding.model_validate(FOUND.model_dump() | wrong)
