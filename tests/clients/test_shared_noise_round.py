"""A round of shared noise between real sites: what each adds, what is charged, what the coordinator gets."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clients import policy
from clients import round as rounds
from clients.site import Site
from common.charter import Charter
from common.deltas import AggregateDelta, Floats
from common.errors import PrivacyRefused
from common.frame import Frame
from common.privacy.accountant import epsilon_of
from common.privacy.errors import PlanUnsound
from common.privacy.noise import skellam_noise
from common.privacy.shared import SharedNoisePlan, if_aggregation_fails
from common.randomness import OsRandomness
from common.requests import AdvertiseRequest
from server.channel import Meter
from server.cohort import Cohort
from server.rounds import conduct, hold_opened

Make = Callable[..., Any]
Handle = Callable[[Frame], Frame]


@pytest.fixture
def noises(monkeypatch: pytest.MonkeyPatch) -> list[NDArray[np.int32]]:
    """Every noise that a site adds from now on, as it was drawn."""
    drawn: list[NDArray[np.int32]] = []

    def recorded(variance: int, count: int, randomness: OsRandomness) -> NDArray[np.int32]:
        assert isinstance(randomness, OsRandomness)
        drawn.append(skellam_noise(variance, count, randomness))
        return drawn[-1]

    monkeypatch.setattr(rounds, "skellam_noise", recorded)
    return drawn


def one_round(made: Any, relay: Any = None) -> AggregateDelta:
    opening = AdvertiseRequest(
        run=made.charter.digest().hex(), round=1, attempt=1, nonce=b"n" * 16, cohort=tuple(made.folders)
    )
    model = made.run.latest().state.parameters
    cohort = Cohort(Meter(made.tape(relay), 30.0))
    result, _ = hold_opened(cohort, made.charter, opening, model)
    return result


def of_sites(made: Any, *left: str) -> Floats:
    updates = [Site._train(made.site(name), made.run.latest().state.parameters, 1).values for name in left]
    return np.asarray(np.mean(np.asarray(updates, np.float64), axis=0))


def plan_of(charter: Charter) -> SharedNoisePlan:
    plan = charter.members[0].privacy
    assert isinstance(plan, SharedNoisePlan)
    return plan


def test_without_the_noise_the_mean_is_exact(fleet: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = fleet(private=True, shared=True)
    monkeypatch.setattr(rounds, "skellam_noise", lambda variance, count, _: np.zeros(count, np.int32))
    ring = made.charter.terms().ring
    mean = one_round(made).mean
    assert np.abs(mean - of_sites(made, *made.folders)).max() <= ring.clip / ring.top + 1e-7


def test_each_site_adds_its_own_share_and_the_mean_holds_them_all(
    fleet: Make, noises: list[NDArray[np.int32]]
) -> None:
    made = fleet(private=True, shared=True)
    ring, result = made.charter.terms().ring, one_round(made)
    assert len(noises) == len(made.folders)
    assert len({noise.tobytes() for noise in noises}) == len(noises)
    units = ring.clip / (ring.top * result.weight)
    exact = of_sites(made, *made.folders) + sum(noise.astype(np.float64) for noise in noises) * units
    assert np.abs(result.mean - exact).max() <= 4 * units + 1e-6
    spread = np.concatenate(noises).astype(np.float64)
    assert 0.4 < spread.var() / made.charter.share_variance < 2.0  # 96 draws


def test_a_site_that_drops_out_takes_its_share_with_it(fleet: Make, noises: list[NDArray[np.int32]]) -> None:
    made = fleet(private=True, shared=True)

    def relay(address: int, frame: Frame, site: Handle) -> Frame | None:
        return None if address == 2 and frame.kind == "upload" else site(frame)

    result, left = one_round(made, relay), [name for at, name in enumerate(made.folders) if at != 2]
    assert result.platforms == len(noises) == 3
    assert (len(left) - made.charter.colluders) * made.charter.share_variance >= plan_of(
        made.charter
    ).whole.variance
    ring = made.charter.terms().ring
    units = ring.clip / (ring.top * result.weight)
    exact = of_sites(made, *left) + sum(noise.astype(np.float64) for noise in noises) * units
    assert np.abs(result.mean - exact).max() <= 3 * units + 1e-6


def test_every_ledger_holds_the_mechanism_and_states_both_figures(fleet: Make) -> None:
    made = fleet(private=True, shared=True)
    conduct(made.tape(), made.run, lambda _: None)
    for name, folder in made.folders.items():
        ledger, plan = folder.ledger(), made.charter.member(name).privacy
        assert ledger.history() == (plan.per_round,) * 3
        assert ledger.spent() == epsilon_of([plan.whole], 1e-5)
        assert ledger.spent().prv <= plan.epsilon
        assert plan.epsilon < if_aggregation_fails(ledger.history(), 1e-5) <= plan.epsilon_alone


def test_the_ceiling_bounds_the_figure_with_aggregation(fleet: Make) -> None:
    made = fleet(private=True, shared=True, ceiling=6.1)
    assert plan_of(made.charter).epsilon_alone > 6.1
    one_round(made)
    poor = fleet(private=True, shared=True, ceiling=5.0)
    with pytest.raises(PrivacyRefused) as refused:
        conduct(poor.tape(), poor.run, lambda _: None)
    assert "CeilingExceeded" in str(refused.value.why)
    assert all(not folder.ledger().entries() for folder in poor.folders.values())


def test_a_site_pins_no_plan_that_claims_too_little_of_either_figure(draft_shared_charter: Make) -> None:
    charter = draft_shared_charter()
    policy.accept(charter, "salt")
    for name in ("epsilon", "epsilon_alone"):
        document = charter.model_dump(mode="json")
        for member in document["members"]:
            member["privacy"][name] *= 0.9
        with pytest.raises(PlanUnsound, match="claims"):
            policy.accept(Charter.model_validate(document), "salt")
