"""Configuration files: TOML in, a validated frozen model out, or every problem at once with its line."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from common.config_words import in_words
from common.errors import ConfigError, Problem
from common.suggest import closest_file, did_you_mean
from common.toml_lines import Path as Key
from common.toml_lines import key_lines

Model = TypeVar("Model", bound=BaseModel)


def load_toml(path: Path, model: type[Model]) -> Model:
    """The file as ``model``.

    Raises:
        ConfigError: with all problems, each as ``file:line``, the dotted key, what is wrong and a hint.
    """
    text = _read(path)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError((_syntax_problem(path, error),)) from error
    try:
        return model.model_validate(content)
    except ValidationError as error:
        lines = key_lines(text)
        found = error.errors(include_url=False, include_input=False)
        raise ConfigError(tuple(_problem(path, item, content, lines, model) for item in found)) from error


def checked(content: Mapping[str, Any], model: type[Model]) -> Model:
    """Options of a command as ``model``.

    Raises:
        ConfigError: with all problems, each as the dotted name and what is wrong.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise ConfigError(
            tuple(Problem(".".join(map(str, item["loc"])), in_words(item)) for item in found)
        ) from error


def place_of(path: Path, key: Key) -> str:
    """Where in a TOML file a key stands, or else what it stands in: ``file:line``.

    Raises:
        ConfigError: when the file cannot be read.
    """
    return _place(path, key_lines(_read(path)), key)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        problem = Problem(str(path), "not UTF-8 text", "save the file as UTF-8")
        raise ConfigError((problem,)) from error
    except FileNotFoundError as error:
        raise ConfigError((Problem(str(path), "no such file", closest_file(path)),)) from error
    except OSError as error:
        raise ConfigError((Problem(str(path), f"cannot be read: {error.strerror}"),)) from error


def _syntax_problem(path: Path, error: tomllib.TOMLDecodeError) -> Problem:
    what, _, place = str(error).partition(" (at ")
    line = place.removeprefix("line ").split(",")[0]
    where = f"{path}:{line}" if line.isdigit() else str(path)
    return Problem(where, f"not TOML: {what[:1].lower()}{what[1:]}")


def _problem(
    path: Path,
    item: Mapping[str, Any],
    content: Mapping[str, Any],
    lines: Mapping[Key, int],
    model: type[BaseModel],
) -> Problem:
    key = _visible(item["loc"], content)
    dotted = ".".join(map(str, key))
    unknown = item["type"] == "extra_forbidden"
    what, hint = in_words(item), did_you_mean(str(key[-1]), _siblings(model, key[:-1])) if unknown else ""
    return Problem(_place(path, lines, key), f"{dotted}: {what}" if dotted else what, hint)


def _place(path: Path, lines: Mapping[Key, int], key: Key) -> str:
    line = next((lines[key[:end]] for end in range(len(key), 0, -1) if key[:end] in lines), 1)
    return f"{path}:{line}"


def _visible(location: Key, content: Any) -> Key:
    """The part of a location that a reader of the file can see: no tags of unions, no names of validators."""
    seen: list[str | int] = []
    for part in location:
        try:
            content = content[part]
        except (LookupError, TypeError):
            if part == location[-1] and isinstance(content, dict):
                seen.append(part)  # a key that is missing
            continue
        seen.append(part)
    return tuple(seen)


def _siblings(model: type[BaseModel], path: Key) -> list[str]:
    """The keys that the table at ``path`` may have."""
    models = [model]
    for part in path:
        if isinstance(part, str):
            fields = [inner.model_fields[part].annotation for inner in models if part in inner.model_fields]
            models = [found for annotation in fields for found in _models_in(annotation)]
    return [name for inner in models for name in inner.model_fields]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
