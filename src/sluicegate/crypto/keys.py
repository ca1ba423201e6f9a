"""Keys of 512 bits: a type that hides itself, the file that holds the root key, and one key per purpose."""

import base64
import binascii
import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import NoReturn

from sluicegate.base.errors import Conflict, Invalid
from sluicegate.base.secret import MASK

SIZE = 64
"""Bytes of every key: 512 bits, the floor of HS512 (RFC 7518 §3.2) and the size of AES-256-SIV (RFC 5297 §2.2)."""

_LINE = 88  # base64 of 64 bytes
_INFO = b"sluicegate/v1/"


class Key:
    """64 secret bytes. Printing gives a mask; comparing, hashing, pickling and copying raise ``TypeError``."""

    __slots__ = ("__raw",)

    def __init__(self, raw: bytes) -> None:
        """Hold ``raw``. Raises ``Invalid`` for anything but 64 bytes, the all-zero key included."""
        if len(raw) != SIZE:
            raise Invalid(f"A {len(raw)}-byte key was given; keys have exactly {SIZE} bytes.")
        if not any(raw):
            raise Invalid("A key of zeros was given.", hint="The key was never written; restore it from its backup.")
        self.__raw = bytes(raw)

    @property
    def raw(self) -> bytes:
        """The bytes themselves. The caller answers for where they go."""
        return self.__raw

    def __repr__(self) -> str:
        """Return a mask."""
        return f"Key({MASK})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        """Return a mask, whatever the format."""
        return repr(self)

    def __eq__(self, other: object) -> bool:
        """Refuse: use ``opaque.same`` on the bytes."""
        msg = "keys are not compared with =="
        raise TypeError(msg)

    def __hash__(self) -> int:
        """Refuse."""
        msg = "keys are not hashed"
        raise TypeError(msg)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        msg = "keys are not serialised"
        raise TypeError(msg)


def new_key() -> Key:
    """Return 64 fresh bytes of the operating system's generator."""
    return Key(secrets.token_bytes(SIZE))


def derive(root: Key, purpose: str) -> Key:
    """Return the key of one ``purpose``: HKDF-SHA-512 (RFC 5869) of ``root``, the purpose in ``info``, no salt.

    Keys of two purposes tell nothing of each other or of ``root``. Raises ``Invalid`` for an empty purpose.
    """
    return _hkdf(root.raw, purpose)


def join(one: Key, other: Key, purpose: str) -> Key:
    """Return the key of one ``purpose`` that only who has both keys can derive: HKDF-SHA-512 over the two in order."""
    return _hkdf(one.raw + other.raw, purpose)


def _hkdf(material: bytes, purpose: str) -> Key:
    from cryptography.hazmat.primitives.hashes import SHA512
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    if not purpose:
        raise Invalid("A derived key needs a purpose.")
    return Key(HKDF(algorithm=SHA512(), length=SIZE, salt=None, info=_INFO + purpose.encode()).derive(material))


def read_private(path: Path, *, limit: int, follow: bool = False) -> bytes:
    """Return the bytes of a file that only we can read: regular, ours, mode 0600 or less, at most ``limit`` bytes.

    A symbolic link is refused unless ``follow``. All is checked on the open file, so nothing can be swapped in between.
    Raises ``Invalid`` that names ``path`` and the reason.
    """
    where = str(path)
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    try:
        handle = os.open(path, flags)
    except OSError as fault:
        reason = "it is a symbolic link" if not follow and path.is_symlink() else fault.strerror
        raise Invalid(f"The key file cannot be opened: {reason}.", where=where) from None
    try:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            raise Invalid("The key file is not a regular file.", where=where)
        if state.st_uid != os.geteuid():
            raise Invalid(
                "The key file belongs to another user.", where=where, hint="Give it to the user that runs this."
            )
        mode = stat.S_IMODE(state.st_mode)
        if mode & ~0o600:
            raise Invalid(
                f"The key file has mode {mode:04o}; others must not reach it.", where=where, hint="Run chmod 600 on it."
            )
        with os.fdopen(handle, "rb", closefd=False) as file:
            raw = file.read(limit + 1)
    finally:
        os.close(handle)
    if len(raw) > limit:
        raise Invalid(f"The key file is longer than {limit} bytes.", where=where)
    return raw


def write_private(path: Path, content: bytes) -> None:
    """Write a new file of mode 0600 and push it to the disk, its folder entry too.

    Raises ``Conflict`` when ``path`` exists (never overwritten, never followed), ``Invalid`` when it cannot be written.
    """
    where = str(path)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Conflict("There is a file already; it is never overwritten.", where=where) from None
    except OSError as fault:
        raise Invalid(f"The file cannot be created: {fault.strerror}.", where=where) from None
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, 0o600)
            file.write(content)
            file.flush()
            os.fsync(handle)
        sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        raise


def sync_folder(folder: Path) -> None:
    """Push the entries of ``folder`` to the disk, so that a created or renamed file survives a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def load_key_file(path: Path) -> Key:
    """Return the key in ``path``: 64 bytes as one line of base64. Raises ``Invalid`` as ``read_private`` does."""
    text = read_private(path, limit=_LINE + 2)
    line = text.removesuffix(b"\n").removesuffix(b"\r")
    try:
        raw = base64.b64decode(line, validate=True)
    except binascii.Error:
        raise Invalid("The key file does not hold one line of base64.", where=str(path)) from None
    try:
        return Key(raw)
    except Invalid as fault:
        raise fault.at(str(path)) from None


def create_key_file(path: Path) -> Key:
    """Write a fresh key to a new file of mode 0600 and return it. Raises ``Conflict`` when there is a file already."""
    key = new_key()
    write_private(path, base64.b64encode(key.raw) + b"\n")
    return key
