"""The shared parameters as one flat vector: names, shapes and offsets, and the digest the charter pins."""

import hashlib
import json
import math
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import nn

from common.deltas import Floats
from common.errors import HanseError


class WrongLayout(HanseError):
    """A vector that does not fit the model: another size, another width, or not float32."""


@dataclass(frozen=True, slots=True)
class ParamLayout:
    """Where each parameter lies in the vector, in the order the module names them."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, module: nn.Module) -> "ParamLayout":
        """The layout of ``module``'s trainable parameters."""
        named = [(name, tuple(p.shape)) for name, p in module.named_parameters() if p.requires_grad]
        return cls(tuple(name for name, _ in named), tuple(shape for _, shape in named))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers in each parameter."""
        return tuple(math.prod(shape) for shape in self.shapes)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Where each parameter starts."""
        return tuple(accumulate(self.sizes, initial=0))[:-1]

    @property
    def size(self) -> int:
        """d, the length of the whole vector."""
        return sum(self.sizes)

    @property
    def digest(self) -> str:
        """SHA-256 over names and shapes, in hexadecimal."""
        return hashlib.sha256(json.dumps([self.names, self.shapes]).encode()).hexdigest()


def pack(module: nn.Module) -> Floats:
    """A copy of the trainable parameters, float32, shape (d,)."""
    flat = [p.detach().reshape(-1) for p in module.parameters() if p.requires_grad]
    return torch.cat(flat).float().numpy().copy()


def unpack(vector: Floats, module: nn.Module) -> None:
    """Write ``vector`` (d,) into the module's trainable parameters.

    Raises:
        WrongLayout: if it is not float32 of shape (d,), or holds a number that is not finite.
    """
    layout = ParamLayout.of(module)
    if vector.dtype != np.float32 or vector.shape != (layout.size,):
        found = f"{vector.dtype} {vector.shape}"
        raise WrongLayout(f"a parameter vector of {found}", why=f"the model needs float32 ({layout.size},)")
    if not np.isfinite(vector).all():
        raise WrongLayout(
            "a parameter vector that is not finite", hint="a round diverged; lower the learning rate"
        )
    source = torch.from_numpy(vector.copy())
    parameters = (p for p in module.parameters() if p.requires_grad)
    with torch.no_grad():
        for parameter, offset in zip(parameters, layout.offsets, strict=True):
            parameter.copy_(source[offset : offset + parameter.numel()].view_as(parameter))


def flatten(module: nn.Module) -> nn.Parameter:
    """One parameter (d,) in whose memory the module's trainable parameters live from now on, in their order.

    Training it trains the module, by one operation instead of one for each. Moving the module to another
    device or type afterwards ends that.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    whole = nn.Parameter(torch.cat([p.detach().reshape(-1) for p in parameters]))
    for parameter, offset in zip(parameters, ParamLayout.of(module).offsets, strict=True):
        parameter.data = whole.data[offset : offset + parameter.numel()].view_as(parameter)
    return whole
