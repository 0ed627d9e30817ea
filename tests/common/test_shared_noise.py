"""Charters of shared noise: what they must hold so that the stated ε is that of every sum."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from common.charter import Charter
from common.deltas import ClippedDelta
from common.privacy.errors import PlanUnsound
from common.privacy.noise import largest_noise, skellam_noise
from common.privacy.plan import PrivacyPlan
from common.privacy.shared import SharedNoisePlan
from common.randomness import OsRandomness

Draft = Callable[..., Charter]


def changed(charter: Charter, at: int = 0, **changes: Any) -> Charter:
    """The same charter, validated anew, with other fields in one member's plan or training."""
    document = charter.model_dump(mode="json")
    member = document["members"][at]
    for name, value in changes.items():
        member["privacy" if name in member["privacy"] else "training"][name] = value
    return Charter.model_validate(document)


def test_it_is_signed_and_read_back_with_its_plans(draft_shared_charter: Draft) -> None:
    charter = draft_shared_charter()
    again = Charter.model_validate_json(charter.model_dump_json())
    assert again == charter
    assert again.digest() == charter.digest()
    assert all(isinstance(member.privacy, SharedNoisePlan) for member in again.members)
    assert charter.share_variance == charter.members[0].privacy.share_variance  # type: ignore[union-attr]


def test_the_ring_leaves_room_for_the_largest_noise(draft_shared_charter: Draft) -> None:
    charter = draft_shared_charter()
    assert charter.share_variance is not None
    assert charter.terms().ring.noise == largest_noise(charter.share_variance)
    assert charter.terms().ring.holds(len(charter.members))


def test_a_charter_without_headroom_for_its_noise_is_refused(draft_shared_charter: Draft) -> None:
    """Lanes of 16 bits are full: they have room for rounding and for nothing else."""
    charter = draft_shared_charter()
    members = [member.model_copy(update={"weight": 0.25}) for member in charter.members]
    tensors = [{"size": charter.model.parameters, "clip": charter.ring_clip}]
    narrow = {"ring_width": 16, "ring_bits": 16, "ring_tensors": tensors, "members": members}
    with pytest.raises(ValidationError, match="no headroom"):
        Charter.model_validate({**dict(charter), **narrow})


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"share_variance": 10**6}, "different shares"),
        ({"optimizer": "adam"}, "adam would undo the clip"),
        ({"shares": 3}, "only 2 are sure"),
        ({"coordinates": 23}, "more than a plan accounts for"),
        ({"sensitivity": 1.0}, "more than a plan accounts for"),
        ({"learning_rate": 50.0}, "more than a plan accounts for"),
        ({"clip": 2.0}, "more than a plan accounts for"),
        ({"denominator": 4.0}, "more than a plan accounts for"),
        ({"local_steps": 2}, "one share of the noise alone"),
        ({"steps": 2}, "other steps"),
        ({"rounds": 2}, "fewer rounds"),
    ],
)
def test_a_plan_without_its_guarantee_is_refused(
    draft_shared_charter: Draft, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises((ValidationError, PlanUnsound), match=why):
        changed(draft_shared_charter(), **changes)


def test_a_heavier_weight_asks_for_more_noise(draft_shared_charter: Draft) -> None:
    document = draft_shared_charter().model_dump(mode="json")
    document["members"][1]["weight"] = 2.0
    with pytest.raises(ValidationError, match="more than a plan accounts for"):
        Charter.model_validate(document)


def test_plans_of_two_modes_do_not_mix(draft_shared_charter: Draft, draft: Draft, plan: PrivacyPlan) -> None:
    shared = draft_shared_charter()
    with pytest.raises(ValidationError, match="another mode than 'local'"):
        Charter.model_validate({**dict(shared), "privacy": "local"})
    with pytest.raises(ValidationError, match="all members have a plan, or none"):
        Charter.model_validate({**dict(shared), "privacy": "off", "seed": 7})
    with pytest.raises(ValidationError, match="another mode than 'shared-noise'"):
        Charter.model_validate({**dict(draft(private=True)), "privacy": "shared-noise"})


def test_fewer_colluders_may_count_on_more_shares(draft_shared_charter: Draft) -> None:
    """Without colluders all three of the fewest survivors are honest."""
    document = draft_shared_charter().model_dump(mode="json")
    for member in document["members"]:
        member["privacy"]["shares"] = 3
    with pytest.raises(ValidationError, match="only 2 are sure"):
        Charter.model_validate(document)
    Charter.model_validate({**document, "colluders": 0})


def test_what_the_ring_gives_back_has_at_least_the_variance_that_is_claimed(
    draft_shared_charter: Draft,
) -> None:
    """2²⁰ draws through rounding, ring and mean, for every admitted number of survivors of four platforms."""
    charter = draft_shared_charter(parameters=1 << 20)
    share, plan = charter.share_variance, charter.members[0].privacy
    assert share is not None
    assert isinstance(plan, SharedNoisePlan)
    ring, size = charter.terms().ring, charter.model.parameters
    total = np.zeros(size + 2, np.uint32)
    for survivors in range(1, 5):
        zeros = ring.quantise(ClippedDelta(np.zeros(size, np.float32), ring.clip), 1.0, OsRandomness())
        total += ring.noised(zeros, skellam_noise(share, size, OsRandomness())).lanes
        if survivors < charter.terms().floor(4):
            continue
        result = ring.dequantise(total)
        whole = result.mean.astype(np.float64) * result.weight * ring.top / ring.clip
        honest = whole.var() * (survivors - charter.colluders) / survivors
        assert whole.var() == pytest.approx(survivors * share, rel=0.01)
        assert abs(whole.mean()) < 6 * math.sqrt(survivors * share / size)
        assert honest >= 0.99 * plan.whole.variance
