"""``hanse bench dp``: the same measuring in small sizes, and that its figures can fail."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from clients import layer_rules
from clients.private_optimizer import OsNoiseOptimizer
from common.model.layout import pack
from common.randomness import OsRandomness
from scenarios.benchmarks import cli, dp, exactness
from scenarios.benchmarks.dp import BARS, FULL, Sizes, measure, told
from scenarios.benchmarks.steps import Bench, Case

SMALL = Case("tiny", batch=8, length=6, steps=2)
RATIOS = {"ratio_to_nonprivate", "ratio_opacus_hooks", "ratio_opacus_ghost", "ratio_vmap"}

pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook", "ignore:There is a performance drop")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two would wait for each other wherever something else runs."""
    with dp._one_thread():
        yield


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    return measure(Sizes(SMALL, (("shorter", SMALL),), repeats=1, few=1), lambda done, total: None)


def test_the_keys_are_these(measured: dict[str, Any]) -> None:
    assert measured.keys() >= {*RATIOS, "max_relative_gradient_error", "sensitivity_over_C", "ratio_by_case"}
    assert all(measured[key] > 0 for key in RATIOS)
    assert measured["ratio_by_case"].keys() == {"shorter"}
    assert measured["gradient_error_by_layer"].keys() == {kind.__name__ for kind in layer_rules.RULES}
    assert json.loads(json.dumps(measured)) == measured


def test_what_does_not_depend_on_the_moment_reaches_its_bar(measured: dict[str, Any]) -> None:
    assert 0 < measured["max_relative_gradient_error"] <= 1e-5
    assert 0.99 < measured["sensitivity_over_C"] <= 1.000001
    assert measured["sensitivity_by_adversary"].keys() > {"one item repeated", "ratings infinite"}


def test_torchs_threads_are_left_as_they_were() -> None:
    torch.set_num_threads(2)
    with dp._one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_the_command_prints_a_table_or_json(
    measured: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[Sizes] = []
    monkeypatch.setattr(dp, "measure", lambda size, update: sizes.append(size) or measured)
    assert json.loads(CliRunner().invoke(cli.app, ["dp", "--json"]).stdout) == measured
    assert CliRunner().invoke(cli.app, ["dp"]).stdout == told(measured) + "\n"
    assert sizes == [FULL, FULL]
    assert {(bar.path[0], bar.bar) for bar in BARS} == {
        ("ratio_to_nonprivate", 1.30),
        ("max_relative_gradient_error", 1e-5),
        ("sensitivity_over_C", 1.000001),
    }
    assert all(bar.what in told(measured) for bar in BARS)
    wrong = told({**measured, "sensitivity_over_C": 1.0001, "max_relative_gradient_error": 1e-3})
    assert [line.endswith("NO") for line in wrong.splitlines()[2:4]] == [True, True]


def test_without_clipping_one_user_moves_the_sum_and_the_figure_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unclipped(self: OsNoiseOptimizer) -> None:
        for p in self.params:
            found = p.grad_sample.sum(0)
            p.summed_grad = found if p.summed_grad is None else p.summed_grad + found

    monkeypatch.setattr(OsNoiseOptimizer, "clip_and_accumulate", unclipped)
    assert dict(exactness.World("mse").changes(1.0))["ratings huge"] > 1000


def test_a_wrong_rule_is_a_gradient_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(given: torch.Tensor, upstream: torch.Tensor, views: layer_rules.Views) -> None:
        layer_rules._write_embedding(given.roll(1, 1), upstream, views)

    rule = layer_rules.LayerRule(frozenset({"weight"}), shifted, lambda _layer: "")
    monkeypatch.setitem(layer_rules.RULES, torch.nn.Embedding, rule)  # type: ignore[arg-type]
    errors = dict(exactness.World("softmax").errors())
    assert errors["Embedding"] > 0.1
    assert errors["Linear"] <= 1e-5


@pytest.mark.parametrize("way", ["plain", "hooks", "ghost", "vmap"])
def test_every_way_trains_on_the_batches_that_ours_drew(way: str) -> None:
    bench = Bench(SMALL)
    bench.hanse()()
    drawn = [users.copy() for users in bench.shelf.batches]
    assert len(drawn) == SMALL.steps
    seen: list[np.ndarray] = []
    step = getattr(bench, way)()
    bench.epoch(lambda users: (seen.append(users), step(users)))()
    assert all(np.array_equal(one, other) for one, other in zip(drawn, seen, strict=True))


@pytest.mark.parametrize("way", ["hooks", "ghost", "vmap"])
def test_the_usual_ways_compute_what_ours_does(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without noise and against the same negatives, one step of each ends at the same parameters."""
    models: list[torch.nn.Module] = []
    build = Case.model
    monkeypatch.setattr(Case, "model", lambda case: models.append(build(case)) or models[-1])
    bench = Bench(SMALL)
    monkeypatch.setattr(bench, "_draw", Fixed())
    monkeypatch.setattr(Bench, "_opacus", {**bench._opacus, "noise_multiplier": 0.0})
    monkeypatch.setattr(OsNoiseOptimizer, "add_noise", silent)
    bench.hanse()()
    bench.epoch(getattr(bench, way)())()
    ours, theirs = (pack(model) for model in models)
    assert np.abs(ours - pack(build(SMALL))).max() > 1e-3
    assert np.abs(ours - theirs).max() < 1e-5


class Fixed(OsRandomness):
    """Draws users at random, and always the same negatives."""

    def integers(self, high: int, count: int) -> np.ndarray:
        return np.arange(count) % high


def silent(optimizer: OsNoiseOptimizer) -> None:
    for p in optimizer.params:
        p.grad = p.summed_grad.view_as(p)
