"""The input adapter: frozen item features into the model's width, by a linear map and a narrow branch."""

import torch
from torch import nn


class BottleneckAdapter(nn.Module):
    """e = P x + U gelu(D x), after Houlsby et al. 2019 (arXiv:1902.00751), but parallel.

    Takes (B, L, features), gives (B, L, width). Every layer sees (B, L, ·): gradients stay per user.
    """

    def __init__(self, features: int, width: int, bottleneck: int) -> None:
        super().__init__()
        self.project = nn.Linear(features, width, bias=False)
        self.down = nn.Linear(features, bottleneck)
        self.up = nn.Linear(bottleneck, width, bias=False)

    def forward(self, items: torch.Tensor) -> torch.Tensor:
        """``items``: (B, L, features)."""
        narrow = nn.functional.gelu(self.down(items))  # (B, L, bottleneck)
        adapted: torch.Tensor = self.project(items) + self.up(narrow)
        return adapted
