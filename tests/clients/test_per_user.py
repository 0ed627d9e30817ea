"""What the validator refuses before training, and that it says why."""

import pytest
import torch
from torch import nn

from clients.per_user import validate
from clients.taps import NotPerUser
from clients.user_gradients import user_gradients
from common.model.sequence import SIZES, build_model

WIDTH = 4


class Model(nn.Module):
    """A named layer, and what is done with it."""

    def __init__(self, layer, run, **more):
        super().__init__()
        self.layer, self._run = layer, run
        for name, module in more.items():
            setattr(self, name, module)

    def forward(self, history):
        return self._run(self, history)


class Offset(nn.Module):
    def __init__(self):
        super().__init__()
        self.offset = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        return x + self.offset


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def linear(bias=True):
    return nn.Linear(WIDTH, WIDTH, bias=bias)


def plain(model, history):
    return model.layer(history)


def places(model, history, users=1):
    return history + model.layer(torch.arange(history.shape[1]).expand(users, -1))


def tied():
    first, second = linear(bias=False), linear(bias=False)
    second.weight = first.weight
    return Model(first, lambda m, x: m.other(m.layer(x)), other=second)


def twice():
    layer = linear()
    return Model(layer, lambda m, x: m.layer(x), other=layer)


def frozen_batch_norm():
    norm = nn.BatchNorm1d(5, affine=False)
    return Model(linear(), lambda m, x: m.norm(m.layer(x)), norm=norm)


def attention():
    return Model(nn.MultiheadAttention(WIDTH, 1, batch_first=True), lambda m, x: m.layer(x, x, x)[0])


def nothing():
    return Model(linear().requires_grad_(False), plain)


def overwritten(model, history):
    return torch.relu_(model.layer(history))


def weighted_norm():
    return Model(nn.utils.parametrizations.weight_norm(linear()), plain)


REFUSED = {
    "an unknown layer": (lambda: Model(nn.LayerNorm(WIDTH), plain), "LayerNorm.*no rule"),
    "a bare parameter": (lambda: Model(Offset(), plain), "Offset.*no rule"),
    "a subclass": (lambda: Model(Doubled(WIDTH, WIDTH), plain), "Doubled.*no rule"),
    "a reparametrised weight": (weighted_norm, "no rule for its"),
    "ready-made attention": (attention, "no rule"),
    "batch norm": (lambda: Model(nn.BatchNorm1d(5), plain), "statistics are taken over the users"),
    "batch norm without parameters": (frozen_batch_norm, "statistics are taken over the users"),
    "nothing to train": (nothing, "no trainable layer"),
    "a tied weight": (tied, "a parameter that two layers share"),
    "a layer registered twice": (twice, "registered twice"),
    "a layer called twice": (
        lambda: Model(linear(), lambda m, x: m.layer(m.layer(x))),
        "called 2 times.*added up",
    ),
    "a layer never called": (
        lambda: Model(linear(), plain, other=linear()),
        r"other \(Linear\): called 0 times.*noise alone",
    ),
    "broadcast places": (
        lambda: Model(nn.Embedding(9, WIDTH), places),
        r"made \(1, 5, 4\) for 3 users: broadcast.*expand",
    ),
    "users and positions flattened": (
        lambda: Model(linear(), lambda m, x: m.layer(x.flatten(0, 1)).view(x.shape)),
        r"made \(15, 4\) for 3 users: a row would be an interaction",
    ),
    "positions first": (
        lambda: Model(linear(), lambda m, x: m.layer(x.transpose(0, 1)).transpose(0, 1)),
        r"made \(5, 3, 4\) for 3 users",
    ),
    "an output overwritten": (lambda: Model(linear(), overwritten), "changed in place"),
    "an input overwritten": (
        lambda: Model(linear(), lambda m, x: m.layer(y := x.clone()) + y.add_(1)),
        "changed in place",
    ),
    "gradients scaled by the batch": (
        lambda: Model(
            nn.Embedding(9, WIDTH, scale_grad_by_freq=True), lambda m, x: places(m, x, users=len(x))
        ),
        "depend on the others' rows",
    ),
    "renormalised rows": (
        lambda: Model(nn.Embedding(9, WIDTH, max_norm=1.0), lambda m, x: places(m, x, users=len(x))),
        "depend on the others' rows",
    ),
    "a padding row": (
        lambda: Model(nn.Embedding(9, WIDTH, padding_idx=0), lambda m, x: places(m, x, users=len(x))),
        "padding_idx",
    ),
    "dropout": (
        lambda: Model(linear(), lambda m, x: nn.functional.dropout(m.layer(x))),
        "draws at random",
    ),
    "a mean over the batch": (
        lambda: Model(linear(), lambda m, x: m.layer(x - x.mean(0))),
        "one user's output moves with another's input",
    ),
    "attention across users": (
        lambda: Model(linear(), lambda m, x: m.layer(x).transpose(0, 1).cumsum(1).transpose(0, 1)),
        "one user's output moves with another's input",
    ),
}


@pytest.mark.parametrize(("build", "reason"), REFUSED.values(), ids=REFUSED)
def test_is_refused_with_the_reason(build, reason):
    with pytest.raises(NotPerUser, match=reason):
        validate(build(), WIDTH)


@pytest.mark.parametrize("size", SIZES)
def test_our_own_models_are_accepted(size):
    validate(build_model(size, 16), 16)


def test_expanded_places_and_a_frozen_part_are_accepted():
    model = Model(nn.Embedding(9, WIDTH), lambda m, x: places(m, x, users=len(x)), other=linear())
    model.other.requires_grad_(False)
    validate(model, WIDTH)


def test_a_layer_that_reaches_no_loss_is_refused_in_the_step():
    model = Model(linear(), lambda m, x: (m.layer(x), m.other(x))[0], other=linear())
    history = torch.randn(3, 5, WIDTH)
    with pytest.raises(NotPerUser, match=r"other \(Linear\): its output reaches no loss"):
        user_gradients(model, lambda: model(history).sum((1, 2)))
