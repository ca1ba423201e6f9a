"""One thing changed in a module: the syntax of mutation testing (``tools/mutate.py``).

A mutant is one small change of the syntax tree: a comparison turned, a guard's call left out, a ``raise`` that does
not, a constant that is another.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_REVERSED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt,
}  # fmt: skip
_COUNTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip


class Mutant(NamedTuple):
    """A module with one thing changed."""

    line: int
    what: str
    source: str
    span: range = range(0)
    """The lines that a test runs when it runs what is changed; none: every test does, by importing the module."""


def mutants(source: str) -> Iterator[Mutant]:
    """Yield every mutant of a module. Texts for people, annotations and imports for types stay as they are."""
    tree = ast.parse(source)
    told, spans = _people(tree), dict(_spans(tree))
    for node, put in list(_places(tree)):
        if id(node) in told:
            continue
        for what, changed in _changes(node):
            put(ast.copy_location(changed, node))
            yield Mutant(getattr(node, "lineno", 0), what, ast.unparse(tree), spans.get(id(node), range(0)))
            put(node)


def _places(tree: ast.AST) -> Iterator[tuple[ast.AST, Callable[[ast.AST], None]]]:
    """Yield each node, and what puts another in its place."""
    for parent in ast.walk(tree):
        for name, held in ast.iter_fields(parent):
            if isinstance(held, ast.AST):
                yield held, partial(setattr, parent, name)
            elif isinstance(held, list):
                yield from (
                    (each, partial(held.__setitem__, at)) for at, each in enumerate(held) if isinstance(each, ast.AST)
                )


def _spans(node: ast.AST, span: range = range(0), *, called: bool = False) -> Iterator[tuple[int, range]]:
    """Yield the lines of each node's statement, without those of the statements in it; none of what runs on import."""
    for child in ast.iter_child_nodes(node):
        within, inner = called or (isinstance(node, ast.FunctionDef) and child in node.body), span
        if isinstance(child, ast.stmt) and within:
            below = [each.lineno for each in ast.walk(child) if isinstance(each, ast.stmt) and each is not child]
            last = min(below) if below else (child.end_lineno or child.lineno) + 1
            inner = range(child.lineno, max(last, child.lineno + 1))
        yield id(child), inner
        yield from _spans(child, inner, called=within)


def _people(tree: ast.AST) -> set[int]:
    """Return the nodes that decide nothing: docstrings, annotations, what is said to people, what only types need."""
    found: list[ast.AST] = []
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant()) | ast.JoinedStr() | ast.If(test=ast.Name(id="TYPE_CHECKING")):
                found.append(node)
            case ast.Assign(targets=[ast.Name(id="__all__")]):
                found.append(node)
            case ast.AnnAssign(annotation=told) | ast.arg(annotation=ast.expr() as told):
                found.append(told)
            case ast.FunctionDef(returns=ast.expr() as told):
                found.append(told)
            case ast.Raise(exc=ast.Call(args=args, keywords=keywords)):
                found += [*args, *(each.value for each in keywords)]
            case ast.Constant(value=str(text)) if " " in text and not text.islower():
                found.append(node)
            case _:
                pass
    return {id(inner) for each in found for inner in ast.walk(each)}


def _changes(node: ast.AST) -> list[tuple[str, ast.AST]]:
    """Return the changes of a node: what each is, and what comes in its place."""
    made: list[tuple[str, ast.AST]] = []
    match node:
        case ast.Compare():
            made = _of_compare(node)
        case ast.Constant():
            made = _of_constant(node)
        case ast.BoolOp(op=operator, values=values):
            made = [("and/or", ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values))]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            made = [("not left out", operand)]
        case ast.BinOp(left=left, op=counted, right=right) if type(counted) in _COUNTED:
            made = [(f"{type(counted).__name__} turned", ast.BinOp(left, _COUNTED[type(counted)](), right))]
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            made = [("returns nothing", ast.Return(ast.Constant(None)))]
        case ast.Expr(value=ast.Call()):
            made = [("call left out", ast.Pass())]
        case ast.Raise():
            made = [("does not raise", ast.Pass())]
        case ast.Set(elts=members) if len(members) > 1:
            made = [
                (f"{ast.unparse(each)} left out", ast.Set([other for other in members if other is not each]))
                for each in members
            ]
        case ast.IfExp(test=test, body=body, orelse=orelse):
            made = [("the other one", ast.IfExp(test, orelse, body))]
        case ast.If(body=body, orelse=orelse):
            made = [(word, ast.If(ast.Constant(word == "always"), body, orelse)) for word in ("always", "never")]
        case _:
            pass
    return made


def _of_compare(node: ast.Compare) -> list[tuple[str, ast.AST]]:
    made: list[tuple[str, ast.AST]] = []
    for at, operator in enumerate(node.ops):
        for table in (_COMPARED, _REVERSED):
            if (other := table.get(type(operator))) is not None:
                ops = [*node.ops[:at], other(), *node.ops[at + 1 :]]
                made.append(
                    (f"{type(operator).__name__} to {other.__name__}", ast.Compare(node.left, ops, node.comparators))
                )
    return made


def _of_constant(node: ast.Constant) -> list[tuple[str, ast.AST]]:
    value = node.value
    if isinstance(value, bool):
        return [(f"{value} to {not value}", ast.Constant(not value))]
    if isinstance(value, int | float):
        return [(f"{value} to {value + 1}", ast.Constant(value + 1))]
    if isinstance(value, str) and value:
        return [(f"{value!r} changed", ast.Constant(f"{value}x"))]
    return []
