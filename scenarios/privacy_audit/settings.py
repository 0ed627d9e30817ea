"""How large an audit is, and the run it attacks: fixed beforehand, and such that a broken path shows."""

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

from common.model.training import LocalTraining, Size
from common.privacy.plan import PrivacyPlan, draft_plan

Unit = Literal["user", "interaction"]
"""What a canary's coin plants or leaves out: a whole account, or one row of an account that is there anyway."""

SIZE: Final[Size] = "tiny"


@dataclass(frozen=True, slots=True)
class Settings:
    """The audited run and the attacks on it.

    ``canaries``: how many coins are guessed, of each unit; ``references``: how many more the likelihood ratio
    learns from; ``guesses``: on how many an attack commits itself. ``epsilon``, ``delta``: the claim, for
    each unit. The rest are the charter's constants.

    Many steps at a small rate: there the sampling is most of the protection, so that wrong sampling shows. The
    squared error draws no negatives: the attacker then knows every gradient, which is the worst case.
    """

    canaries: int = 1024
    references: int = 256
    guesses: int = 512
    confidence: float = 0.95
    epsilon: float = 3.0
    delta: float = 1e-5
    sample_rate: float = 0.1
    rounds: int = 6
    local_steps: int = 10
    bucket: int = 4096
    clip: float = 0.1
    learning_rate: float = 0.5
    items: int = 4096
    features: int = 384
    history: int = 8

    def of(self, unit: Unit) -> "Settings":
        """The same for ``unit``: half as many canaries where each stands for two histories."""
        if unit == "user":
            return self
        half = {name: getattr(self, name) // 2 for name in ("canaries", "references", "guesses")}
        return replace(self, **half)

    def plan(self, unit: Unit) -> PrivacyPlan:
        """The plan of least noise whose claim implies (``epsilon``, ``delta``) for ``unit``.

        A plan claims for accounts. An account that changes one row is one account removed and another added: by
        group privacy (2ε, (1 + e^ε) δ).
        """
        epsilon, delta = self.epsilon, self.delta
        if unit == "interaction":
            epsilon = epsilon / 2
            delta = delta / (1 + math.exp(epsilon))
        return draft_plan(epsilon, delta, self.bucket, self._batch, self.rounds, self.local_steps, self.clip)

    @property
    def training(self) -> LocalTraining:
        """Local training: plain gradient descent, so that an update is a sum of the steps' noisy sums."""
        return LocalTraining(
            loss="mse",
            optimizer="sgd",
            learning_rate=self.learning_rate,
            steps=self.local_steps,
            bucket=self.bucket,
            expected_batch=self._batch,
            negatives=1,
            history=self.history,
        )

    @property
    def _batch(self) -> float:
        return self.sample_rate * self.bucket


FULL: Final = Settings()
