"""The agreement itself, refused where it could not be kept, and what follows from it for each kind of round."""

import hashlib
import json
import math
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from common.charter.parts import (
    PURPOSES,
    CharterInvalid,
    Frozen,
    Member,
    ModelTerms,
    Name,
    Purpose,
    ServerTraining,
    TensorClip,
)
from common.data.split import DAY
from common.evaluation import SIZE, MetricsTerms
from common.model.base import map_size
from common.model.closed_form import StatisticsTerms, packed_size
from common.privacy.accountant import AnyMechanism
from common.privacy.noise import largest_noise
from common.privacy.shared import SharedNoisePlan
from common.robust import RobustTerms
from common.secagg.errors import BadTerms
from common.secagg.ring import Ring, Tensor
from common.secagg.terms import Terms, fewest_platforms
from common.shared_noise import Contribution, noise_fault
from common.whole_sum import WholeSumTerms

_SIGNED = b"hanse/charter/1"
# Not in the signed bytes where they say what was so before them, so that older signatures still hold.
_LATER = ("ring_width", "ring_tensors", "replay_days", "robust", "statistics", "metrics")
_SUM_OF_SHARES = 1e-9  # ten tenths need not sum to exactly 1


class Charter(Frozen):
    """The whole agreement.

    With ``privacy="local"`` every platform's own noise makes all it emits (ε, δ)-DP and ``seed`` is absent;
    with ``privacy="shared-noise"`` each adds a share, and only what aggregation reveals is; with
    ``privacy="off"`` there is no privacy plan, and a seed makes the run repeatable. ``replay_days``: how long
    the roster can recompute a training round's sum; 0 keeps nothing. ``statistics``: one release that training
    starts from. ``metrics``: one release, after the last round, of how well the model ranks for everyone together;
    without it metrics stay at the platforms.

    Raises:
        pydantic.ValidationError: on duplicate members, fewer than max(3, colluders + 2) of them, a plan
            without privacy, privacy without a plan, a seed with privacy on, groups that the roster is too small
            for, or statistics or metrics that this roster cannot release.
    """

    version: Literal[1] = 1
    name: Name
    algorithm: Literal["hanse-secagg-1"] = "hanse-secagg-1"
    members: tuple[Member, ...]
    colluders: Annotated[int, Field(ge=0)] = 1
    ring_clip: PositiveFloat
    ring_bits: Annotated[int, Field(ge=8, le=22)] = 22
    ring_width: Literal[16, 32] = 32
    ring_tensors: tuple[TensorClip, ...] = ()
    rounds: PositiveInt
    replay_days: Annotated[int, Field(ge=0, le=3650)] = 0
    model: ModelTerms
    server: ServerTraining
    privacy: Literal["local", "shared-noise", "off"]
    seed: int | None = None
    robust: RobustTerms | None = None
    statistics: StatisticsTerms | None = None
    metrics: MetricsTerms | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [member.platform for member in self.members]
        least = fewest_platforms(self.colluders)
        private = self.privacy != "off"
        if len(set(names)) != len(names):
            raise ValueError("a platform stands on the roster twice")
        if len(names) < least:
            raise ValueError(f"{len(names)} platforms: a sum of fewer than {least} would expose its members")
        if any((member.privacy is not None) != private for member in self.members):
            raise ValueError(f"with privacy {self.privacy!r} all members have a plan, or none")
        if len(self._sharing()) != (len(names) if self.privacy == "shared-noise" else 0):
            raise ValueError(f"a plan of another mode than {self.privacy!r}")
        if any(not self._covered(member) for member in self.members):
            raise ValueError("a plan pays for fewer rounds, or other steps, than the charter holds")
        if private == (self.seed is not None):
            raise ValueError("a seed makes noise removable: it belongs to runs with privacy off")
        return self

    @model_validator(mode="after")
    def _aggregable(self) -> Self:
        try:
            terms = self.terms()
        except BadTerms as error:
            raise ValueError(error.why) from None
        ring = terms.ring
        if self.robust and (fault := self.robust.fault(len(self.members), self.colluders, terms.n_min)):
            raise ValueError(fault)
        if self.robust and self.replay_days:
            raise ValueError(
                "a replay shows one sum and the step from it: robust terms leave neither as it was"
            )
        sharing = self._sharing()
        if sharing and (why := noise_fault(sharing, ring, terms.dimension, terms.n_min - terms.colluders)):
            raise ValueError(why)
        weights = [member.weight for member in self.members]
        heaviest, total = max(weights), math.fsum(weights)
        if heaviest > ring.most_share(len(weights)):
            raise ValueError(f"a weight of {heaviest:g} leaves {self.ring_bits} bits no headroom for the sum")
        if total > ring.most_weight + _SUM_OF_SHARES:
            raise ValueError(f"the weights sum to {total:g}: the ring holds {ring.most_weight:g}")
        if min(weights) * ring.weight_units < 1:
            raise ValueError(f"a weight of {min(weights):g} is below the ring's unit, 1/{ring.weight_units}")
        return self

    @model_validator(mode="after")
    def _whole_sums_possible(self) -> Self:
        for purpose in PURPOSES:
            terms = self._whole_sum(purpose)
            if terms is None:
                continue
            if (terms.noise_multiplier is not None) != (self.privacy != "off"):
                raise ValueError(f"{purpose} carry noise with privacy on, and none with it off")
            if len(self.members) > self.terms(purpose).ring.most_weight:
                raise ValueError(f"so many platforms' {purpose} do not fit into one sum")
            if self.robust:
                raise ValueError(f"robust terms bound training alone: one platform could spoil the {purpose}")
        if self.statistics and self.statistics.rank > self.model.features:
            raise ValueError(f"a map of rank {self.statistics.rank} between {self.model.features} features")
        return self

    @property
    def groups(self) -> RobustTerms | None:
        """The terms of random groups, where rounds are cut into any."""
        return self.robust if self.robust and self.robust.statistic else None

    @property
    def replay_seconds(self) -> int:
        """How long a finished round can be replayed; 0 keeps nothing for it."""
        return self.replay_days * DAY

    @property
    def share_variance(self) -> int | None:
        """The variance of the noise that each platform adds to its integers in training; None if it adds none."""
        plans = [plan for _, plan in self._sharing()]
        return plans[0].share_variance if plans else None

    def _sharing(self) -> list[tuple[Contribution, SharedNoisePlan]]:
        """What the members whose noise is shared add to a sum, and their plans."""
        return [
            (Contribution(member.training, member.weight), member.privacy)
            for member in self.members
            if isinstance(member.privacy, SharedNoisePlan)
        ]

    def _covered(self, member: Member) -> bool:
        plan = member.privacy
        return plan is None or (plan.rounds >= self.rounds and plan.local_steps == member.training.steps)

    def digest(self) -> bytes:
        """SHA-256 of the canonical JSON: what is signed and pinned."""
        fields = type(self).model_fields
        as_before = {name for name in _LATER if getattr(self, name) == fields[name].default}
        content = self.model_dump(mode="json", exclude=as_before)
        document = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(_SIGNED + document.encode()).digest()

    def member(self, platform: str) -> Member:
        """The terms of one platform.

        Raises:
            CharterInvalid: when it is not on the roster.
        """
        for member in self.members:
            if member.platform == platform:
                return member
        raise CharterInvalid(f"{platform} is not on the roster", where=self.name)

    def rounds_of(self, purpose: Purpose) -> int:
        """How many rounds of a purpose there are; they count from 1."""
        if purpose == "train":
            return self.rounds
        return 0 if self._whole_sum(purpose) is None else 1

    def mechanism(self, platform: str, purpose: Purpose) -> AnyMechanism | None:
        """What one round of ``purpose`` releases of a platform's users; None with privacy off.

        Raises:
            CharterInvalid: when the platform is not on the roster, or there are no such rounds.
        """
        plan = self.member(platform).privacy
        if not self.rounds_of(purpose):
            raise CharterInvalid(f"no rounds of {purpose}", where=self.name)
        if plan is None:
            return None
        whole = self._whole_sum(purpose)
        return plan.per_round if whole is None else whole.mechanism

    def planned(self, platform: str, purpose: Purpose, done: int = 0) -> list[AnyMechanism]:
        """What the rounds of ``purpose`` release that come after the first ``done``; nothing with privacy off.

        Raises:
            CharterInvalid: when the platform is not on the roster.
        """
        left = self.rounds_of(purpose) - done
        mechanism = self.mechanism(platform, purpose) if left > 0 else None
        return [] if mechanism is None else [mechanism] * left

    def _whole_sum(self, purpose: Purpose) -> WholeSumTerms | None:
        """The terms of a release that is one sum over all users, where the charter has it."""
        match purpose:
            case "statistics":
                return self.statistics
            case "metrics":
                return self.metrics
        return None

    def besides_training(self, platform: str) -> list[AnyMechanism]:
        """All that the platform releases beside its training rounds."""
        others = (purpose for purpose in PURPOSES if purpose != "train")
        return [mechanism for purpose in others for mechanism in self.planned(platform, purpose)]

    def received(self, purpose: Purpose) -> int:
        """How many numbers the model has that opens a round: once there are statistics, their map follows."""
        warm = self.statistics is not None and purpose != "statistics"
        tail = map_size(self.model.features, self.statistics.rank) if self.statistics and warm else 0
        return self.model.parameters + tail

    def weight(self, platform: str, purpose: Purpose = "train") -> float:
        """The platform's weight in a round's mean: by contract in training, and 1 where a plain sum is asked for.

        Raises:
            CharterInvalid: when it is not on the roster.
        """
        member = self.member(platform)
        return member.weight if purpose == "train" else 1.0

    def terms(self, purpose: Purpose = "train") -> Terms:
        """What secure aggregation needs of the agreement for a round of ``purpose``."""
        roster = {member.platform: bytes.fromhex(member.public_key) for member in self.members}
        if whole := self._whole_sum(purpose):
            ring = Ring(whole.ring_clip(max(member.training.bucket for member in self.members)))
            dimension = SIZE if purpose == "metrics" else packed_size(self.model.features)
        else:
            tensors = tuple(Tensor(tensor.size, tensor.clip) for tensor in self.ring_tensors)
            noise = largest_noise(self.share_variance) if self.share_variance else 0
            ring = Ring(self.ring_clip, self.ring_bits, self.ring_width, tensors, noise)
            dimension = self.model.parameters
        return Terms(self.digest(), roster, self.colluders, dimension, ring)
