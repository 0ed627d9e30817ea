"""The documents hold together: links resolve, every key and exit code has its place, nothing is left out."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
from pydantic import BaseModel
from typer.main import get_command

from clients.config import CeilingConfig, SiteConfig
from common.charter import CharterInvalid, ServerTraining
from common.cli import INTERRUPTED, Misuse, build
from common.errors import HanseError
from common.robust import RobustTerms
from scenarios.experiments.spec import ExperimentSpec, Limits, Metrics, Model, Privacy, Statistics

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("**/*.md")])
TABLES: list[tuple[str, str, type[BaseModel], set[str]]] = [
    (
        "experiment.md",
        "Top level",
        ExperimentSpec,
        {"model", "privacy", "server", "limits", "robust", "statistics", "metrics"},
    ),
    ("experiment.md", "[model]", Model, set()),
    ("experiment.md", "[privacy]", Privacy, set()),
    ("experiment.md", "[server]", ServerTraining, set()),
    ("experiment.md", "[robust]", RobustTerms, set()),
    ("experiment.md", "[statistics]", Statistics, set()),
    ("experiment.md", "[metrics]", Metrics, set()),
    ("experiment.md", "[limits]", Limits, set()),
    ("site-folder.md", "site.toml", SiteConfig, set()),
    ("site-folder.md", "[ceiling]", CeilingConfig, set()),
]


def prose(page: Path) -> str:
    """The page without its blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def links(page: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not re.match(r"[a-z]+:", target):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_resolves(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        assert aim.exists(), target
        assert not anchor or anchor in anchors(aim), target


@pytest.mark.parametrize("page", sorted(DOCS.glob("**/*.md")), ids=lambda page: page.name)
def test_every_page_is_found_from_the_index_and_in_the_navigation(page: Path) -> None:
    name = page.relative_to(DOCS).as_posix()
    assert f"- {name}\n" in (ROOT / "mkdocs.yml").read_text() or name == "index.md"
    assert name in links(DOCS / "index.md") or name == "index.md"


def rows(page: str, section: str) -> dict[str, list[str]]:
    """The rows of a section's table by key."""
    text = (DOCS / "reference" / page).read_text("utf-8")
    body = re.search(rf"^##+ `?{re.escape(section)}`?\n(.*?)(?=^##|\Z)", text, re.M | re.S)
    assert body, section
    split = [[cell.strip() for cell in line.split("|")[1:-1]] for line in body[1].splitlines() if "|" in line]
    return {key[1]: row for row in split if len(row) == 4 and (key := re.fullmatch(r"`(\w+)`", row[0]))}


@pytest.mark.parametrize(
    ("page", "section", "model", "tables"), TABLES, ids=[f"{page} {section}" for page, section, *_ in TABLES]
)
def test_the_reference_has_every_key_and_its_default(
    page: str, section: str, model: type[BaseModel], tables: set[str]
) -> None:
    found = rows(page, section)
    assert set(found) | tables == set(model.model_fields)
    for name, row in found.items():
        field, told = model.model_fields[name], row[2].strip("`")
        if field.is_required():
            assert told == "required", name
        elif isinstance(field.default, bool | str):
            assert told.strip('"').lower() == str(field.default).lower(), name
        elif isinstance(field.default, int | float):
            assert float(told) == field.default, name


def families(kind: type[HanseError] = HanseError) -> Iterator[type[HanseError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from families(child)


def test_every_exit_code_has_its_section() -> None:
    text = (DOCS / "reference" / "command-line.md").read_text("utf-8")
    told = [int(code) for code in re.findall(r"^### Exit code (\d+)$", text, re.M)]
    assert {Misuse, CharterInvalid} <= set(families())
    assert told == sorted({0, INTERRUPTED, *(kind.exit_code for kind in families())})


def leaves(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for word, inner in command.commands.items():
            yield from leaves(inner, f"{name} {word}")
    else:
        yield name, command


@pytest.mark.parametrize(("name", "command"), list(leaves(get_command(build()), "hanse")), ids=str)
def test_every_command_and_option_is_in_the_reference(name: str, command: click.Command) -> None:
    text = (DOCS / "reference" / "command-line.md").read_text("utf-8")
    row = re.search(rf"^\| `({name}\b.*?)` \|", text, re.M)
    assert row, name
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.opts[0] in row[1], f"{name}: {option.opts[0]}"


def test_decisions_are_short_and_complete() -> None:
    notes = sorted((DOCS / "decisions").glob("*.md"))
    assert [int(note.name[:4]) for note in notes] == list(range(1, len(notes) + 1))
    for note in notes:
        text = note.read_text("utf-8")
        assert text.startswith(f"# {note.name[:4]} ")
        assert len(text.splitlines()) <= 40
        assert re.findall(r"^\*\*(\w+)\.\*\*", text, re.M) == ["Context", "Decision", "Consequences"]


def test_pictures_are_small_and_whole() -> None:
    for picture in (DOCS / "images").glob("*.svg"):
        assert picture.stat().st_size < 30_000
        text = picture.read_text("utf-8")
        assert text.startswith("<svg ")
        assert text.endswith("</svg>\n")
        assert "prefers-color-scheme: dark" in text


@pytest.mark.skipif(find_spec("mkdocs") is None, reason="needs mkdocs")
def test_the_site_builds(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "site" / "reference" / "command-line" / "index.html").exists()
