"""Trap 6: training that looks normal and trains nothing, or what it must not. Each failure is brought about."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from clients import trainer
from clients.guard import SilentFailure, Watch, rehearse
from clients.private_optimizer import OsNoiseOptimizer
from clients.taps import NotPerUser
from clients.trainer import train
from common.model.layout import flatten, pack
from common.model.sequence import SIZES, build_model
from common.model.training import LocalTraining
from common.privacy.plan import PrivacyPlan
from common.randomness import OsRandomness

pytestmark = pytest.mark.usefixtures("one_thread")

WIDTH = 8
TERMS = LocalTraining(steps=3, bucket=256, expected_batch=64, negatives=16, history=20)
PLAN = PrivacyPlan(epsilon=8, delta=1e-3, noise_multiplier=1, sample_rate=0.25, denominator=64, clip=1,
                   rounds=1, local_steps=3, bucket=256)  # fmt: skip


class Adapted(nn.Module):
    """A frozen base and an adapter, as one would wrap them; ``mix`` may join users."""

    def __init__(self, mix=lambda made: made):
        super().__init__()
        self.base, self.adapter, self.mix = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH), mix
        self.base.requires_grad_(False)

    def forward(self, history):
        return self.mix(torch.tanh(self.base(history)) + self.adapter(history))


def sgd(model):
    return torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)


def wrapped_before_the_move():
    """The adapter that computes is the one from before a move; the model shows the one from after it."""
    model = Adapted()
    before, model.adapter = model.adapter, copy.deepcopy(model.adapter)
    model.adapter.forward = before.forward
    return model


def private_step_without_a_gradient(model):
    """What noise does alone; the loss and ε would not tell."""
    stepping = OsNoiseOptimizer(
        sgd(model), noise_multiplier=1.0, clip=1.0, denominator=1.0, noise=OsRandomness()
    )
    for p in model.parameters():
        if p.requires_grad:
            p.grad_sample = torch.zeros(1, *p.shape)
    stepping.step()


def test_an_adapter_that_trains_nothing_moves_all_the_same_and_is_found_before_the_first_step() -> None:
    model = wrapped_before_the_move()
    history = torch.randn(2, 5, WIDTH)
    loss = model(history).square().sum()
    assert loss.isfinite()
    assert torch.autograd.grad(loss, model.adapter.weight, allow_unused=True) == (None,)
    before = model.adapter.weight.detach().clone()
    private_step_without_a_gradient(model)
    assert (model.adapter.weight != before).all()  # the naive check, "did it move", is content
    with pytest.raises(SilentFailure, match=r"adapter\.weight gets no gradient") as caught:
        Watch.over(model, sgd(model), WIDTH)
    assert "does not depend on it" in caught.value.why


def test_an_adapter_that_is_never_called_is_found() -> None:
    model = Adapted()
    model.spare = nn.Linear(WIDTH, WIDTH)
    with pytest.raises(NotPerUser, match=r"spare.*called 0 times"):
        rehearse(model, WIDTH)


def test_an_adapter_that_is_multiplied_by_zero_is_found() -> None:
    class Silenced(Adapted):
        def forward(self, history):
            return self.base(history) + 0 * self.adapter(history)

    with pytest.raises(SilentFailure, match="gets no gradient"):
        rehearse(Silenced(), WIDTH)


@pytest.mark.parametrize(
    "mix",
    [lambda made: made + made.mean(0), lambda made: made + made.flip(0), lambda made: made * len(made)],
    ids=["the mean of the batch", "a neighbour's rows", "scaled by how many there are"],
)
def test_a_gradient_that_is_not_one_users_is_found(mix) -> None:
    with pytest.raises(SilentFailure, match="not one user's"):
        rehearse(Adapted(mix), WIDTH)


@pytest.mark.parametrize("size", SIZES)
def test_our_models_pass_untrained_though_their_residual_is_zero(size) -> None:
    rehearse(build_model(size, WIDTH), WIDTH)


def test_a_rehearsal_changes_nothing() -> None:
    model = build_model("tiny", WIDTH)
    before = pack(model)
    rehearse(model, WIDTH)
    assert np.array_equal(pack(model), before)
    assert all(p.grad is None for p in model.parameters())


def test_an_optimiser_made_before_the_parameters_were_replaced_is_found() -> None:
    model = Adapted()
    stale = sgd(model)
    model.adapter = copy.deepcopy(model.adapter)
    with pytest.raises(SilentFailure, match=r"does not move adapter\.weight"):
        Watch.over(model, stale, WIDTH)


def test_a_flat_parameter_stands_for_the_models_own_until_these_get_other_memory() -> None:
    model = build_model("tiny", WIDTH)
    optimizer = torch.optim.SGD([flatten(model)], lr=0.1)
    Watch.over(model, optimizer, WIDTH)
    model.residual.bias.data = model.residual.bias.data.clone()  # as a move to another device does
    with pytest.raises(SilentFailure, match=r"does not move residual\.bias"):
        Watch.over(model, optimizer, WIDTH)


def test_an_optimiser_that_would_move_what_is_frozen_is_found() -> None:
    model = Adapted()
    with pytest.raises(SilentFailure, match=r"would move base\.weight"):
        Watch.over(model, torch.optim.SGD(model.parameters(), lr=0.1), WIDTH)


def test_a_tensor_on_another_device_is_found_before_and_after() -> None:
    model = Adapted()
    watch = Watch.over(model, sgd(model), WIDTH)
    model.base.to("meta")
    for refused in (lambda: Watch.over(model, sgd(model), WIDTH), lambda: watch.check(model)):
        with pytest.raises(SilentFailure, match="not on one device") as caught:
            refused()
        assert caught.value.where == "cpu, meta"


@pytest.mark.parametrize(
    ("changed", "said"), [("base.weight", r"base\.weight moved"), ("seen", "seen moved")]
)
def test_what_is_frozen_and_moved_is_found_afterwards(changed, said) -> None:
    model = Adapted()
    model.register_buffer("seen", torch.zeros(1))
    watch = Watch.over(model, sgd(model), WIDTH)
    with torch.no_grad():
        for p in model.adapter.parameters():
            p.add_(1.0)
    watch.check(model)
    model.get_parameter(changed).data.add_(1e-6) if "." in changed else model.seen.add_(1)
    with pytest.raises(SilentFailure, match=said):
        watch.check(model)


def test_what_should_have_moved_and_did_not_is_found_afterwards() -> None:
    model = Adapted()
    watch = Watch.over(model, sgd(model), WIDTH)
    model.adapter.weight.data.add_(1.0)
    with pytest.raises(SilentFailure, match=r"adapter\.bias did not move"):
        watch.check(model)


def test_a_private_round_fails_with_the_reason_and_returns_nothing(features, sequences, monkeypatch) -> None:
    vector, load = pack(build_model("tiny", features.shape[1])), trainer.load_model

    def dead(vector, size, width):
        model = load(vector, size, width)
        before, model.residual = model.residual, copy.deepcopy(model.residual)
        model.residual.forward = before.forward
        return model

    monkeypatch.setattr(trainer, "load_model", dead)
    with pytest.raises(SilentFailure, match="gets no gradient"):
        train(vector, "tiny", features, sequences, TERMS, PLAN, OsRandomness())
