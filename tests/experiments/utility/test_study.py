"""What the utility study trains, and what its figures mean."""

import pytest

from common.privacy.errors import PlanUnsound
from scenarios.experiments.utility.figures import Estimate, Reference, over_repeats, rows
from scenarios.experiments.utility.report import UtilityReport
from scenarios.experiments.utility.study import FAST, FULL, Cell, cells
from scenarios.experiments.utility.training import Trial

SMALL = FAST.model_copy(update={"test_users": 100})


def test_every_crowd_has_a_delta_that_its_size_allows() -> None:
    for crowd in FULL.crowds:
        assert crowd.delta <= crowd.users**-1.1


def test_the_largest_crowd_may_not_have_the_delta_of_the_others() -> None:
    crowd = FULL.crowds[-1].model_copy(update={"delta": 1e-5})
    with pytest.raises(PlanUnsound, match="too large for 100000 users"):
        FULL.plan(crowd, 8.0)


def test_the_smallest_crowd_gets_the_noise_of_its_plan() -> None:
    plan = FULL.plan(FULL.crowds[0], 1.0)
    assert plan.noise_multiplier == pytest.approx(4.54, rel=0.02)
    assert plan.whole.steps == 295


def test_every_cell_has_a_file_of_its_own_and_a_stopped_study_has_one_of_each_kind() -> None:
    asked = cells(FULL)
    assert len(asked) == 5 * (5 + 5 + 3)
    assert len({cell.slug for cell in asked}) == len(asked)
    assert {cell.repeat for cell in asked[:15]} == {1}


def test_every_system_trains_with_the_same_terms_whatever_its_epsilon() -> None:
    crowd = SMALL.crowds[0]
    plans = [SMALL.plan(crowd, epsilon) for epsilon in (1.0, 8.0)]
    assert plans[0].noise_multiplier > plans[1].noise_multiplier
    assert {plan.sample_rate for plan in plans} == {SMALL.terms(crowd).sample_rate}
    assert {plan.local_steps for plan in plans} == {SMALL.terms(crowd).steps}


def test_what_has_no_noise_repeats_and_what_has_noise_does_not() -> None:
    trial = Trial.of(SMALL)
    clipped, private = Cell(300, "clipped", None, 1), Cell(300, "private", 8.0, 1)
    assert trial.trained(clipped).tolist() == trial.trained(clipped).tolist()
    assert trial.trained(private).tolist() != trial.trained(private).tolist()


def test_an_interval_over_repeats_is_students() -> None:
    one = over_repeats([0.1, 0.2, 0.3])
    assert (one.mean, one.high - one.mean) == pytest.approx((0.2, 4.302653 * 0.1 / 3**0.5))
    assert over_repeats([0.1]).low == over_repeats([0.1]).high == 0.1


def test_the_gain_kept_is_counted_from_zero_shot_repeat_by_repeat() -> None:
    reached = {
        **{("private", repeat): 0.1 + 0.05 * repeat for repeat in (1, 2)},
        **{("clipped", repeat): 0.1 + 0.1 * repeat for repeat in (1, 2)},
        **{("open", repeat): 0.1 + 0.2 * repeat for repeat in (1, 2)},
    }
    private, clipped, unclipped = rows(SMALL, 0.1, lambda cell: reached[cell.system, cell.repeat])
    assert private.kept.mean == pytest.approx(0.5)
    assert private.kept.low == pytest.approx(private.kept.high)
    assert (clipped.kept.mean, unclipped.kept.mean) == pytest.approx((1.0, 2.0))
    assert private.spent is not None and 0 < private.spent <= 8
    assert (clipped.spent, clipped.noise) == (None, 0.0)


def told(repeats: int, unclipped: float) -> UtilityReport:
    """A report whose clipped models reach 0.2 and whose private ones reach 0.15, from 0.1."""
    crowd = SMALL.crowds[0].model_copy(update={"repeats": repeats})
    study = SMALL.model_copy(update={"crowds": (crowd,)})
    reached = {"private": 0.15, "clipped": 0.2, "open": unclipped}
    found = rows(study, 0.1, lambda cell: reached[cell.system])
    levels = [Reference(name, Estimate(at, at, at)) for name, at in (("oracle", 0.5), ("zero-shot", 0.1))]
    return UtilityReport(study, levels[0], levels[1], found)


def test_one_repeat_has_no_interval_and_decides_nothing() -> None:
    report = told(1, unclipped=0.18)
    assert all("one repeat" in line for line in report.lines if line[0] == "300")
    assert "With 300 users there is one repeat, and no interval." in report.notes
    assert not any("under-tuned" in note for note in report.notes)


def test_a_reference_that_clipping_improves_is_called_under_tuned() -> None:
    assert any("under-tuned" in note for note in told(2, unclipped=0.18).notes)
    assert not any("under-tuned" in note for note in told(2, unclipped=0.21).notes)


def test_the_answer_tells_what_the_strictest_epsilon_keeps() -> None:
    assert told(2, unclipped=0.2).answer == (
        "At ε = 8 a model keeps 50 % with 300 users of what it gains without noise."
    )
