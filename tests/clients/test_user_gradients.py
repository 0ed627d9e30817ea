"""The privacy guarantee stands on this: each user's gradient is that user's, and only that user's."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from opacus.grad_sample import GradSampleModule
from torch import nn

from clients.user_gradients import NotPerUser, user_gradients
from common.model.losses import LOSSES, user_losses
from common.model.sequence import build_model
from common.model.training import LocalTraining
from common.model.windows import PADDING

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


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize("loss", LOSSES)
def test_opacus_hooks_find_the_same(loss, model, batch):
    ours = user_gradients(model, partial(losses, model, batch, loss))
    hooked = GradSampleModule(copy.deepcopy(model), loss_reduction="sum")
    losses(hooked, batch, loss).sum().backward()
    for gradient, parameter in zip(ours, hooked.parameters(), strict=True):
        assert (gradient - parameter.grad_sample).norm() <= 1e-5 * gradient.norm()


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
