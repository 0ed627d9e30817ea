"""Traps 1 to 4: gradients that are not one per user, though ε and the loss look normal.

Each test first builds the usual code and shows the harm on it, then holds ours against the same.
"""

import copy
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from opacus.grad_sample import GradSampleModule, GradSampleModuleFastGradientClipping
from opacus.layers import DPMultiheadAttention
from opacus.optimizers import DPOptimizer
from torch import nn

from clients.per_user import validate
from clients.taps import NotPerUser
from clients.trainer import Shelf
from clients.user_gradients import user_gradients
from common.model.sequence import Block, Dimensions, build_model
from common.model.training import LocalTraining
from common.model.windows import Windows
from common.randomness import KeyedRandomness

USERS, LENGTH, WIDTH, CLIP = 5, 20, 8, 1.0

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:Full backward hook is firing"),
    pytest.mark.filterwarnings("ignore:Per-sample gradient clipping"),
]


class Shared(nn.Module):
    """A linear layer; ``fold`` shows it each interaction as a row of its own."""

    def __init__(self, *, fold: bool) -> None:
        super().__init__()
        self.layer, self.fold = nn.Linear(WIDTH, WIDTH), fold

    def forward(self, history: torch.Tensor) -> torch.Tensor:
        rows = history.flatten(0, 1) if self.fold else history
        made: torch.Tensor = self.layer(rows)
        return made.view(history.shape)


def released(model: nn.Module, loss: torch.Tensor) -> torch.Tensor:
    """Opacus' clipped sum before noise, (d,), of a hooked ``model`` whose ``loss`` was just computed."""
    loss.backward()  # type: ignore[no-untyped-call]
    stepping = DPOptimizer(
        torch.optim.SGD(model.parameters(), lr=1.0),
        noise_multiplier=0.0,
        max_grad_norm=CLIP,
        expected_batch_size=1,
    )
    stepping.clip_and_accumulate()
    return torch.cat([p.summed_grad.flatten() for p in model.parameters()])


def clipped_sum(gradients: list[torch.Tensor]) -> torch.Tensor:
    """The same of ours, (d,), from one gradient per user."""
    rows = torch.cat([g.flatten(1) for g in gradients], 1)
    return (rows * (CLIP / rows.norm(dim=1, keepdim=True)).clamp(max=1)).sum(0)


def normal(*shape: int, label: str = "") -> torch.Tensor:
    count = int(np.prod(shape))
    return torch.from_numpy(KeyedRandomness("traps", label, *shape).normal(count)).float().view(shape)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """At parameters none of which is zero: a zero residual would hide every layer behind it."""
    model = build_model("tiny", WIDTH)
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            parameter.add_(0.3 * normal(*parameter.shape, label=str(number)))
    return model


# 1: clipping per interaction


def test_layers_that_see_interactions_let_one_user_count_as_often_as_they_have_interactions() -> None:
    alike = normal(1, 1, WIDTH).expand(1, LENGTH, WIDTH)  # one person who likes one thing

    def contribution(*, fold: bool) -> float:
        hooked = GradSampleModule(Shared(fold=fold), loss_reduction="sum")
        return released(hooked, 100 * hooked(alike).sum()).norm().item()

    assert contribution(fold=False) == pytest.approx(CLIP, rel=1e-4)
    assert contribution(fold=True) > 18 * CLIP
    with pytest.raises(NotPerUser, match="a row would be an interaction"):
        validate(Shared(fold=True), WIDTH)
    folded = Shared(fold=True)
    with pytest.raises(NotPerUser, match="a row would be an interaction"):
        user_gradients(folded, lambda: folded(alike).sum((1, 2)))


def test_our_model_bounds_a_user_with_many_interactions_by_the_clip(model: nn.Module) -> None:
    alike = normal(1, 1, WIDTH).expand(1, LENGTH, WIDTH)
    found = user_gradients(model, lambda: 100 * model(alike).sum((1, 2)))
    assert torch.cat([g.flatten() for g in found]).norm() > 10 * CLIP  # there is something to clip
    assert clipped_sum(found).norm().item() <= CLIP * (1 + 1e-6)


# 2: others' rows in a user's loss


