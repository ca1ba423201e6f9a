"""Up to where runs without a server have read: a file that the person at the keyboard names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Self

from sluicegate.base.errors import Corrupt, Usage
from sluicegate.crypto.keys import sync_folder, write_private
from sluicegate.kit.flow import Flow


class Memory:
    """The state of one flow's steps. Without a file nothing is kept."""

    def __init__(self, file: Path | None, flow: Flow, known: dict[str, Any]) -> None:
        """Hold what is ``known`` of all flows of the file."""
        self._file, self._flow, self._known = file, flow.name, known
        self._seen: dict[str, dict[str, Any]] = {}
        self.state: dict[str, dict[str, Any]] = {}
        """By step: ``column``, ``type``, ``value``."""

    @classmethod
    def open(cls, file: Path | None, flow: Flow, *, full: bool) -> Self:
        """Read the file, which may be missing yet.

        Raises ``Usage`` when the flow needs a file and none is named, when it could not be written once rows have
        landed, or what is kept is of another column, and ``Corrupt``.
        """
        wanted = flow.watermarks()
        if not wanted:
            if full or file is not None:
                raise Usage("--full and --state go with steps that read since", where=f"flow {flow.name}")
            return cls(None, flow, {})
        if file is None and not full:
            raise Usage(
                f"step {next(iter(wanted))} reads what is new since the last run, and nothing says where that is kept",
                hint="Name a file: --state FILE; or read all rows: --full.",
            )
        made = cls(file, flow, _read(file))
        kept = {} if full else made._known.get(flow.name, {})
        for step, column in wanted.items():
            if step in kept and kept[step]["column"] != column:
                raise Usage(
                    f"what was read so far is told by the column {kept[step]['column']!r}, and now it is to be "
                    f"{column!r}",
                    where=f"step {step}, since",
                    hint="Begin anew with --full.",
                )
        made.state = {step: kept[step] for step in wanted if step in kept}
        return made

    def see(self, step: str, **state: Any) -> None:
        """Take note of what a step has seen; it counts when it has landed."""
        self._seen[step] = state

    def land(self) -> None:
        """Keep what was seen: its rows have landed."""
        moved = {step: state for step, state in self._seen.items() if state["value"] is not None}
        self._seen = {}
        if not moved or self._file is None:
            return
        self._known.setdefault(self._flow, {}).update(moved)
        draft = self._file.with_name(f".{self._file.name}.draft")
        draft.unlink(missing_ok=True)  # of a run that was cut off
        write_private(draft, json.dumps(self._known, indent=1).encode())  # it holds a value of a row
        draft.replace(self._file)
        sync_folder(self._file.parent)


def _read(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    if not os.access(file.parent, os.W_OK | os.X_OK):
        raise Usage("there is no such folder, or nothing can be written in it", where=f"--state, {file.parent}")
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as fault:
        raise Usage(f"the file cannot be read: {fault.strerror}", where=f"--state, {file}") from None
    try:
        found = json.loads(text)
        fits = all(
            set(state) == {"column", "type", "value"} and all(isinstance(each, str) for each in state.values())
            for steps in found.values()
            for state in steps.values()
        )
    except (ValueError, AttributeError, TypeError, RecursionError):
        fits = False
    if not fits:
        raise Corrupt("This is no file of a state.", where=str(file), hint="Name another, or remove it and use --full.")
    known: dict[str, Any] = found
    return known
