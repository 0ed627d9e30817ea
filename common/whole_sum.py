"""Terms of a release that is one sum over all users of a platform, each of norm 1 at most."""

import math
from typing import Final

from pydantic import BaseModel, ConfigDict, PositiveFloat

from common.privacy.accountant import Mechanism

_TAILS: Final = 8.0  # standard deviations of noise that the ring holds beside the users' sum


class WholeSumTerms(BaseModel):
    """What a charter says of the noise.

    ``noise_multiplier``: standard deviation of the noise each platform adds, in units of one user's norm, 1;
    absent with privacy off.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    noise_multiplier: PositiveFloat | None

    @property
    def mechanism(self) -> Mechanism | None:
        """What a platform's release costs its users: one Gaussian sum over all of them, none drawn."""
        return None if self.noise_multiplier is None else Mechanism(self.noise_multiplier, 1.0, 1)

    def noise_of(self, platforms: int) -> float:
        """Standard deviation of the noise in the sum of so many ``platforms``, on each number."""
        return (self.noise_multiplier or 0.0) * math.sqrt(platforms)

    def ring_clip(self, bucket: int) -> float:
        """The largest coordinate that a platform of ``bucket`` users can have, its noise included.

        No user adds more than 1 to a coordinate. A platform that outgrew its bucket may be clipped here, after
        its noise: that biases the sum and costs no privacy. One unit of rounding on a ring of 22 bits is 2⁻²¹ of
        it, below the noise for any bucket that fits (0.05 for 100,000 users).
        """
        return bucket + _TAILS * (self.noise_multiplier or 0.0)
