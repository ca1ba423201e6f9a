"""Where a seal is kept: one small file of the home, never the store, so that no backup of the store holds it.

``root.key`` holds the root key itself (seal ``file``), ``root.seal`` the state of any other seal. A new one is written
to ``root.next`` first; the store then says, in the transaction that puts its keyring under the new root key, whose it
is; after that the new file takes the old one's place. Cut off anywhere, ``settle`` finishes it or undoes it.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from sluicegate.base.errors import Conflict, Invalid
from sluicegate.crypto.keys import load_key_file, read_private, sync_folder, write_private
from sluicegate.guard.seals.file import InFile
from sluicegate.guard.seals.seal import State, pack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY_FILE: Final = "root.key"
SEAL_FILE: Final = "root.seal"
NEXT_FILE: Final = "root.next"
LOCK_FILE: Final = "seal.lock"
RING_FILE: Final = "keyring.copy"
"""Copy of the keyring, under the root key: with it, a store from before a new root key can be brought back."""
_RING_MOST: Final = 256 << 20
_MOST: Final = 64 * 1024


class SealFile:
    """The seal of one home."""

    def __init__(self, home: Path) -> None:
        """Look into ``home``; nothing is read yet."""
        self._home = home

    @property
    def exists(self) -> bool:
        """Whether there is an installation here."""
        return (self._home / KEY_FILE).exists() or (self._home / SEAL_FILE).exists()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait until no other process changes the seal of this home: several servers may share it."""
        if not self._home.is_dir():
            yield  # there is nothing to change; who reads says so
            return
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(self._home / LOCK_FILE, flags, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def read(self) -> State:
        """Return the seal's state. Raises ``Invalid`` when there is none, two, or one that cannot be read."""
        key, seal = self._home / KEY_FILE, self._home / SEAL_FILE
        if key.exists() and seal.exists():
            raise Invalid(
                f"there are two seals, {KEY_FILE} and {SEAL_FILE}",
                where=str(self._home),
                hint="One of them is a leftover: put it aside.",
            )
        if seal.exists():
            found = _parse(read_private(seal, limit=_MOST))
            if found is None:
                raise Invalid("the seal cannot be read", where=str(seal), hint="Restore it from its own backup.")
            return found
        if not key.exists():
            raise Invalid(
                "this is not a Sluicegate home: it has no root key", where=str(self._home), hint="Run: sluice init"
            )
        return {**InFile().make(load_key_file(key)).state, "made": ""}  # the file holds a key and nothing else

    def pending(self) -> State | None:
        """Return the state of a seal that may take this one's place; ``None`` also for what was cut off in writing."""
        file = self._home / NEXT_FILE
        return _parse(read_private(file, limit=_MOST)) if file.exists() else None

    def begin(self, state: State) -> None:
        """Keep ``state`` beside the seal that holds; what was begun before and not finished is dropped."""
        self.drop()
        write_private(self._home / NEXT_FILE, json.dumps(state).encode() + b"\n")

    def drop(self) -> None:
        """Forget what was begun."""
        _destroy(self._home / NEXT_FILE)

    def settle(self, root: str | None) -> bool:
        """Put what was begun into place when the store is under it, else drop it; tell whether it is in place.

        ``root`` is the name of the root key that the store says it is under.
        """
        found = self.pending()
        if found is None or root is None or found["root"] != root:
            self.drop()
            return False
        self.write(found)
        self.drop()
        return True

    def write(self, state: State) -> None:
        """Put a seal into place, and destroy the one before."""
        if state["seal"] == InFile.kind:
            self._put(KEY_FILE, pack(InFile().open(state).raw).encode() + b"\n")
            _destroy(self._home / SEAL_FILE)
        else:
            self._put(SEAL_FILE, json.dumps(state).encode() + b"\n")
            _destroy(self._home / KEY_FILE)

    def keep_ring(self, ring: bytes) -> None:
        """Keep a copy of the keyring, in the place of the one before."""
        file = self._home / RING_FILE
        if not file.exists() or file.read_bytes() != ring:
            self._put(RING_FILE, ring)

    def ring(self) -> bytes | None:
        """Return the copy of the keyring, when there is one."""
        file = self._home / RING_FILE
        return read_private(file, limit=_RING_MOST) if file.exists() else None

    def _put(self, name: str, content: bytes) -> None:
        file, draft = self._home / name, self._home / f"{name}.part"
        _destroy(draft)
        write_private(draft, content)
        before = os.open(file, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC) if file.exists() else None
        try:
            draft.replace(file)
            sync_folder(self._home)
            if before is not None:
                _blank(before)
        finally:
            if before is not None:
                os.close(before)


def _parse(raw: bytes) -> State | None:
    """Return the state that ``raw`` is, ``None`` for what is none."""
    try:
        found: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    fields = ("seal", "root", "made")
    return found if isinstance(found, dict) and all(isinstance(found.get(name), str) for name in fields) else None


def _destroy(file: Path) -> None:
    """Overwrite and remove a file, as far as the file system lets one overwrite anything."""
    try:
        handle = os.open(file, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as fault:
        raise Conflict(f"The file cannot be removed: {fault.strerror}.", where=str(file)) from None
    try:
        _blank(handle)
    finally:
        os.close(handle)
    file.unlink()
    sync_folder(file.parent)


def _blank(handle: int) -> None:
    os.pwrite(handle, bytes(os.fstat(handle).st_size), 0)
    os.fsync(handle)
