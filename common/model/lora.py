"""Low-rank adapters in a text encoder's last layers, laid out so that each user's gradient is that user's.

An encoder sees items, not users: (B·L, T, width). Hooks on its layers would take each item for a user, and
clipping would bound items. Here an adapter's trainable layer is shown all tokens of a user's items as
one row, (B, L·T, ·), while attention stays within each item.
"""

from typing import TYPE_CHECKING, Final

import torch
from torch import nn

from common.errors import EnvironmentProblem
from common.model.encoder import Encoder
from common.randomness import KeyedRandomness

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ADAPTED: Final = ("query", "value")
_NAME: Final = "default"  # PEFT's own name for the only adapter


class UserRows(nn.Module):
    """A linear layer over (B·L, T, in) that sees (B, L·T, in). ``items``: L, set before each call."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer, self.items = layer, 1

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """``rows``: (B·L, T, in); gives (B·L, T, out)."""
        users = rows.reshape(len(rows) // self.items, -1, rows.shape[-1])  # (B, L·T, in)
        made: torch.Tensor = self.layer(users)
        return made.view(*rows.shape[:2], -1)


class DeepEncoder(nn.Module):
    """Tokens of users' items in, one unit-norm vector per item out. Build it with :func:`lora_encoder`."""

    def __init__(self, transformer: "PreTrainedModel") -> None:
        super().__init__()
        self.transformer = transformer
        self.adapters = [module for module in transformer.modules() if isinstance(module, UserRows)]
        self.train()

    def train(self, mode: bool = True) -> "DeepEncoder":  # noqa: FBT001, FBT002  (torch's signature)
        """Only the adapters train: the encoder's dropout draws from torch's generator, which has a seed."""
        super().train(mode=False)
        for adapter in self.adapters:
            adapter.train(mode)
        return self

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """``ids``, ``mask``: (B, L, T); an item without tokens is a zero vector. Gives (B, L, width)."""
        if not len(ids):  # the library's attention has no answer to an empty batch
            return torch.empty(0, ids.shape[1], self.transformer.config.hidden_size, device=ids.device)
        for adapter in self.adapters:
            adapter.items = ids.shape[1]
        seen = mask.flatten(0, 1).clone()
        seen[:, 0] = 1  # attention over no token at all would be no number
        states = self.transformer(input_ids=ids.flatten(0, 1), attention_mask=seen).last_hidden_state
        weights = mask / mask.sum(2, keepdim=True).clamp(min=1)  # (B, L, T)
        pooled = (weights.unsqueeze(2) @ states.view(*mask.shape, -1)).squeeze(2)
        return nn.functional.normalize(pooled, dim=-1)


def lora_encoder(encoder: Encoder, layers: int, rank: int, seed: int = 0) -> DeepEncoder:
    """A copy of ``encoder`` with adapters of ``rank`` on queries and values of its last ``layers`` layers.

    LoRA (Hu et al. 2021, arXiv:2106.09685) adds B·A to a weight. A is drawn from the public ``seed`` and frozen
    and B alone trains, from zero (FFA-LoRA; Sun et al. 2024, arXiv:2403.12313): sums of B over platforms are
    then sums of what was added, which sums of A and of B are not. Untrained, it is the encoder.

    Move it to a device before its optimiser is made.

    Raises:
        EnvironmentProblem: without the PEFT library, or if the encoder cannot be loaded.
        ValueError: unless 1 ≤ ``layers`` ≤ the encoder's own, and 1 ≤ ``rank`` < its width.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model  # noqa: PLC0415  (an extra, seconds to import)
    except ImportError as error:
        raise EnvironmentProblem("no PEFT library", hint="pip install 'hanse[lora]'") from error
    depth = max(encoder.layers)
    if not (1 <= layers <= depth and 1 <= rank < encoder.width):
        raise ValueError(
            f"{layers} layers of rank {rank} in an encoder of {depth} layers, {encoder.width} wide"
        )
    last = list(range(depth - layers, depth))
    terms = LoraConfig(r=rank, lora_alpha=rank, target_modules=list(ADAPTED), layers_to_transform=last)
    transformer = inject_adapter_in_model(terms, encoder.transformer())
    transformer.requires_grad_(requires_grad=False)
    for name, module in list(transformer.named_modules()):
        if hasattr(module, "lora_B"):
            _freeze(name, module, seed)
    return DeepEncoder(transformer)


def _freeze(name: str, module: nn.Module, seed: int) -> None:
    """Draw A, the same for everyone, and let B alone train."""
    down, up = (getattr(module, part)[_NAME] for part in ("lora_A", "lora_B"))
    draws = KeyedRandomness("lora", seed, name, down.weight.numel()).normal(down.weight.numel())
    with torch.no_grad():
        down.weight.copy_(torch.from_numpy(draws).view_as(down.weight) * down.in_features**-0.5)
        up.weight.zero_()
    up.requires_grad_(requires_grad=True)
    module.get_submodule("lora_B")[_NAME] = UserRows(up)  # type: ignore[operator]
