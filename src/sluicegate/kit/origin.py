"""Where a document stands in its file, and on which line each of its keys: taken from the YAML parser's own marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yaml import Node

    from sluicegate.base.flaws import Path


class Origin:
    """One document's place."""

    def __init__(self, file: str, root: Node) -> None:
        """``root`` is the document's node; ``file`` is empty when the text has no name."""
        self._file, self._root = file, root

    def line(self, path: Path = ()) -> int:
        """Return the line (1-based) of the key or list entry that ``path`` leads to, as far as it leads anywhere."""
        node, line = self._root, int(self._root.start_mark.line)
        for part in path:
            found = _beneath(node, part)
            if found is not None:
                line, node = found
        return line + 1

    def place(self, path: Path = ()) -> str:
        """Return the line as an error names it: ``flow.yaml:8``, or ``line 8``."""
        return f"{self._file}:{self.line(path)}" if self._file else f"line {self.line(path)}"


def _beneath(node: Node, part: str | int) -> tuple[int, Node] | None:
    import yaml

    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return int(key.start_mark.line), value
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and 0 <= part < len(node.value):
        return int(node.value[part].start_mark.line), node.value[part]
    return None
