"""How answers look: tables for people, lines in a pipe, JSON on demand."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_CELL_MAX = 60


def clean(value: object) -> str:
    """Return text without control characters: what a server says must not drive the terminal."""
    text = "" if value is None else str(value)
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def table(rows: Sequence[Mapping[str, Any]], columns: Iterable[str]) -> None:
    """Print rows under headings, aligned; ``nothing`` when there are none."""
    names = list(columns)
    if not rows:
        print("nothing")
        return
    cells = [[_cell(row.get(name)) for name in names] for row in rows]
    wide = [max(len(name), *(len(row[place]) for row in cells)) for place, name in enumerate(names)]
    print("  ".join(clean(name).upper().ljust(width) for name, width in zip(names, wide, strict=True)).rstrip())
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, wide, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        value = ", ".join(str(each) for each in value)
    if isinstance(value, dict):
        value = " ".join(f"{key}={each}" for key, each in value.items())
    text = clean(value)
    return text if len(text) <= _CELL_MAX else text[: _CELL_MAX - 1] + "…"


def pairs(answer: Mapping[str, Any]) -> None:
    """Print one thing, a line for each of its fields."""
    shown: dict[str, Any] = {}
    for key, value in answer.items():
        inner = {f"{key}.{name}": each for name, each in value.items()} if isinstance(value, dict) else {key: value}
        shown |= {name: each for name, each in inner.items() if each not in (None, "", [], {})}
    if not shown:
        print("done")
        return
    width = max(len(key) for key in shown)
    for key, value in shown.items():
        print(f"{clean(key).ljust(width)}  {clean(', '.join(map(str, value)) if isinstance(value, list) else value)}")


def answer(found: Any, *, as_json: bool) -> None:
    """Print an answer of the API."""
    if as_json:
        text = json.dumps(found, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None)
        print("".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text))
    elif isinstance(found, dict) and isinstance(found.get("items"), list):
        items = found["items"]
        keys = dict.fromkeys(key for item in items for key in item)
        table(items, [key for key in keys if key != "digest"])
    elif isinstance(found, dict):
        pairs(found)


def size(count: float) -> str:
    """Return a number of bytes as people say it."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


class Progress:
    """A line that redraws itself on a terminal; nothing but log lines in a pipe."""

    def __init__(self, *, quiet: bool = False) -> None:
        """Draw on stderr, so that stdout stays clean."""
        self._live = sys.stderr.isatty() and not quiet
        self._quiet = quiet
        self._drawn = False

    def event(self, kind: str, body: Mapping[str, Any]) -> None:
        """Show one event of a run."""
        if kind == "progress":
            if self._live:
                self._draw(body)
            return
        line = _line(kind, body)
        if line and not self._quiet:
            self.clear()
            print(line, file=sys.stderr)

    def clear(self) -> None:
        """Take the line away."""
        if self._drawn:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
            self._drawn = False

    def _draw(self, body: Mapping[str, Any]) -> None:
        percent = body.get("percent")
        bar = ""
        if percent is not None:
            full = int(percent / 5)
            bar = f"[{'█' * full}{'·' * (20 - full)}] {percent:5.1f} %  "
        steps = "  ".join(f"{clean(name)} {each['rows']:,}" for name, each in body.get("steps", {}).items())
        text = f"{bar}{body.get('rate', 0):,} rows/s  {steps}"
        print(f"\r\x1b[2K{text[:150]}", end="", file=sys.stderr, flush=True)
        self._drawn = True


_COUNTS = ("inserted", "updated", "deleted", "unchanged")


def _line(kind: str, body: Mapping[str, Any]) -> str:
    if kind == "log":
        return f"{body.get('level', 'info'):7} {clean(body.get('message'))}"
    if kind == "state":
        return f"state   {clean(body.get('state'))}"
    if kind == "receipt":
        counts = (f"{body[name]:,} {name}" for name in _COUNTS if body.get(name) is not None)
        told = [f"{body.get('rows'):,} rows", *counts, clean(body.get("guarantee"))]
        if body.get("bytes"):
            told.insert(-1, size(body["bytes"]))
        return f"landed  {clean(body.get('step'))}: {', '.join(told)}"
    if kind == "reject":
        place = ", ".join(f"{key} {clean(body[key])}" for key in ("line", "row", "column") if body.get(key))
        return f"reject  {clean(body.get('step'))}: {place}: {clean(body.get('reason'))}"
    if kind == "schema":
        columns = ", ".join(f"{clean(name)} {clean(kind_)}" for name, kind_ in body.get("columns", {}).items())
        return f"schema  {clean(body.get('step'))}: {columns}"
    return ""
