"""Opacus' optimiser with its noise from the operating system instead of torch's seedable generator.

Opacus clips each user's gradient, sums, and divides by the public denominator; only the noise's draw is ours.
"""

from collections.abc import Iterable
from typing import Final

import torch
from opacus.optimizers import DPOptimizer
from torch.optim import Optimizer

from common.randomness import OsRandomness

# Norms are rounded to float32: clipping to a hair less than C keeps what is rounded down within C.
_ROUNDING: Final = 2.0**-18


class OsNoiseOptimizer(DPOptimizer):  # type: ignore[misc]  # Opacus ships no types
    """DP-SGD's step (Abadi et al. 2016, arXiv:1607.00133): clip to C, sum, add noise, divide by a constant.

    Guarantee: what it writes to ``p.grad`` is the Gaussian mechanism, standard deviation σC, of sensitivity C
    on the sum over users, however many there are, none included; nobody can repeat the noise from a seed.
    Refuses: reused per-user gradients (Opacus raises ValueError); a σ or C that is not positive.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        noise_multiplier: float,
        clip: float,
        denominator: float,
        noise: OsRandomness,
    ) -> None:
        if min(noise_multiplier, clip, denominator) <= 0:
            raise ValueError("noise multiplier, clip and denominator are positive")
        super().__init__(
            optimizer,
            noise_multiplier=noise_multiplier,
            max_grad_norm=clip * (1 - _ROUNDING),
            expected_batch_size=denominator,
        )
        self._noise, self._spread = noise, noise_multiplier * clip

    def step_over(self, parts: Iterable[torch.Tensor]) -> None:
        """One step of an optimiser of one parameter (d,), on users' gradients that come in parts, (b, d) each.

        A part may be overwritten once the next is asked for. No part at all is an empty batch, and a step.
        Users with a gradient that is not finite are dropped, in place. What was summed, before any noise,
        stays in the parameter's ``summed_grad`` until the next step.

        Guarantee: as for the whole batch at once; the noise is added once, whatever the number of parts.
        Refuses: an optimiser of several parameters (ValueError).
        """
        (flat,) = self.params
        self.zero_grad(set_to_none=True)
        total = torch.zeros_like(flat)
        for part in parts:
            clipped = self._clipped_sum(part)
            if not clipped.isfinite().all():  # told by the sum: dropping would ask for all norms once more
                drop_non_finite([part])
                clipped = self._clipped_sum(part.view_as(part))
            total += clipped
        flat.summed_grad, flat.grad_sample = total, flat.new_empty(0, len(flat))  # nobody more
        self.step()

    def _clipped_sum(self, part: torch.Tensor) -> torch.Tensor:
        (flat,) = self.params
        flat.summed_grad, flat.grad_sample = None, part
        self.clip_and_accumulate()
        clipped: torch.Tensor = flat.summed_grad
        return clipped

    def add_noise(self) -> None:
        """Write summed gradient plus noise of standard deviation σC to ``p.grad``, for every parameter."""
        for p in self.params:
            draws = self._noise.normal(p.numel())
            draws *= self._spread
            p.grad = torch.from_numpy(draws).to(p.dtype).view_as(p).add_(p.summed_grad)


def drop_non_finite(gradients: list[torch.Tensor]) -> None:
    """Zero the whole gradient of every user whose norm is not finite, in place; each of shape (B, ...).

    Guarantee: no single user's data can make the clipped sum NaN or Inf, and so abort or void a step.
    Refuses: nothing; a gradient too large for float32 to square counts as not finite.
    """
    norms = [torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients]  # each (B,)
    finite = (torch.stack(norms).norm(dim=0) if len(norms) > 1 else norms[0]).isfinite()
    if not finite.all():
        for gradient in gradients:
            gradient[~finite] = 0.0
