"""Finds plugins: a file's name is its type, its one class of the right shape is the plugin. No list, no side effect."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from typing import Literal

from sluicegate.base.errors import Invalid
from sluicegate.kit.connection import Connection
from sluicegate.kit.format import Format
from sluicegate.kit.step import Step

Shape = Literal["connection", "format", "step"]

_FOLDERS: dict[str, tuple[str, type]] = {
    "connection": ("sluicegate.connectors", Connection),
    "format": ("sluicegate.formats", Format),
    "step": ("sluicegate.steps", Step),
}


@cache
def types(shape: Shape) -> tuple[str, ...]:
    """Return the types there are of a shape, sorted, without importing any."""
    folder = import_module(_FOLDERS[shape][0])
    return tuple(sorted(found.name for found in pkgutil.iter_modules(folder.__path__)))


@cache
def find(shape: Shape, type_: str) -> type:
    """Return the plugin class called ``type_``; imports only its file. ``Invalid`` when there is none."""
    if type_ not in types(shape):
        msg = f"unknown {shape} type {type_[:64]!r}"
        raise Invalid(msg, hint="There are: " + ", ".join(types(shape)) + ".")
    folder, root = _FOLDERS[shape]
    module = import_module(f"{folder}.{type_}")
    found = [
        each
        for each in vars(module).values()
        if isinstance(each, type)
        and issubclass(each, root)
        and each.__module__ == module.__name__
        and "type" in each.__annotations__
    ]
    if len(found) != 1:
        msg = f"{module.__name__} must hold exactly one {shape} class that declares its type"
        raise TypeError(msg)
    return found[0]


def format_for(item: str) -> Format:
    """Return the format that the item's suffix means; ``Invalid`` when it means none."""
    lower = item.lower()
    best: tuple[int, type[Format]] | None = None
    for type_ in types("format"):
        plugin: type[Format] = find("format", type_)
        for suffix in plugin.suffixes:
            if lower.endswith(suffix) and (best is None or len(suffix) > best[0]):
                best = (len(suffix), plugin)
    if best is None:
        raise Invalid(f"the name {item!r} does not tell a format", hint="Name it: format: { type: csv }")
    return best[1].model_validate({"type": best[1].model_fields["type"].default})
