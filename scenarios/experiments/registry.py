"""Finding experiments: those that come with the project by name, one's own by file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from common.config import load_toml, place_of
from common.errors import ConfigError, Problem
from common.suggest import closest_file, did_you_mean
from common.toml_lines import Path as Key
from scenarios.experiments.spec import ExperimentSpec
from scenarios.platforms.registry import anchored, scenario_path

_BUILTIN: Final = Path(__file__).parent


def load_experiment(name_or_file: str | Path) -> ExperimentSpec:
    """A built-in experiment by name, or any by its TOML file; the paths in it count from the file's folder.

    Raises:
        ConfigError: where there is none, or with everything that is wrong in the file; or with every scenario
            that it names and that is not there.
    """
    path = _path(name_or_file)
    spec = load_toml(path, ExperimentSpec)
    if absent := tuple(_absent(path, spec)):
        raise ConfigError(absent)
    home = path.parent
    paths = {
        "platforms": tuple(anchored(name, home) for name in spec.platforms),
        "sites": str((home / spec.sites).resolve()) if spec.sites else None,
        "public": anchored(spec.public, home) if spec.public else None,
    }
    return spec.model_copy(update=paths)


def _absent(path: Path, spec: ExperimentSpec) -> Iterator[Problem]:
    """The scenarios that the file at ``path`` names and that are not there."""
    named: list[tuple[Key, str]] = [
        (("platforms", number), name) for number, name in enumerate(spec.platforms)
    ]
    if spec.public:
        named.append((("public",), spec.public))
    for key, name in named:
        if fault := _fault(path, name):
            what, hint = fault
            yield Problem(place_of(path, key), f"{'.'.join(map(str, key))}: {what}", hint)


def _fault(path: Path, name: str) -> tuple[str, str] | None:
    """What is wrong with a scenario's name in the experiment at ``path``, and what to do; None if it is there."""
    try:
        file = scenario_path(anchored(name, path.parent))
    except ConfigError as error:
        (unknown,) = error.problems
        return unknown.what, f"{unknown.hint} or a file that ends in .toml"
    if file.exists():
        return None
    draft = "hanse scenario new drafts a scenario; a path counts from the experiment's folder"
    return f"no such file: {file}", closest_file(file, besides=path) or draft


def _path(name_or_file: str | Path) -> Path:
    path = Path(name_or_file)
    if path.suffix == ".toml":
        return path
    names = sorted(file.stem for file in _BUILTIN.glob("*.toml"))
    if str(name_or_file) not in names:
        hint = did_you_mean(str(name_or_file), names)
        raise ConfigError((Problem("", f'no experiment "{name_or_file}"', hint),))
    return _BUILTIN / f"{name_or_file}.toml"
