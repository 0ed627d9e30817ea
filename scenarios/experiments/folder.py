"""The experiment's own folder: what was asked, the ground and the cells; all it knows is in files."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from common.errors import ConfigError, EnvironmentProblem, Problem
from common.files import locked, write_atomically
from common.model.statistics import Basis
from scenarios.experiments.cells import slug
from scenarios.experiments.ground import Ground, stand, survey
from scenarios.experiments.inputs import digests
from scenarios.experiments.report.record import Cell
from scenarios.experiments.spec import ExperimentSpec


@dataclass(frozen=True, slots=True)
class ExperimentFolder:
    """Where one experiment runs; a killed run goes on here from the last finished round of every cell."""

    path: Path

    @classmethod
    def open(cls, path: Path, spec: ExperimentSpec) -> "ExperimentFolder":
        """A new folder for ``spec``, or the one in which it was begun.

        Raises:
            ConfigError: when another experiment was begun there, or this one on other declarations or data.
            DataError: when a platform's file cannot be read.
            EnvironmentProblem: when it cannot be written.
        """
        folder, inputs = cls(path), dict(digests(spec))
        if folder._asked.exists():
            folder._require(spec, inputs)
            return folder
        try:
            folder.cells.mkdir(parents=True, exist_ok=True)
            write_atomically(folder._inputs, json.dumps(inputs, indent=2).encode(), mode=0o644)
            write_atomically(folder._asked, spec.model_dump_json(indent=2).encode(), mode=0o644)
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise EnvironmentProblem(
                "the results cannot be kept", where=str(path), why=why, hint="choose another --out"
            ) from error
        return folder

    def _require(self, spec: ExperimentSpec, inputs: dict[str, str]) -> None:
        hint = "choose another --out"
        if self.spec() != spec:
            raise ConfigError((Problem(str(self.path), "another experiment was begun here", hint),))
        try:
            begun = json.loads(self._inputs.read_bytes())
        except (OSError, ValueError) as error:
            what = "it is not known on which data this experiment was begun"
            raise ConfigError((Problem(str(self._inputs), what, hint),)) from error
        changed = [name for name, digest in inputs.items() if begun.get(name) != digest]
        if changed:
            what = "this experiment was begun on another declaration, or other data, of"
            problem = Problem(str(self.path), f"{what} {', '.join(changed)}", hint)
            raise ConfigError((problem,))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other runs out of this folder.

        Raises:
            EnvironmentProblem: when one is at work here.
        """
        try:
            with locked(self._asked, wait=False):
                yield
        except BlockingIOError as error:
            raise EnvironmentProblem(
                "another run is at work here",
                where=str(self.path),
                hint="wait for it, or choose another --out",
            ) from error

    def spec(self) -> ExperimentSpec:
        """What was asked.

        Raises:
            ConfigError: when no experiment was begun here.
        """
        try:
            return ExperimentSpec.model_validate_json(self._asked.read_bytes())
        except (OSError, ValueError) as error:
            hint = "hanse experiment run FILE begins one"
            raise ConfigError((Problem(str(self.path), "no experiment was begun here", hint),)) from error

    def ground(self) -> Ground:
        """What all cells stand on, worked out once."""
        if not self._basis.exists():
            survey(self.spec()).save(self._basis)
        return stand(self.spec(), Basis.load(self._basis))

    @property
    def cells(self) -> Path:
        """The folder of all cells."""
        return self.path / "cells"

    def cell(self, cell: Cell) -> Path:
        """One cell's folder."""
        return self.cells / slug(cell)

    @property
    def _asked(self) -> Path:
        return self.path / "experiment.json"

    @property
    def _inputs(self) -> Path:
        return self.path / "inputs.json"

    @property
    def _basis(self) -> Path:
        return self.path / "basis.safetensors"
