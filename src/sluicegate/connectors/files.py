"""``files``: files in one folder. Nothing outside the folder can be reached, whatever a name says."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Literal, cast

from pydantic import Field

from sluicegate.kit.connection import Connection, Entry
from sluicegate.kit.putting import Putting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluicegate.kit.connection import FileStage
    from sluicegate.kit.context import Context
    from sluicegate.kit.paths import Root
    from sluicegate.kit.rows import Marker

_HERE = (".", "./", "")


class Files(Connection):
    """Files in one folder of this machine."""

    type: Literal["files"] = "files"
    root: str = Field(default=".", max_length=4096)
    """The folder. Locally: relative to the YAML file; on a server: beneath the tenant's own directory."""

    destination: ClassVar[frozenset[str]] = frozenset({"root"})
    holds: ClassVar[Literal["tables", "files"]] = "files"
    paths: ClassVar[frozenset[str]] = frozenset({"root"})

    @contextmanager
    def open(self, ctx: Context) -> Iterator[FilesSession]:
        """Open a session."""
        session = FilesSession(self.root.removeprefix("./").rstrip("/"), ctx.files)
        try:
            yield session
        finally:
            session.close()


class FilesSession:
    """Tests, Lists, ReadsFiles, WritesFiles."""

    def __init__(self, root: str, files: Root) -> None:
        """Hold the folder's name; it is opened when needed, and made only for writing."""
        self._name, self._files, self._root = root, files, cast("Root | None", None)
        self._stages: list[Putting] = []

    def _folder(self, *, make: bool = False) -> Root:
        if self._name in _HERE:
            return self._files
        if self._root is None:
            self._root = self._files.sub(self._name, create=make)
        return self._root

    def close(self) -> None:
        """Remove what was staged and not committed, and let go of the folder."""
        for stage in self._stages:
            stage.abort()
        if self._root is not None:
            self._root.close()

    def test(self) -> str:
        """Open the folder and count what lies directly in it."""
        count = sum("/" not in entry.name for entry in self._folder().entries())
        return f"folder with {count} entries"

    def items(self, under: str = "") -> Iterator[Entry]:
        """Yield files and folders beneath ``under``, sorted by name."""
        for entry in self._folder().entries(under):
            if entry.is_dir:
                yield Entry(entry.name, "folder", modified=entry.modified)
            else:
                yield Entry(entry.name, "file", entry.bytes, modified=entry.modified)

    def fetch(self, path: str) -> BinaryIO:
        """Open a file for reading; ``Failed`` names a missing one, ``Denied`` one that leads out of the folder."""
        return self._folder().open(path)

    def size(self, path: str) -> int | None:
        """Return its size in bytes."""
        return self._folder().stat(path).bytes

    def put(self, path: str, marker: Marker) -> FileStage:
        """Begin a file. A repeated load writes the same name again, so the marker need not be kept."""
        del marker
        stage = Putting(self._folder(make=True).create(path))
        self._stages.append(stage)
        return stage
