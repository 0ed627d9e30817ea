"""The run's folder at the coordinator: the charter, and one file that holds all a finished round leaves.

Written atomically after every round, so that a crash at any instant loses at most the round in progress.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from common.charter import Charter, Purpose, SignedCharter
from common.deltas import Floats
from common.errors import HanseError
from common.evaluation import ReleasedMetrics
from common.files import write_atomically
from server.optimizer import OptimizerState, start
from server.outcome import RoundOutcome

_TENSORS = ("parameters", "first", "second", "average")


class CheckpointUnreadable(HanseError):
    """The checkpoint is missing or is not one."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """After ``round`` finished training rounds: the optimiser's state and every outcome so far.

    ``base``: the frozen map, float32, once the charter's statistics were released; ``warmed``: that round.
    ``metrics``: once they were released; ``measured``: that round.
    """

    round: int
    state: OptimizerState
    outcomes: tuple[RoundOutcome, ...]
    base: Floats | None = None
    warmed: RoundOutcome | None = None
    metrics: ReleasedMetrics | None = None
    measured: RoundOutcome | None = None

    @property
    def model(self) -> Floats:
        """What the next round's sites receive: the parameters and, behind them, the frozen map."""
        return self._on_base(self.state.parameters)

    @property
    def released(self) -> Floats:
        """What is used and published: the averaged parameters and the frozen map."""
        return self._on_base(self.state.average)

    def _on_base(self, parameters: Floats) -> Floats:
        return parameters if self.base is None else np.concatenate([parameters, self.base])

    def advanced(self, state: OptimizerState, outcome: RoundOutcome) -> "Checkpoint":
        """The checkpoint one finished round later."""
        outcomes = (*self.outcomes, outcome)
        return replace(self, round=self.round + 1, state=state, outcomes=outcomes)

    def retired(self, purpose: Purpose = "train") -> "Checkpoint":
        """The same state beside a base model that no site has answered in a round of ``purpose`` yet.

        A site never answers twice for the same model bytes. When a crash voids a round after the sites released
        their shares, the next attempt therefore starts from the nearest float32 neighbour of one coordinate.
        What protects the platforms' users is that this attempt draws fresh noise and is charged again.
        """
        name = "average" if purpose == "metrics" else "parameters"
        return replace(self, state=replace(self.state, **{name: _beside(getattr(self.state, name))}))


def _beside(vector: Floats) -> Floats:
    neighbour = vector.copy()
    neighbour[0] = np.nextafter(neighbour[0], np.float32(np.inf))
    return neighbour


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where one run keeps its charter, its checkpoint and its count of attempts."""

    path: Path

    @classmethod
    def create(cls, path: Path, charter: SignedCharter, initial: Floats) -> "RunFolder":
        """A new run from ``initial`` parameters, float32, shape (d,). It exists once its charter does."""
        path.mkdir(parents=True, exist_ok=True)
        folder = cls(path)
        folder.save(Checkpoint(0, start(initial), ()))
        charter.save(folder._charter)
        return folder

    def exists(self) -> bool:
        """Whether the run was begun: its charter is written last."""
        return self._charter.exists()

    def charter(self) -> Charter:
        """The charter, its signatures checked.

        Raises:
            CharterInvalid: when a signature is missing or wrong.
        """
        return self.signed().verified()

    def signed(self) -> SignedCharter:
        """The charter as it was signed, not yet checked."""
        return SignedCharter.load(self._charter)

    def save(self, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint; on disk before this returns."""
        outcomes = json.dumps([outcome.model_dump() for outcome in checkpoint.outcomes])
        tensors = {name: np.ascontiguousarray(getattr(checkpoint.state, name)) for name in _TENSORS}
        if checkpoint.base is not None:
            tensors["base"] = checkpoint.base
        metadata = {"round": str(checkpoint.round), "outcomes": outcomes}
        if checkpoint.warmed is not None:
            metadata["warmed"] = checkpoint.warmed.model_dump_json()
        if checkpoint.metrics is not None:
            metadata["metrics"] = checkpoint.metrics.model_dump_json()
        if checkpoint.measured is not None:
            metadata["measured"] = checkpoint.measured.model_dump_json()
        write_atomically(self._checkpoint, save(tensors, metadata))

    def latest(self) -> Checkpoint:
        """The last finished round.

        Raises:
            CheckpointUnreadable: when there is none, or it is damaged.
        """
        try:
            with safe_open(self._checkpoint, framework="numpy") as file:
                metadata = file.metadata()
                state = OptimizerState(*(file.get_tensor(name) for name in _TENSORS))
                base = file.get_tensor("base") if "base" in file.keys() else None  # noqa: SIM118 - no mapping
            outcomes = tuple(RoundOutcome.model_validate(entry) for entry in json.loads(metadata["outcomes"]))
            told = metadata.get("warmed")
            warmed = None if told is None else RoundOutcome.model_validate_json(told)
            told = metadata.get("metrics")
            metrics = None if told is None else ReleasedMetrics.model_validate_json(told)
            told = metadata.get("measured")
            measured = None if told is None else RoundOutcome.model_validate_json(told)
            return Checkpoint(int(metadata["round"]), state, outcomes, base, warmed, metrics, measured)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise CheckpointUnreadable(
                "no readable checkpoint", where=str(self._checkpoint), why=type(error).__name__
            ) from error

    def next_attempt(self) -> int:
        """A number no attempt of this run has used, counted on disk before it is used.

        Raises:
            CheckpointUnreadable: when the count is damaged.
        """
        path = self.path / "attempt"
        try:
            attempt = int(path.read_text()) + 1 if path.exists() else 1
        except ValueError as error:
            raise CheckpointUnreadable("no readable count of attempts", where=str(path)) from error
        write_atomically(path, str(attempt).encode())
        return attempt

    @property
    def _charter(self) -> Path:
        return self.path / "charter.json"

    @property
    def _checkpoint(self) -> Path:
        return self.path / "checkpoint.safetensors"
