"""Training one cell: whatever the system, it ends as one parameter vector for each platform, on disk."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from safetensors.numpy import load, save

from clients.references import fit
from clients.trainer import Shelf
from common.deltas import Floats
from common.files import write_atomically
from common.randomness import KeyedRandomness
from scenarios.experiments.cells import REFERENCES
from scenarios.experiments.federation import found
from scenarios.experiments.ground import Ground
from scenarios.experiments.report.record import Cell
from scenarios.experiments.trackers import tracking
from server.outcome import RoundOutcome

RoundsDone = Callable[[int], None]
Engine = Literal["process", "ray"]

_FILE = "vectors.safetensors"


def train_cell(ground: Ground, cell: Cell, folder: Path, told: RoundsDone, engine: Engine) -> None:
    """Train ``cell`` unless its folder holds the result; a federation goes on from its last finished round.

    Raises:
        PrivacyRefused: when a site's ceiling would be passed; nothing was read.
        AggregationAborted: when a round ended without a sum; finished rounds stay.
    """
    if cell == REFERENCES or is_trained(folder):
        return
    folder.mkdir(parents=True, exist_ok=True)
    vectors = _train(ground, cell, folder, told, engine)
    write_atomically(folder / _FILE, save(dict(vectors)))


def is_trained(folder: Path) -> bool:
    """Whether the cell's folder holds its result, which is then kept."""
    return (folder / _FILE).exists()


def trained(folder: Path, platform: str) -> Floats:
    """The parameters that ``platform`` evaluates in this cell, float32, (d,)."""
    return load((folder / _FILE).read_bytes())[platform]


def _train(
    ground: Ground, cell: Cell, folder: Path, told: RoundsDone, engine: Engine
) -> Mapping[str, Floats]:
    match cell.system:
        case "federated" | "federated-warm":
            return dict.fromkeys(ground.scenarios, _federate(ground, cell, folder, told, engine))
        case "local-only":
            return {name: _fit(ground, cell, [name]) for name in ground.scenarios}
    return dict.fromkeys(ground.scenarios, _fit(ground, cell, list(ground.scenarios)))


def _federate(ground: Ground, cell: Cell, folder: Path, told: RoundsDone, engine: Engine) -> Floats:
    federation = found(ground, cell, folder)
    conduct = federation.conduct_under_flower if engine == "ray" else federation.conduct
    with tracking(ground.spec.trackers, folder.parents[1], folder.name) as log:

        def watch(outcome: RoundOutcome) -> None:
            told(outcome.number)
            log(outcome.number, outcome.scalars())

        return conduct(watch).released


def _fit(ground: Ground, cell: Cell, platforms: list[str]) -> Floats:
    """The same model and budget of steps without a federation: alone, or with all rows in one place."""
    rows = []
    for name in platforms:
        data, terms = ground.data(name), ground.scenarios[name].training
        features = data.features(ground.basis)
        rows.append((Shelf.of(features, data.platform.split.train, terms.history), terms))
    clip = ground.spec.privacy.clip if cell.system == "pooled-clipped" else None
    draw = KeyedRandomness(cell.system, cell.seed, *platforms)
    return fit(rows, ground.spec.model.size, ground.spec.rounds, draw, clip=clip)
