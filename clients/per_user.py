"""Whether a model can be trained with one gradient per user, said before any private row is read.

What Opacus would get wrong in silence is refused here with its reason: an ε that such a model reports is not one.
"""

from collections import Counter

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from clients.taps import Layers, NotPerUser, check_calls, tapped, told, trainable_layers

# No two axes of the example are equal: a layer that took one for another must not pass.
_USERS, _LENGTH = 3, 5


def validate(model: nn.Module, features: int) -> None:
    """Whether each user's gradient is a function of that user's rows alone, tried on made-up histories.

    ``model`` maps (B, L, ``features``) to (B, ...).

    Guarantee: an accepted model's :func:`~clients.user_gradients.user_gradients` are, on any batch, those of
    batches of one; what depends on the data's values and not on shapes is checked again in every step.
    Refuses (:class:`~clients.taps.NotPerUser`, with the reason): layers without a rule, statistics
    shared by a batch, a layer or parameter registered twice, called twice or never, broadcast inputs, axes
    without users, outputs that draw at random or that another user's input moves.
    """
    _check_statistics(model)
    layers = trainable_layers(model)
    _check_registered_once(model, layers)
    example = torch.sin(torch.arange(_USERS * _LENGTH * features)).view(_USERS, _LENGTH, features)
    with torch.no_grad():
        made, taps = tapped(layers, lambda: model(example))
        check_calls(layers, taps, _USERS)
        if torch.equal(made[1:], model(torch.cat([-example[:1], example[1:]]))[1:]):
            return
        if torch.equal(made, model(example)):
            raise NotPerUser("one user's output moves with another's input", why="then so does the gradient")
        raise NotPerUser("draws at random while it runs", why="the draws come from a generator with a seed")


def _check_statistics(model: nn.Module) -> None:
    for name, module in model.named_modules():
        # Even a frozen one, and one without parameters, looks at the whole batch.
        if isinstance(module, _NormBase):
            why = "its statistics are taken over the users of a batch"
            raise NotPerUser("normalises with others' rows", where=told(name, module), why=why)


def _check_registered_once(model: nn.Module, layers: Layers) -> None:
    modules = Counter(id(module) for _, module in model.named_modules(remove_duplicate=False))
    for name, layer in layers.items():
        if modules[id(layer)] > 1:
            raise NotPerUser(
                "registered twice", where=told(name, layer), why="its gradients would be added up"
            )
    parameters = Counter(id(p) for _, p in model.named_parameters(remove_duplicate=False))
    for name, p in model.named_parameters():
        if p.requires_grad and parameters[id(p)] > 1:
            why = "each use would count as a gradient of its own"
            raise NotPerUser("a parameter that two layers share", where=name, why=why)
