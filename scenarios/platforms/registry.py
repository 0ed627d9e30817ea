"""Finding scenarios: those that come with the project by name, one's own by file."""

from pathlib import Path
from typing import Final

from common.config import load_toml
from common.errors import ConfigError, Problem
from common.suggest import did_you_mean
from scenarios.platforms.spec import ScenarioSpec

BUILTIN: Final = Path(__file__).parent / "builtin"


def builtin_names() -> tuple[str, ...]:
    """The names of the scenarios that come with the project."""
    return tuple(sorted(path.stem for path in BUILTIN.glob("*.toml")))


def load_scenario(name_or_file: str | Path) -> ScenarioSpec:
    """A built-in scenario by name, or any by its TOML file; the paths in it count from the file's folder.

    Raises:
        ConfigError: where there is none, or with everything that is wrong in the file.
    """
    path = scenario_path(name_or_file)
    spec = load_toml(path, ScenarioSpec)
    source = spec.source
    files = {
        kind: path.parent / file
        for kind, file in (("events", source.events), ("items", source.items))
        if file
    }
    return spec.model_copy(update={"source": source.model_copy(update=files)})


def anchored(name_or_file: str, home: Path) -> str:
    """A scenario's name as it is; its file, where it counts from ``home``, as an absolute path."""
    return str((home / name_or_file).resolve()) if name_or_file.endswith(".toml") else name_or_file


def scenario_path(name_or_file: str | Path) -> Path:
    """The TOML file of a scenario."""
    path = Path(name_or_file)
    if path.suffix == ".toml":
        return path
    names = builtin_names()
    if str(name_or_file) in names:
        return BUILTIN / f"{name_or_file}.toml"
    hint = did_you_mean(str(name_or_file), list(names))
    raise ConfigError((Problem("", f'no scenario "{name_or_file}"', hint),))
