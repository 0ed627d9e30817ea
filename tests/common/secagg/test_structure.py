"""What the package's own source must look like: auditable alone, OS randomness only, every promise written."""

import ast
import re
from pathlib import Path

import pytest

import common.secagg

SOURCES = sorted(Path(common.secagg.__file__).parent.glob("*.py"))
STANDARD = {
    "collections",
    "concurrent",
    "dataclasses",
    "hashlib",
    "itertools",
    "json",
    "math",
    "secrets",
    "types",
    "typing",
}
ALLOWED = STANDARD | {"common", "cryptography", "numpy"}
PROMISED = re.compile(r"Guarantee: .+Refuses: ", re.DOTALL)


def tree(path):
    return ast.parse(path.read_text())


def public(path):
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        if not any(isinstance(mark, ast.Name) and mark.id == "property" for mark in node.decorator_list):
            yield node


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_public_function_says_what_it_guarantees_and_refuses(path):
    for function in public(path):
        assert PROMISED.search(ast.get_docstring(function) or ""), function.name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_only_these_modules_are_imported(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            roots = {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots = {(node.module or "").split(".")[0]}
            own = {"common.cores", "common.deltas", "common.errors", "common.randomness"}
            assert roots != {"common"} or node.module in own or node.module.startswith("common.secagg")
        else:
            continue
        assert roots <= ALLOWED


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_random_generator_but_the_operating_systems(path):
    names = {node.attr for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}
    assert not names & {"random", "default_rng", "RandomState", "Generator", "seed_all"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_nothing_reads_writes_or_asserts(path):
    calls = [node.func for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    names = {call.id for call in calls if isinstance(call, ast.Name)}
    assert not names & {"open", "print", "eval", "exec", "input"}
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree(path)))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_file_says_what_it_owns(path):
    assert ast.get_docstring(tree(path))
