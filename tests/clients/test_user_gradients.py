"""The privacy guarantee stands on this: each user's gradient is that user's, and only that user's."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from opacus.grad_sample import GradSampleModule
from torch import nn

from clients.layer_rules import RULES
from clients.taps import NotPerUser
from clients.user_gradients import BUFFER_BYTES, GradientBuffer, user_gradients
from common.model.losses import LOSSES, user_losses
from common.model.sequence import build_model
from common.model.training import LocalTraining
from common.model.windows import PADDING

pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing")  # what Opacus' hooks say

USERS, LENGTH, FEATURES, ITEMS = 6, 20, 32, 200


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(4)
    features = nn.functional.normalize(torch.randn(ITEMS, FEATURES, generator=generator), dim=1)
    items = torch.randint(0, ITEMS, (USERS, LENGTH), generator=generator)
    items[1, 5:] = PADDING
    return features, items, 1 + 4 * torch.rand(USERS, LENGTH, generator=generator), torch.arange(50)


@pytest.fixture(scope="module")
def model():
    """At random parameters, none of them zero: a zero residual would hide every layer behind it."""
    model, generator = build_model("small", FEATURES), torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


def losses(model, batch, loss, users=slice(None)):
    features, items, values, negatives = batch
    features = features.to(next(model.parameters()).dtype)
    terms = LocalTraining(loss=loss, history=LENGTH)
    return user_losses(model, features, items[users], values[users], negatives, terms)


def one_by_one(model, batch, loss):
    """Batches of one by plain autograd, in double precision: (users, parameters) gradients."""
    exact = copy.deepcopy(model).double()
    parameters = list(exact.parameters())
    return [torch.autograd.grad(losses(exact, batch, loss, [u]).sum(), parameters) for u in range(USERS)]


@pytest.mark.parametrize("loss", LOSSES)
def test_every_layers_gradient_equals_a_batch_of_one(loss, model, batch):
    found = user_gradients(model, partial(losses, model, batch, loss))
    names = [name for name, _ in model.named_parameters()]
    for user, expected in enumerate(one_by_one(model, batch, loss)):
        for name, gradient, reference in zip(names, found, expected, strict=True):
            assert reference.norm() > 0, name
            error = (gradient[user] - reference).norm() / reference.norm()
            assert error < 1e-5, f"{name} of user {user} is off by {error:.1e}"


@pytest.mark.parametrize("loss", LOSSES)
def test_opacus_hooks_find_the_same(loss, model, batch):
    ours = user_gradients(model, partial(losses, model, batch, loss))
    hooked = GradSampleModule(copy.deepcopy(model), loss_reduction="sum")
    losses(hooked, batch, loss).sum().backward()
    for gradient, parameter in zip(ours, hooked.parameters(), strict=True):
        assert (gradient - parameter.grad_sample).norm() <= 1e-5 * gradient.norm()


def layer_cases():
    """Every layer type with a rule, in every form that its options give it; some with an input of their own."""
    generator = torch.Generator().manual_seed(3)
    rows = torch.randn(USERS, LENGTH, 7, generator=generator)
    places = torch.randint(0, 9, (USERS, LENGTH), generator=generator)  # with repeats
    yield "linear", nn.Linear(7, 5), rows
    yield "linear without bias", nn.Linear(7, 5, bias=False), rows
    frozen = nn.Linear(7, 5)
    frozen.weight.requires_grad_(False)
    yield "linear, its bias alone", frozen, rows
    yield "embedding", nn.Embedding(9, 5), places
    yield "embedding of the same places for all", nn.Embedding(30, 5), torch.arange(LENGTH).expand(USERS, -1)


LAYERS = {name: (layer, given) for name, layer, given in layer_cases()}


def test_every_rule_has_a_case():
    assert {type(layer) for layer, _ in LAYERS.values()} == set(RULES)


@pytest.mark.parametrize("case", LAYERS)
def test_every_rule_equals_batches_of_one_and_opacus_hooks(case):
    layer, given = LAYERS[case]
    generator = torch.Generator().manual_seed(8)
    wanted = torch.randn(USERS, LENGTH, 5, generator=generator)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))

    def loss(model, users, kind=torch.float32):
        inputs = given[users].to(kind) if given.is_floating_point() else given[users]
        return (model(inputs) - wanted[users].to(kind)).tanh().square().sum((1, 2))

    everyone = list(range(USERS))
    ours = user_gradients(layer, lambda: loss(layer, everyone))
    exact = copy.deepcopy(layer).double()
    trained = [p for p in exact.parameters() if p.requires_grad]
    for user in everyone:
        alone = torch.autograd.grad(loss(exact, [user], torch.float64).sum(), trained)
        for gradient, reference in zip(ours, alone, strict=True):
            assert reference.norm() > 0
            assert (gradient[user] - reference).norm() <= 1e-5 * reference.norm()
    hooked = GradSampleModule(copy.deepcopy(layer), loss_reduction="sum")
    loss(hooked, everyone).sum().backward()
    for gradient, p in zip(ours, (p for p in hooked.parameters() if p.requires_grad), strict=True):
        assert (gradient - p.grad_sample).norm() <= 1e-5 * gradient.norm()


@pytest.mark.parametrize("rows", [1, 2, 4, USERS, 50])
def test_the_parts_are_the_whole_whatever_they_hold_and_whatever_was_there(rows, model, batch):
    buffer = GradientBuffer(model, rows)
    whole = torch.cat(
        [g.flatten(1) for g in user_gradients(model, partial(losses, model, batch, "softmax"))], 1
    )
    for _ in range(2):  # the second time over what the first one left
        parts = [part.clone() for part in buffer.parts(partial(losses, model, batch, "softmax"))]
        assert [len(part) for part in parts] == [len(cut) for cut in torch.arange(USERS).split(rows)]
        assert torch.allclose(torch.cat(parts), whole, rtol=1e-5, atol=1e-7)


def test_every_step_writes_into_the_same_memory_and_no_more_of_it(model, batch):
    buffer = GradientBuffer(model)
    first, second = (next(buffer.parts(partial(losses, model, batch, "mse"))) for _ in range(2))
    assert first.data_ptr() == second.data_ptr()
    assert first is not second  # Opacus refuses a tensor that it has seen
    assert first.untyped_storage().nbytes() <= BUFFER_BYTES


def test_nobody_drawn_gives_no_part(model, batch):
    nobody = partial(losses, model, batch, "softmax", np.array([], int))
    assert list(GradientBuffer(model).parts(nobody)) == []


def test_nobody_drawn_gives_no_gradient_of_the_right_shape(model, batch):
    found = user_gradients(model, partial(losses, model, batch, "softmax", np.array([], int)))
    assert [tuple(g.shape) for g in found] == [(0, *p.shape) for p in model.parameters()]


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(self.layer(x))


@pytest.mark.parametrize(
    ("layers", "reshape"),
    [
        (nn.LayerNorm(4), lambda x: x),
        (Twice(), lambda x: x),
        (nn.Linear(4, 4), lambda x: x.flatten(0, 1)),
        (nn.Linear(4, 4), lambda x: x.transpose(0, 1)),
    ],
    ids=["unknown layer", "used twice", "users and positions flattened", "users not first"],
)
def test_what_opacus_would_silently_get_wrong_is_refused(layers, reshape):
    given = torch.randn(3, 5, 4)
    with pytest.raises(NotPerUser):
        user_gradients(layers, lambda: layers(reshape(given)).reshape(3, -1).sum(1))


def test_hooks_are_gone_afterwards(model, batch):
    user_gradients(model, partial(losses, model, batch, "softmax"))
    assert not any(module._forward_hooks for module in model.modules())
