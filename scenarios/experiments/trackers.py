"""Trackers: watching a run while it goes. One that fails says so once, and never stops training.

Only what the coordinator already knows may be tracked: rounds, seconds, bytes, drop-outs, norms of the aggregate.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from common.errors import ConfigError, Problem

_LOG: Final = logging.getLogger(__name__)

Values = Mapping[str, float]


class Tracker(Protocol):
    """Takes scalars at a step, and is closed once."""

    def log(self, step: int, values: Values) -> None:
        """Record ``values`` at ``step``."""

    def close(self) -> None:
        """Flush and let go."""


class TensorBoard:
    """TensorBoard event files in ``folder``/tensorboard/``name``."""

    def __init__(self, folder: Path, name: str) -> None:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - slow, and only where asked for

        self._writer = SummaryWriter(str(folder / "tensorboard" / name))

    def log(self, step: int, values: Values) -> None:
        """Record ``values`` at ``step``."""
        for key, value in values.items():
            self._writer.add_scalar(key, value, step)
        self._writer.flush()

    def close(self) -> None:
        """Flush and let go."""
        self._writer.close()


class MLflow:
    """A local MLflow store in ``folder``, unless the environment names a server. Needs the extra ``mlflow``."""

    def __init__(self, folder: Path, name: str) -> None:
        import mlflow  # noqa: PLC0415 - an extra

        if not mlflow.is_tracking_uri_set():
            mlflow.set_tracking_uri(f"sqlite:///{(folder / 'mlflow.db').absolute()}")
        mlflow.set_experiment("hanse")
        self._mlflow, self._run = mlflow, mlflow.start_run(run_name=name, nested=True)

    def log(self, step: int, values: Values) -> None:
        """Record ``values`` at ``step``."""
        self._mlflow.log_metrics(dict(values), step=step, run_id=self._run.info.run_id)

    def close(self) -> None:
        """Flush and let go."""
        self._mlflow.end_run()


class WandB:
    """Weights & Biases, offline unless the environment says otherwise. Needs the extra ``wandb``."""

    def __init__(self, folder: Path, name: str) -> None:
        import wandb  # noqa: PLC0415 - an extra

        mode = os.environ.get("WANDB_MODE", "offline")
        self._run = wandb.init(project="hanse", name=name, dir=str(folder), mode=mode)

    def log(self, step: int, values: Values) -> None:
        """Record ``values`` at ``step``."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Flush and let go."""
        self._run.finish()


TRACKERS: Final[Mapping[str, Callable[[Path, str], Tracker]]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": WandB,
}


class Guarded:
    """A tracker whose first failure is told and whose every later call does nothing."""

    def __init__(self, name: str, opened: Callable[[], Tracker]) -> None:
        self._name = name
        self._tracker: Tracker | None = None
        self._try(lambda: self._keep(opened()))

    def log(self, step: int, values: Values) -> None:
        """Record ``values`` at ``step``, if the tracker still works."""
        if (tracker := self._tracker) is not None:
            self._try(lambda: tracker.log(step, values))

    def close(self) -> None:
        """Close the tracker, if it still works."""
        if (tracker := self._tracker) is not None:
            self._try(tracker.close)

    def _keep(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def _try(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as problem:
            self._tracker = None
            # The message itself may hold an address or a key, so only the kind of failure is told.
            hint = f"; pip install 'hanse[{self._name}]'" if isinstance(problem, ImportError) else ""
            _LOG.warning(
                "tracker %s stopped (%s); training goes on%s", self._name, type(problem).__name__, hint
            )


@contextmanager
def tracking(names: Sequence[str], folder: Path, run: str) -> Iterator[Callable[[int, Values], None]]:
    """Open the trackers called ``names`` for ``run`` and give ``log(step, values)``, which never raises.

    Raises:
        ConfigError: when a name is no tracker.
    """
    unknown = [name for name in names if name not in TRACKERS]
    if unknown:
        hint = f"one of {', '.join(TRACKERS)}"
        raise ConfigError(tuple(Problem("trackers", f"unknown tracker {name!r}", hint) for name in unknown))
    opened = [Guarded(name, partial(TRACKERS[name], folder, run)) for name in names]
    try:
        yield lambda step, values: _log_all(opened, step, values)
    finally:
        for tracker in opened:
            tracker.close()


def _log_all(opened: Sequence[Guarded], step: int, values: Values) -> None:
    for tracker in opened:
        tracker.log(step, values)
