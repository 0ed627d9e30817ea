"""What an experiment reads, as a digest for each platform: results of one state are never mixed with another's."""

import hashlib
from collections.abc import Mapping

from common.errors import DataError
from scenarios.experiments.ground import declared
from scenarios.experiments.spec import ExperimentSpec
from scenarios.platforms.registry import load_scenario
from scenarios.platforms.spec import ScenarioSpec


def digests(spec: ExperimentSpec) -> Mapping[str, str]:
    """SHA-256 over each platform's declaration and the bytes of its files, hexadecimal, by the scenario's name.

    Raises:
        DataError: where a file cannot be read.
    """
    scenarios = [*declared(spec).values(), *([load_scenario(spec.public)] if spec.public else [])]
    return {scenario.name: _digest(scenario) for scenario in scenarios}


def _digest(scenario: ScenarioSpec) -> str:
    state = hashlib.sha256(scenario.model_dump_json().encode())
    for path in scenario.source.files:
        try:
            with path.open("rb") as file:
                state.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise DataError("cannot be read", where=str(path), why=error.strerror or "") from error
    return state.hexdigest()
