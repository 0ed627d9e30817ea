"""Finding experiments: those that come with the project by name, one's own by file."""

from pathlib import Path
from typing import Final

from common.config import did_you_mean, load_toml
from common.errors import ConfigError, Problem
from scenarios.experiments.spec import ExperimentSpec

_BUILTIN: Final = Path(__file__).parent


def load_experiment(name_or_file: str | Path) -> ExperimentSpec:
    """A built-in experiment by name, or any by its TOML file; the paths in it count from the file's folder.

    Raises:
        ConfigError: where there is none, or with everything that is wrong in the file.
    """
    path = _path(name_or_file)
    spec = load_toml(path, ExperimentSpec)
    home = path.parent
    paths = {
        "platforms": tuple(_scenario(home, name) for name in spec.platforms),
        "sites": str((home / spec.sites).resolve()) if spec.sites else None,
        "public": _scenario(home, spec.public) if spec.public else None,
    }
    return spec.model_copy(update=paths)


def _scenario(home: Path, name: str) -> str:
    return str((home / name).resolve()) if name.endswith(".toml") else name


def _path(name_or_file: str | Path) -> Path:
    path = Path(name_or_file)
    if path.suffix == ".toml":
        return path
    names = sorted(file.stem for file in _BUILTIN.glob("*.toml"))
    if str(name_or_file) not in names:
        hint = did_you_mean(str(name_or_file), names)
        raise ConfigError((Problem("", f'no experiment "{name_or_file}"', hint),))
    return _BUILTIN / f"{name_or_file}.toml"
