"""The driver, made safe: PyMySQL's connection over a socket that is given to it.

Two things a server may ask of a client are never given (SEC-E07): a file (``LOAD DATA LOCAL`` is answered from memory,
only while a statement of ours that names it is waiting, and only for the name we made up), and, unless it has proved
who it is, the password in a form that it could read: then the proofs of ``mysql_native_password`` and the quick way of
``caching_sha2_password`` are all it gets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymysql import _auth
from pymysql.connections import Connection, LoadLocalPacketWrapper, MySQLResult
from pymysql.constants import CLIENT, COMMAND

from sluicegate.base.errors import Failed

if TYPE_CHECKING:
    from sluicegate.connectors.mysql import Mysql
    from sluicegate.kit.net import Net

_SIGN_IN = 20.0
"""Seconds that each answer of the server may take until we are signed in."""
_CHUNK = 1 << 20


class Unproven(Exception):
    """A server that has not proved who it is asks for the password."""


class _QuickOnly:
    """``caching_sha2_password`` without its second half, which hands the password over."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def authenticate(self, packet: Any) -> Any:
        """Answer one packet of the exchange."""
        if packet.is_auth_switch_request():
            self._link.salt = packet.read_all().removesuffix(b"\0")
            self._link.write_packet(_auth.scramble_caching_sha2(self._link.password, self._link.salt))
            return self._link.next_packet()
        packet.advance(1)
        if packet.read_uint8() != 3:  # noqa: PLR2004 - "fast auth succeeded"
            raise Unproven
        return self._link.next_packet()


class _Never:
    """A way to sign in that hands the password over."""

    def __init__(self, link: Link) -> None:
        pass

    def authenticate(self, _packet: Any) -> Any:
        """Refuse."""
        raise Unproven


_UNPROVEN = {
    "caching_sha2_password": _QuickOnly, "sha256_password": _Never, "mysql_clear_password": _Never, "dialog": _Never,
    "mysql_old_password": _Never,
}  # fmt: skip


class _Upgrade:
    """Stands where the driver wants an SSL context: TLS is the kit's."""

    def __init__(self, net: Net, connection: Mysql) -> None:
        self._net, self._connection = net, connection

    def wrap_socket(self, sock: Any, server_hostname: str) -> Any:
        """Return ``sock`` under TLS, verified for the name of the connection."""
        return self._net.tls(sock, server_hostname, self._connection.ca, self._connection.tls)


class Link(Connection):  # type: ignore[misc] # the driver has no types
    """One connection: rows come as bytes, and files are given to nobody."""

    def __init__(self, connection: Mysql, net: Net, password: str) -> None:
        """Take the options; ``connect`` signs in."""
        verified = connection.tls in ("verify-full", "verify-ca")
        super().__init__(
            host=connection.host, port=connection.port, user=connection.user, database=connection.database,
            charset="utf8mb4", use_unicode=False, conv={}, local_infile=False, defer_connect=True, ssl_disabled=True,
            client_flag=CLIENT.LOCAL_FILES | CLIENT.FOUND_ROWS, autocommit=None, read_timeout=_SIGN_IN,
            write_timeout=600,
            auth_plugin_map={} if verified else _UNPROVEN, program_name="sluicegate",
        )  # fmt: skip
        self.password = password.encode()
        self._verified, self._auth_plugin_name = verified, ""
        if connection.tls != "disable":
            self.ssl = self._ssl_required = True
            self.client_flag |= CLIENT.SSL
            self.ctx = _Upgrade(net, connection)

    def next_packet(self) -> Any:
        """Return the server's next packet."""
        return self._read_packet()

    def drop(self) -> None:
        """Close without reading what the server still sends."""
        if self._result is not None:
            self._result.unbuffered_active = False
        self._force_close()

    def _get_server_information(self) -> None:
        super()._get_server_information()
        if not self._verified and self._auth_plugin_name != "caching_sha2_password":
            self._auth_plugin_name = "mysql_native_password"  # the server can ask for another, and is refused

    def rows(self, sql: str, *values: str | int) -> list[tuple[bytes | None, ...]]:
        """Return all rows of a small query; ``%s`` stands for a value."""
        self.query(sql % tuple(literal(each) for each in values) if values else sql)
        return list(self._result.rows or ())

    def run(self, sql: str, *values: str | int) -> int:
        """Carry out one statement; return how many rows it touched: of an UPDATE, those that it has found."""
        return int(self.query(sql % tuple(literal(each) for each in values) if values else sql))

    @property
    def warnings(self) -> int:
        """How many warnings the last statement gave."""
        return int(self._result.warning_count)

    def load(self, sql: str, name: str, data: memoryview) -> int:
        """Carry out a ``LOAD DATA LOCAL INFILE`` of ``name`` with ``data`` as that file; return the rows taken.

        ``Failed`` when the server asks for anything else.
        """
        self._execute_command(COMMAND.COM_QUERY, sql)
        packet = self._read_packet()
        if packet.is_load_local_packet():
            asked = LoadLocalPacketWrapper(packet).filename
            if asked != name.encode():
                self._force_close()
                raise Failed(
                    "The server asks for a file of this machine. It gets none.", where=f"{self.host}:{self.port}"
                )
            for start in range(0, len(data), _CHUNK):
                self.write_packet(bytes(data[start : start + _CHUNK]))
            self.write_packet(b"")
            packet = self._read_packet()
        self._result = MySQLResult(self)
        self._result._read_ok_packet(packet)  # noqa: SLF001 - the driver's own
        return int(self._result.affected_rows)


def literal(value: str | int) -> str:
    """Return ``value`` as SQL, under NO_BACKSLASH_ESCAPES."""
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
