"""Arguments that name what must be there: one rule for all commands, and one way of saying that it is not."""

import stat
from pathlib import Path
from typing import Any, Literal

import click

from common.errors import ConfigError, Problem
from common.suggest import closest_file, closest_folder


class Existing(click.Path):
    """A file or folder that is there. ``remedy``: what to do where it is not, and nothing has a like name.

    Raises:
        ConfigError: when it is missing, of the other kind, or out of reach.
    """

    def __init__(self, kind: Literal["file", "folder"], remedy: str = "") -> None:
        super().__init__(file_okay=kind == "file", dir_okay=kind == "folder", path_type=Path)
        self.name, self._remedy = kind, remedy

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path, once it is what it should be."""
        path = Path(value)
        try:
            if stat.S_ISDIR(path.stat().st_mode) == self.dir_okay:
                return path
            fault = f"not a {self.name}"
        except (FileNotFoundError, NotADirectoryError):
            fault = f"no such {self.name}"
        except OSError as error:
            fault = f"cannot be read: {error.strerror}"
        meant = closest_folder(path) if self.dir_okay else closest_file(path)
        raise ConfigError((Problem(str(path), fault, meant or self._remedy),))
