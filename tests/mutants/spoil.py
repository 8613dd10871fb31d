"""The mutants of a module: each differs from it in one operator, number, condition or statement."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Any

_PAIRS = "Lt LtE, Gt GtE, Eq NotEq, Is IsNot, In NotIn, And Or, Add Sub, Mult FloorDiv, LShift RShift, BitAnd BitOr"
_SWAPS: dict[type[ast.AST], Any] = {ast.Mod: ast.Mult}
for one, other in (pair.split() for pair in _PAIRS.split(", ")):
    _SWAPS |= {getattr(ast, one): getattr(ast, other), getattr(ast, other): getattr(ast, one)}
_NOT_BEHAVIOUR: dict[type[ast.AST], tuple[str, ...]] = {
    ast.FunctionDef: ("decorator_list", "returns"),
    ast.ClassDef: ("decorator_list", "bases", "keywords"),
    ast.arg: ("annotation",),
    ast.AnnAssign: ("annotation",),
    ast.JoinedStr: ("values",),
    ast.Raise: ("exc", "cause"),
    ast.Assert: ("msg",),
}
"""Types, decorators and the words of messages: what they say shows to a type checker or to a reader."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """`text` is what the file at `path` would hold; `lines` are those of the statement that changes, from 1 on."""

    path: Path
    line: int
    lines: range
    text: str

    def diff(self) -> str:
        """What changed, line by line."""
        lines = unified_diff(self.path.read_text().splitlines(), self.text.splitlines(), n=0, lineterm="")
        return "\n".join(f"    {line}" for line in list(lines)[3:])


def mutants(path: Path) -> Iterator[Mutant]:
    """All mutants of a file, in its order."""
    source = path.read_text()
    begins = [0]
    for each in source.encode().splitlines(keepends=True):
        begins.append(begins[-1] + len(each))
    for node, lines, new in _changes(ast.parse(source), range(1, 1)):
        begin = begins[node.lineno - 1] + node.col_offset
        end = begins[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        text = (source.encode()[:begin] + new.encode() + source.encode()[end:]).decode()
        yield Mutant(path, node.lineno, lines, text)


def _changes(node: ast.AST, lines: range) -> Iterator[tuple[ast.expr | ast.stmt, range, str]]:
    """(what is replaced, the lines of its statement, by what) for a node and all below it."""
    if isinstance(node, ast.stmt):
        body: list[ast.stmt] = getattr(node, "body", [])
        lines = range(node.lineno, body[0].lineno if body else (node.end_lineno or node.lineno) + 1)
        if new := _another_statement(node):
            yield node, lines, new
    if isinstance(node, ast.expr):
        yield from ((node, lines, f"({ast.unparse(new)})") for new in _other_expressions(node))
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.keyword) and node.arg == "strict":
        return  # of zip: it says what is always so
    if isinstance(node, (ast.If, ast.While, ast.IfExp)) and not isinstance(node.test, (ast.Compare, ast.UnaryOp)):
        yield node.test, lines, f"(not ({ast.unparse(node.test)}))"
    for field, value in ast.iter_fields(node):
        if field not in _NOT_BEHAVIOUR.get(type(node), ()):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _changes(child, lines)


def _another_statement(node: ast.stmt) -> str | None:
    match node:
        case ast.Expr(value=ast.Constant()):
            return None  # a docstring
        case ast.Expr(value=ast.Yield()):
            return None  # without it there may be no generator any more
        case ast.Expr() | ast.Raise() | ast.Delete():
            return "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            return "pass"
        case ast.AugAssign(op=op) if type(op) in _SWAPS:
            return ast.unparse(ast.AugAssign(node.target, _SWAPS[type(op)](), node.value))
        case ast.Continue():
            return "break"
        case ast.Break():
            return "continue"
    return None


def _other_expressions(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.Compare(ops=ops):
            for at, op in enumerate(ops):
                swapped = [*ops[:at], _SWAPS[type(op)](), *ops[at + 1 :]]
                yield ast.Compare(node.left, swapped, node.comparators)
        case ast.BoolOp(op=op):
            yield ast.BoolOp(_SWAPS[type(op)](), node.values)
        case ast.BinOp(op=op) if type(op) in _SWAPS:
            yield ast.BinOp(node.left, _SWAPS[type(op)](), node.right)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() as value):
            yield ast.Constant(value + 1)
