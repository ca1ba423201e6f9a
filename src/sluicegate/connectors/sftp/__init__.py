"""``sftp``: files on another machine, over SSH (SFTP version 3, as OpenSSH speaks it).

The server must show the host key that the definition names, before anything is said of who we are (``kit/net/ssh.py``).
Nothing outside the folder is reached, as far as the protocol lets one know (``folder.py``).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from sluicegate.base.flaws import Misfit
from sluicegate.connectors.sftp.folder import Folder
from sluicegate.kit.connection import Connection, Entry, Host, SecretName
from sluicegate.kit.net.ssh import Login, read_host_keys, sftp
from sluicegate.kit.putting import Putting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluicegate.kit.connection import FileStage
    from sluicegate.kit.context import Context
    from sluicegate.kit.rows import Marker


class Sftp(Connection):
    """Files in one folder of another machine, over SSH."""

    type: Literal["sftp"] = "sftp"
    host: Host
    """Server name or address; must be allowed by the egress policy."""
    port: int = Field(default=22, ge=1, le=65535)
    """TCP port."""
    host_key: str = Field(min_length=1, max_length=16_384)
    """The server's public key, ``ssh-ed25519 AAAA…``, as ``ssh-keyscan`` shows it; several lines, when it has several.
    A server that shows another one is refused."""
    root: str = Field(default=".", min_length=1, max_length=1024, pattern=r"^[^\x00-\x1f\x7f]+$")
    """The folder: absolute, or beneath the one in which the user begins. It must be there."""
    user: str = Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")
    """User to sign in as."""
    password: SecretName | None = None
    """Name of the secret that holds the password …"""
    key: SecretName | None = None
    """… or of the one that holds a private key (as ``ssh-keygen`` writes it)"""
    passphrase: SecretName | None = None
    """and of the one that holds its passphrase, if it has one."""

    holds: ClassVar[Literal["tables", "files"]] = "files"
    destination: ClassVar[frozenset[str]] = frozenset({"host", "port", "host_key", "root"})

    @field_validator("host_key")
    @classmethod
    def _readable(cls, text: str) -> str:
        read_host_keys(text)
        return text

    @model_validator(mode="after")
    def _one_way_in(self) -> Sftp:
        if (self.password is None) == (self.key is None):
            raise Misfit("give either password or key")
        if self.passphrase is not None and self.key is None:
            raise Misfit("a passphrase opens a key, and there is none")
        return self

    @contextmanager
    def open(self, ctx: Context) -> Iterator[SftpSession]:
        """Sign in. ``Egress``, ``Unreachable`` (no answer, or another host key) or ``SignInRefused``."""
        password, key, phrase = (
            None if named is None else ctx.secret(named.secret) for named in (self.password, self.key, self.passphrase)
        )
        with sftp(ctx.net, self.host, self.port, self.host_key, Login(self.user, password, key, phrase)) as client:
            session = SftpSession(Folder(client, self.root, f"{self.host}:{self.port}", ctx))
            try:
                yield session
            finally:
                session.close()


class SftpSession:
    """Tests, Lists, ReadsFiles, WritesFiles."""

    def __init__(self, folder: Folder) -> None:
        """Hold the folder."""
        self._folder = folder
        self._stages: list[Putting] = []

    def close(self) -> None:
        """Remove what was staged and not committed."""
        for stage in self._stages:
            stage.abort()

    def test(self) -> str:
        """Open the folder and count what lies directly in it."""
        return f"SFTP server, signed in; folder with {self._folder.count()} entries"

    def items(self, under: str = "") -> Iterator[Entry]:
        """Yield files and folders beneath ``under``, sorted by the parts of their names."""
        return self._folder.entries(under)

    def fetch(self, path: str) -> BinaryIO:
        """Open a file for reading; ``Failed`` names a missing one, ``Denied`` one that leads out of the folder."""
        return self._folder.open(path)

    def size(self, path: str) -> int | None:
        """Return its size in bytes."""
        return self._folder.size(path)

    def put(self, path: str, marker: Marker) -> FileStage:
        """Begin a file. A repeated load writes the same name again, so the marker need not be kept."""
        del marker
        stage = Putting(self._folder.create(path))
        self._stages.append(stage)
        return stage
