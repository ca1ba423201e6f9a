"""Help texts of fields: the docstrings below them, read from the source when somebody asks for one.

pydantic can read them itself (``use_attribute_docstrings``), but reads them while a class is made: a tenth of the time
of every short command goes into texts that it never shows.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache

_Texts = dict[str, dict[str, str | None]]
_SCOPES = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def describe(model: type) -> dict[str, str]:
    """Return the docstrings of a class's annotated attributes, by their names; an attribute's last class decides."""
    found: dict[str, str | None] = {}
    for each in reversed(model.__mro__):
        if each.__module__.partition(".")[0] not in {"builtins", "pydantic"}:
            found |= _read(each.__module__).get(each.__qualname__, {})
    return {name: text for name, text in found.items() if text is not None}


@cache
def _read(module: str) -> _Texts:
    """Return the attributes of every class in the source of a module, by the class's qualified name."""
    return dict(_classes(ast.parse(inspect.getsource(sys.modules[module])), ""))


def _classes(scope: ast.AST, prefix: str) -> Iterator[tuple[str, dict[str, str | None]]]:
    for node in ast.iter_child_nodes(scope):
        if isinstance(node, ast.ClassDef):
            yield prefix + node.name, _attributes(node.body)
        if isinstance(node, _SCOPES):
            inner = "." if isinstance(node, ast.ClassDef) else ".<locals>."
            yield from _classes(node, prefix + node.name + inner)
        else:
            yield from _classes(node, prefix)


def _attributes(body: list[ast.stmt]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for each, following in zip(body, [*body[1:], ast.Pass()], strict=True):
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            found[each.target.id] = _text(following)
    return found


def _text(node: ast.stmt) -> str | None:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return inspect.cleandoc(node.value.value)
    return None
