"""How a piece of code is broken: each operator gives what may stand in the place of a node."""

import ast
from collections.abc import Callable, Iterator
from typing import Any, Final

TEXTS: Final = {"why", "hint"}
COMPARISONS: Final[dict[type, tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: Final[dict[type, type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitOr,
}
CALLS: Final = {"sorted": "list", "min": "max", "max": "min", "any": "all", "all": "any"}


def broken(node: ast.AST, *, condition: bool) -> Iterator[ast.AST]:
    """Everything that may stand where ``node`` does; a condition may also be always or never so."""
    if condition:
        yield from (ast.Constant(value) for value in (True, False) if not _is(node, value))
    for kind, breaks in _BREAKS.items():
        if isinstance(node, kind):
            yield from breaks(node)


def _gone(_: ast.stmt) -> Iterator[ast.AST]:
    yield ast.Pass()


def _raises(node: ast.Raise) -> Iterator[ast.AST]:
    """Nothing is raised; or what lies behind the error shows."""
    yield ast.Pass()
    if node.cause:
        yield ast.Raise(exc=node.exc)


def _returns(node: ast.Return) -> Iterator[ast.AST]:
    if node.value and not _is(node.value, None):
        yield ast.Return(value=ast.Constant(None))


def _no_turn(node: ast.For | ast.comprehension) -> Iterator[ast.AST]:
    yield _with(node, iter=ast.Tuple(elts=[], ctx=ast.Load()))


def _compares(node: ast.Compare) -> Iterator[ast.AST]:
    for at, op in enumerate(node.ops):
        for other in COMPARISONS[type(op)]:
            yield _with(node, ops=[*node.ops[:at], other(), *node.ops[at + 1 :]])


def _connects(node: ast.BoolOp) -> Iterator[ast.AST]:
    yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    yield from node.values


def _sign(node: ast.UnaryOp) -> Iterator[ast.AST]:
    yield node.operand


def _calculates(node: ast.BinOp) -> Iterator[ast.AST]:
    yield _with(node, op=ARITHMETIC[type(node.op)]())


def _slices(node: ast.Slice) -> Iterator[ast.AST]:
    yield from (_with(node, **{part: None}) for part in ("lower", "upper") if getattr(node, part))


def _constants(node: ast.Constant) -> Iterator[ast.AST]:
    yield from (ast.Constant(value) for value in _other_values(node.value))


def _pairs(node: ast.Dict) -> Iterator[ast.AST]:
    yield from (ast.Dict(_without(node.keys, at), _without(node.values, at)) for at in range(len(node.keys)))


def _elements(node: ast.Tuple | ast.List | ast.Set) -> Iterator[ast.AST]:
    if isinstance(node, ast.Set) or isinstance(node.ctx, ast.Load):
        yield from (_with(node, elts=_without(node.elts, at)) for at in range(len(node.elts)))


def _calls(node: ast.Call) -> Iterator[ast.AST]:
    """An argument less, the first two swapped, or another function of the same form."""
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if len(node.args) > 1:
        needed = [at for at, arg in enumerate(node.args) if not _is(arg, "big")]  # Python's own default
        yield from (_with(node, args=_without(node.args, at)) for at in needed)
        if ast.dump(node.args[0]) != ast.dump(node.args[1]) and name not in ("min", "max"):
            yield _with(node, args=[node.args[1], node.args[0], *node.args[2:]])
    for at, keyword in enumerate(node.keywords):
        flag = isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, bool)
        if keyword.arg not in TEXTS and not flag:  # without it a flag is what it becomes when it is flipped
            yield _with(node, keywords=_without(node.keywords, at))
    if name in CALLS:
        yield _with(node, func=ast.Name(CALLS[name], ast.Load()))


def _other_values(value: object) -> list[Any]:
    match value:
        case bool():
            return [not value]
        case int():
            return [value + 1, value - 1]
        case float():
            return [value * 2 + 1]
        case str():
            return ["broken"]
        case bytes():
            return [b"broken"]
    return []


def _is(node: ast.AST, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value == value


def _with(node: Any, **changes: Any) -> Any:
    """The same node with some of its parts changed."""
    parts = {name: getattr(node, name, None) for name in node._fields}
    return type(node)(**{**parts, **changes})


def _without(rows: list[Any], at: int) -> list[Any]:
    return rows[:at] + rows[at + 1 :]


_BREAKS: Final[dict[Any, Callable[[Any], Iterator[ast.AST]]]] = {
    ast.Expr | ast.AugAssign: _gone,
    ast.Raise: _raises,
    ast.Return: _returns,
    ast.For | ast.comprehension: _no_turn,
    ast.Compare: _compares,
    ast.BoolOp: _connects,
    ast.UnaryOp: _sign,
    ast.BinOp: _calculates,
    ast.Slice: _slices,
    ast.Constant: _constants,
    ast.Call: _calls,
    ast.Dict: _pairs,
    ast.Tuple | ast.List | ast.Set: _elements,
}
