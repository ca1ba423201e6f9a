"""Documents in the folder of those that were named: read only for names that these lack, so a broken one harms none."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from sluicegate.base.errors import SluiceError, Usage
from sluicegate.kit import bundle, document

_HINT = "Put its document into the file or beside it."


class Beside(NamedTuple):
    """What was found."""

    documents: list[document.Document]
    broken: tuple[str, ...] = ()
    """What is wrong with the files that could not be read."""

    def hint(self) -> str:
        """Return what to do about a name that is in none of them."""
        if not self.broken:
            return _HINT
        return f"{_HINT} A file beside it could not be read: {self.broken[0]}"


def read(file: Path) -> list[document.Document]:
    """Return the documents of one file."""
    try:
        return document.read(file.read_text(encoding="utf-8"), where=str(file))
    except UnicodeDecodeError:
        raise Usage("this is not UTF-8 text", where=str(file)) from None


def complete(found: list[document.Document], files: Iterable[Path]) -> Beside:
    """Return the documents beside ``files``, or none when ``found`` names nothing that it lacks."""
    lacking = bundle.lacking(found, bundle.finder(found))
    return neighbours(files) if lacking else Beside([])


def neighbours(files: Iterable[Path]) -> Beside:
    """Return the documents in the folders of ``files``, but for those in ``files`` themselves."""
    own = {file.resolve() for file in files}
    made = Beside([])
    broken = []
    for folder in sorted({file.parent for file in own}):
        for each in sorted(folder.glob("*.y*ml")):
            if each in own or not each.is_file():
                continue
            try:
                made.documents.extend(read(each))
            except SluiceError as fault:
                broken.append(str(fault))
    return made._replace(broken=tuple(broken))
