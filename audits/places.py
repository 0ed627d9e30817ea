"""Where a source file can be broken, and what each broken file is called.

Not broken, since no behaviour hangs on it: docstrings, annotations and type aliases, and the texts that people
read (``why=``, ``hint=``, the message of a built-in exception). That an error has the right *class*, phase and
platform does matter, and is broken.
"""

import ast
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from types import CodeType
from typing import Any, Final

from audits.operators import broken

TEXTS: Final = {"why", "hint", "cheats"}
TYPE_FIELDS: Final = {"annotation", "returns", "bases", "type_comment", "ctx"}


@dataclass(frozen=True)
class Mutant:
    """One broken file. What it is called does not depend on line numbers."""

    file: str
    function: str
    original: str
    mutated: str
    code: CodeType

    @property
    def key(self) -> tuple[str, str, str, str]:
        """By which the list of equivalent ones knows it."""
        return (self.file, self.function, self.original, self.mutated)


def mutants(file: str, source: str) -> Iterator[Mutant]:
    """Every way in which ``file`` is broken."""
    tree = ast.parse(source)
    for place in _places(tree, "", None):
        original, node = place.shown, place.node
        for other in broken(node, condition=place.field in {"test", "ifs"}):
            place.put(other)
            ast.fix_missing_locations(tree)
            yield Mutant(file, place.function, original, place.shown, compile(tree, file, "exec"))
        place.put(node)


@dataclass(frozen=True)
class _Place:
    """A node, and where it stands."""

    node: ast.AST
    parent: ast.AST
    field: str
    index: int | None
    function: str
    statement: ast.AST | None

    def put(self, node: ast.AST) -> None:
        """Let ``node`` stand here."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node

    @property
    def shown(self) -> str:
        """The statement as it is now, of a compound one its head."""
        now: Any = self.statement
        if self.node is self.statement:
            now = getattr(self.parent, self.field)
            now = now if self.index is None else now[self.index]
        if isinstance(now, ast.stmt) and hasattr(now, "body"):
            now = deepcopy(now)
            now.__dict__.update({part: [] for part in ("orelse", "finalbody") if hasattr(now, part)})
            now.body = [ast.Pass()]
        return ast.unparse(ast.fix_missing_locations(now)).removesuffix("\n    pass") if now else ""


def _places(parent: ast.AST, function: str, statement: ast.AST | None) -> Iterator[_Place]:
    """All nodes below ``parent`` whose behaviour matters."""
    for name, value in ast.iter_fields(parent):
        if name in TYPE_FIELDS:
            continue
        rows = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
        for index, node in rows:
            if not isinstance(node, ast.AST) or _silent(node, parent, name, index):
                continue
            inner, around = function, statement
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                inner = f"{function}.{node.name}".lstrip(".")
            if isinstance(node, ast.stmt | ast.ExceptHandler):
                around = node
            yield _Place(node, parent, name, index, inner, around)
            yield from _places(node, inner, around)


def _silent(node: ast.AST, parent: ast.AST, field: str, index: int | None) -> bool:
    """Whether the node is prose or a type."""
    match node:
        case ast.Expr(value=ast.Constant(value=str())) | ast.JoinedStr() | ast.Import() | ast.ImportFrom():
            return True
        case ast.keyword(arg=name) | ast.Assign(targets=[ast.Name(id=name)]) if name in TEXTS | {"__all__"}:
            return True
        case ast.Assign(value=ast.Subscript(value=ast.Name(), slice=kind)):
            return isinstance(parent, ast.Module) and not isinstance(kind, ast.Slice)  # an alias of a type
        case (
            ast.Call(func=ast.Name(id="ValueError" | "TypeError" | "TypeVar"))
            | ast.Subscript(value=ast.Name(id="list" | "dict"))  # list[bytes]()
        ):
            return True
        case ast.Constant(value=str()):
            return _is_told(parent, field, index)
    return False


def _is_told(parent: ast.AST, field: str, index: int | None) -> bool:
    """Whether a text is what a reader says of a message, or the second part of (fault, why)."""
    match parent:
        case ast.Call(func=ast.Attribute(attr="_fault")):
            return True
        case ast.Tuple(elts=[_, _]):
            return (field, index) == ("elts", 1)
    return False
