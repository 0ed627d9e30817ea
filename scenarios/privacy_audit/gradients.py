"""What each candidate would add to an update, worked out by other means than the audited path's own.

The attack must not share a mistake with what it attacks: per-user gradients come from torch.func, one user at a
time, not from the trainer's tapped layers, and are clipped here.
"""

from typing import Final

import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from common.data.sequences import Sequences
from common.deltas import Floats
from common.model.layout import unpack
from common.model.losses import user_losses
from common.model.sequence import SharedModel, build_model
from common.model.training import LocalTraining
from common.model.windows import Windows, as_tensor, last_windows
from scenarios.privacy_audit.settings import SIZE

_AT_ONCE: Final = 128  # users whose gradients are worked out together: a bound on memory


class _Loss(nn.Module):
    """One user's loss as a module, which ``functional_call`` needs."""

    def __init__(self, model: SharedModel, features: torch.Tensor, terms: LocalTraining) -> None:
        super().__init__()
        self.model, self._features, self._terms = model, features, terms
        # Loss functions without negatives never look at them.
        self._negatives = torch.zeros(terms.negatives, dtype=torch.int64)

    def forward(self, items: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """``items``, ``values``: (L,); gives a scalar."""
        return user_losses(
            self.model, self._features, items[None], values[None], self._negatives, self._terms
        )[0]


def windows_of(candidates: Sequences, terms: LocalTraining) -> Windows:
    """What the trainer looks at of each candidate."""
    return last_windows(candidates.first_occurrences(), terms.history)


def clipped_gradients(
    vector: Floats, features: Floats, windows: Windows, terms: LocalTraining, clip: float
) -> Floats:
    """Every candidate's gradient at ``vector``, in units of ``clip`` and clipped to 1: (candidates, d)."""
    model = build_model(SIZE, features.shape[1])
    unpack(vector, model)
    loss = _Loss(model, as_tensor(features), terms)
    parameters = {name: value.detach() for name, value in loss.named_parameters()}

    def of_one(given: dict[str, torch.Tensor], items: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = functional_call(loss, given, (items, values))
        return made

    each = vmap(grad(of_one), in_dims=(None, 0, 0), chunk_size=_AT_ONCE)
    with sdpa_kernel(SDPBackend.MATH):  # the others have no rule for vmap
        found = each(parameters, torch.from_numpy(windows.items), torch.from_numpy(windows.values))
    flat = torch.cat([gradient.flatten(1) for gradient in found.values()], dim=1) / clip
    norms = flat.norm(dim=1, keepdim=True)
    clipped: Floats = (flat / norms.clamp(min=1)).numpy()
    return clipped
