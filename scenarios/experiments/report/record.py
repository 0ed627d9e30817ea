"""What an experiment hands to its report: frozen values, and nothing worked out yet."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

METRICS_SCHEMA: Final = pl.Schema(
    {
        "platform": pl.String,
        "system": pl.String,
        "seed": pl.Int64,
        "epsilon": pl.Float64,
        "user": pl.Int32,
        "slice": pl.String,
        "metric": pl.String,
        "value": pl.Float64,
    }
)
"""One value of one metric for one user; ``epsilon`` is null without differential privacy."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One trained system: which one, its repeat, and the planned ε (``None``: no differential privacy).

    ``seed`` is a true seed without differential privacy and a repeat number with it: noise from the operating
    system cannot be repeated.
    """

    system: str
    seed: int
    epsilon: float | None


def repeat_alone(seed: int, epsilon: float | None, alone: Collection[int]) -> int:
    """Which of the seeds in ``alone`` a system stands on: its own, or with ``epsilon`` each of them in turn."""
    return seed if epsilon is None else sorted(alone)[(seed - 1) % len(alone)]


@dataclass(frozen=True, slots=True)
class GateDecision:
    """What the do-no-harm gate of one platform decided for one cell and one task.

    ``weight`` is the λ given to the shared model; 0 where the gate stayed closed. ``gain``, ``low``, ``high``:
    difference in NDCG@10 on ``users`` validation users, absolute, 90 %. ``task``: ``new`` or ``repurchase``.
    """

    platform: str
    cell: Cell
    weight: float
    gain: float
    low: float
    high: float
    reason: str
    users: int
    task: str = "new"

    @property
    def open(self) -> bool:
        """Whether the shared model is used at all."""
        return self.weight > 0

    @property
    def tested(self) -> bool:
        """Whether there were validation users enough to tell anything about the shared model."""
        return self.high - self.low < 2


@dataclass(frozen=True, slots=True)
class BlendWeight:
    """λ of the model that a system adds to what it is built on, for one ``task`` at one platform.

    Chosen on validation users; 0 where nothing was added, as no weight helped or a gate stayed closed.
    """

    platform: str
    cell: Cell
    task: str
    weight: float


@dataclass(frozen=True, slots=True)
class Charges:
    """``times`` releases of one kind in a ledger, each of ``steps`` steps over users drawn at ``sample_rate``.

    ``noise_multiplier``: in units of what one user can move, C or, with shared noise, C and the rounding.
    """

    release: str
    noise_multiplier: float
    sample_rate: float
    steps: int
    times: int


@dataclass(frozen=True, slots=True)
class PrivacyEntry:
    """What one platform's ledger spent in the dearest repeat planned for ``target`` ε.

    With ``platform="joint"`` it is the composition for a person who is on all of ``platforms``.
    ``releases`` counts the ledger's charges; ``charges`` lists them by kind and may be empty for ``joint``.
    ``whole_ledger``: the ledger goes on from run to run, and this is all it ever spent, whatever the ``target``.
    ``epsilon_alone``: with shared noise what the same would come to if aggregation failed. ``epsilon_prv``, the
    figure, then is RDP's bound, and the other two repeat it.
    """

    platform: str
    target: float
    unit: str
    adjacency: str
    delta: float
    epsilon_prv: float
    epsilon_pld: float
    epsilon_rdp: float
    releases: int
    charges: tuple[Charges, ...] = ()
    platforms: tuple[str, ...] = ()
    clip: float | None = None
    ceiling: float | None = None
    whole_ledger: bool = False
    epsilon_alone: float | None = None


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes one platform sent (``up``) and received (``down``) in one round, framing included."""

    up: int
    down: int


@dataclass(frozen=True, slots=True)
class GroupSum:
    """One sum of a round under robust terms: whose, the L2 norm of its mean update, and why it was left out."""

    platforms: tuple[str, ...]
    norm: float | None
    excluded: str


@dataclass(frozen=True, slots=True)
class RoundEntry:
    """One federated round of one cell.

    ``seconds_by_phase`` keeps the order of the phases. ``dropped``: those of ``cohort`` not in the sum.
    ``void``: the reason where the round changed nothing, else empty. ``groups``: where the charter has robust
    terms.
    """

    cell: Cell
    number: int
    seconds_by_phase: Mapping[str, float]
    traffic: Mapping[str, Traffic]
    cohort: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    void: str = ""
    groups: tuple[GroupSum, ...] = ()

    @property
    def bytes_up(self) -> int:
        """All platforms' uploads, bytes."""
        return sum(traffic.up for traffic in self.traffic.values())

    @property
    def bytes_down(self) -> int:
        """All platforms' downloads, bytes."""
        return sum(traffic.down for traffic in self.traffic.values())


@dataclass(frozen=True, slots=True)
class Published:
    """What a federation itself tells of its quality: metrics over all platforms, with noise, paid for.

    ``users`` is noisy as well; ``means`` and ``errors`` (standard deviations, of the noise alone) by system, then
    metric; empty where the noisy count was too small to divide by.
    """

    cell: Cell
    users: float
    means: Mapping[str, Mapping[str, float]]
    errors: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class PlatformFacts:
    """What a reader must know of one platform's data.

    ``users`` took part; ``items`` is the whole catalogue; ``dropped_rows`` counts by reason.
    """

    name: str
    title: str
    users: int
    items: int
    interactions: int
    source: str
    licence: str
    split: str
    shares_people_with: tuple[str, ...] = ()
    dropped_rows: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Setting:
    """What was run. ``limits``: a sentence for each thing left out or to be known."""

    title: str
    platforms: tuple[PlatformFacts, ...]
    rounds: int
    local_steps: int
    model_size: str
    parameters: int
    training: str
    limits: tuple[str, ...] = ()
    minutes: float | None = None


@dataclass(frozen=True, slots=True)
class ExperimentRecord:
    """Everything a report is made from. ``metrics``: a frame of :data:`METRICS_SCHEMA`."""

    metrics: pl.DataFrame
    setting: Setting
    gates: tuple[GateDecision, ...]
    privacy: tuple[PrivacyEntry, ...]
    rounds: tuple[RoundEntry, ...]
    versions: Mapping[str, str]
    published: tuple[Published, ...] = ()
    weights: tuple[BlendWeight, ...] = ()