def test_in_batch_negatives_move_the_sum_by_more_than_the_clip() -> None:
    towers, queries, targets = nn.Linear(WIDTH, WIDTH), 3 * normal(USERS, WIDTH), 3 * normal(USERS, WIDTH)

    def naive(queries: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        hooked = GradSampleModule(copy.deepcopy(towers), loss_reduction="sum")
        scores = hooked(queries) @ targets.T
        return released(
            hooked, nn.functional.cross_entropy(scores, torch.arange(len(queries)), reduction="sum")
        )

    alone, worst = naive(queries, targets), 0.0
    for attempt in range(100):
        adversary = 3 * normal(1, WIDTH, label=f"q{attempt}"), 10 * normal(1, WIDTH, label=f"t{attempt}")
        joined = naive(torch.cat([queries, adversary[0]]), torch.cat([targets, adversary[1]]))
        worst = max(worst, (joined - alone).norm().item())
    assert worst > 2.5 * CLIP


@pytest.mark.parametrize("loss", ["softmax", "bce", "mse"])
def test_nobody_moves_our_sum_by_more_than_the_clip(loss: str, model: nn.Module) -> None:
    features, draw = nn.functional.normalize(normal(40, WIDTH), dim=1), KeyedRandomness("rows")
    adversaries = 30
    everyone = USERS + adversaries
    items = draw.integers(40, everyone * LENGTH).reshape(everyone, LENGTH)
    values = np.ones((everyone, LENGTH), np.float32)
    values[USERS:] *= 1e4  # no rating is too far off to try
    shelf, terms = Shelf(features, Windows(items, values)), LocalTraining(loss=loss, negatives=30)

    def ours(*more: int) -> torch.Tensor:
        users = np.array([*range(USERS), *more])
        negatives = KeyedRandomness("negatives")  # the same: their draw does not look at users
        found = user_gradients(model, partial(shelf.losses, model, users, terms, negatives))
        return clipped_sum(found).double()

    alone = ours()
    worst = max((ours(adversary) - alone).norm().item() for adversary in range(USERS, everyone))
    assert 0.001 < worst <= CLIP * (1 + 1e-5)  # float32 sums


# 3: Opacus' own attention


def test_opacus_attention_with_the_batch_first_looks_ahead_and_ours_does_not() -> None:
    reference = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
    theirs = DPMultiheadAttention(WIDTH, 2, batch_first=True)
    theirs.load_state_dict(reference.state_dict())
    length = USERS  # a mask of another size is refused, for it compares it with the users
    history = 2 * normal(USERS, length, WIDTH)
    later = torch.cat([history[:, :-1], 3 * normal(USERS, 1, WIDTH, label="later")], dim=1)
    future = torch.ones(length, length, dtype=torch.bool).triu(1)

    def of(attention: nn.Module, given: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = attention(given, given, given, attn_mask=future, need_weights=False)[0]
        return made.detach()

    def leak(past: torch.Tensor, ahead: torch.Tensor) -> float:
        return (past[:, :-1] - ahead[:, :-1]).abs().max().item()

    assert (of(theirs, history) - of(reference, history)).abs().max() > 0.3
    assert leak(of(theirs, history), of(theirs, later)) > 0.3
    assert leak(of(reference, history), of(reference, later)) < 1e-5
    block = Block(Dimensions(width=WIDTH, heads=2, hidden=16, bottleneck=4))
    assert leak(block(history).detach(), block(later).detach()) < 1e-5


def test_nothing_of_ours_is_built_from_opacus_layers() -> None:
    """Its attention keeps users apart, so that the validator has nothing to say: it is wrong, not shared."""
    root = Path(__file__).parents[2]
    ours = [f for area in ("common", "clients", "server", "scenarios") for f in (root / area).rglob("*.py")]
    assert len(ours) > 100
    assert not [file.name for file in ours if "opacus.layers" in file.read_text("utf-8")]


# 4: state and sharing between uses of a layer


class Branches(nn.Module):
    """Two layers, the second of which not every step uses."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.both = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH), True

    def forward(self, history: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.first(history)
        return made + self.second(history) if self.both else made


def test_ghost_clipping_remembers_the_last_batch_and_ours_refuses_the_step() -> None:
    branches, history = Branches(), normal(USERS, LENGTH, WIDTH)
    ghost = GradSampleModuleFastGradientClipping(branches, loss_reduction="sum")
    (100 * ghost(history)).square().sum().backward()
    ghost.get_norm_sample()
    for parameter in branches.parameters():
        parameter.grad = None
    branches.both = False
    ghost(history).square().sum().backward()
    remembered = ghost.get_norm_sample()
    plain = Branches()
    plain.load_state_dict(branches.state_dict())
    plain.second.requires_grad_(False)
    plain.both = False
    found = user_gradients(plain, lambda: plain(history).square().sum((1, 2)))
    true = torch.cat([g.flatten(1) for g in found], 1).norm(dim=1)
    assert (remembered / true).min() > 10  # everyone is scaled down by what they did before
    plain.second.requires_grad_(True)
    with pytest.raises(NotPerUser, match="called 0 times"):
        user_gradients(plain, lambda: plain(history).square().sum((1, 2)))


def test_a_module_registered_twice_has_gradients_twice_as_large_under_opacus_and_is_refused_here() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(WIDTH, WIDTH)
            self.branch = nn.Sequential(self.layer)

        def forward(self, history: torch.Tensor) -> torch.Tensor:
            made: torch.Tensor = self.branch(history)
            return made

    twice, history = Twice(), normal(USERS, LENGTH, WIDTH)
    expected = torch.autograd.grad(twice(history).square().sum(), twice.layer.weight)[0]
    hooked = GradSampleModule(twice, loss_reduction="sum")
    hooked(history).square().sum().backward()
    found = twice.layer.weight.grad_sample.sum(0)
    assert (found - 2 * expected).norm() < 1e-4 * expected.norm()
    with pytest.raises(NotPerUser, match="registered twice"):
        validate(Twice(), WIDTH)


class Places(nn.Module):
    """Positions broadcast over the users, as most transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.places, self.layer = nn.Embedding(LENGTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, history: torch.Tensor) -> torch.Tensor:
        ids = torch.arange(history.shape[1]).unsqueeze(0)
        made: torch.Tensor = self.layer(history + self.places(ids))
        return made


def test_broadcast_positions_have_one_gradient_for_all_and_are_refused() -> None:
    hooked = GradSampleModule(Places(), loss_reduction="sum")
    hooked(normal(USERS, LENGTH, WIDTH)).square().sum().backward()
    lengths = {name: len(p.grad_sample) for name, p in hooked.named_parameters()}
    assert lengths["_module.places.weight"] == 1  # and everyone's at once, so that it cannot be stacked
    assert lengths["_module.layer.weight"] == USERS
    with pytest.raises(NotPerUser, match="broadcast over the users: expand"):
        validate(Places(), WIDTH)
