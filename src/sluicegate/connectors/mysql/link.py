"""Opening a connection to MySQL or MariaDB, and the server's errors in our words."""

from __future__ import annotations

import os
import re
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sluicegate.base.errors import (
    Constraint,
    DataError,
    Failed,
    Invalid,
    NoSpace,
    SignInRefused,
    SluiceError,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sluicegate.connectors.mysql import Mysql
    from sluicegate.connectors.mysql.protocol import Link
    from sluicegate.kit.context import Context

_MAX_NAME = 64
_SQL_MODE = (
    "STRICT_ALL_TABLES", "NO_ZERO_IN_DATE", "NO_ZERO_DATE", "ERROR_FOR_DIVISION_BY_ZERO", "NO_ENGINE_SUBSTITUTION",
    "NO_BACKSLASH_ESCAPES", "NO_AUTO_VALUE_ON_ZERO",
)  # fmt: skip
_SETTINGS: dict[str, str | int] = {
    "sql_mode": ",".join(_SQL_MODE), "time_zone": "+00:00", "lock_wait_timeout": 600, "innodb_lock_wait_timeout": 600,
    "sql_notes": 1, "sql_safe_updates": 0, "foreign_key_checks": 1, "unique_checks": 1, "autocommit": 1,
    "group_concat_max_len": 1024,
}  # fmt: skip
_STRAY = (ValueError, IndexError, TypeError, AttributeError, AssertionError, RuntimeError, struct.error)
"""What the driver raises when the other side does not keep to the protocol."""


def connect(connection: Mysql, ctx: Context) -> Link:
    """Return a connection in autocommit mode, strict and in UTC. ``Egress``, ``Unreachable``, or ``SignInRefused``."""
    from pymysql import err

    from sluicegate.connectors.mysql.protocol import Link, Unproven

    place = f"{connection.host}:{connection.port}"
    password = "" if connection.password is None else ctx.secret(connection.password.secret).reveal()
    link = Link(connection, ctx.net, password)
    sock = ctx.net.connect(connection.host, connection.port)
    try:
        link.connect(sock)
        link._read_timeout = None  # noqa: SLF001 - a merge may take its time; the operating system notices dead peers
        words = ", ".join(f"session {name} = %s" for name in _SETTINGS)
        link.run(f"set {words}", *_SETTINGS.values())
        _verify(link, place)
    except SluiceError:
        sock.close()
        raise
    except Unproven:
        sock.close()
        raise SignInRefused(
            "The database asks for the password itself and has not proved who it is.", where=place,
            hint="Use tls: verify-full, or mysql_native_password for this user.",
        ) from None  # fmt: skip
    except (err.Error, *_STRAY) as fault:
        sock.close()
        raise _refusal(fault, connection, place) from None
    finally:
        link.password = b""
    return link


def _verify(link: Link, place: str) -> None:
    """See that the server has taken what silent changes depend on."""
    row = link.rows("select @@session.sql_mode, @@session.time_zone, @@session.character_set_client")[0]
    modes, zone, charset = (bytes(each or b"").decode() for each in row)
    if not set(_SQL_MODE) <= set(modes.split(",")) or zone != "+00:00" or charset != "utf8mb4":
        raise Failed("The database does not take the strict settings of the session.", where=place)


def _refusal(fault: Exception, connection: Mysql, place: str) -> SluiceError:
    from pymysql import err

    number = fault.args[0] if isinstance(fault, err.Error) and fault.args else None
    if number in (1045, 1698, 1044, 1862):
        return SignInRefused(
            f"The database refuses user {connection.user!r} or its password.", where=place,
            hint="Check the user, the secret, and from which hosts the user may come.",
        )  # fmt: skip
    if number == 1049:  # noqa: PLR2004 - ER_BAD_DB_ERROR
        return Failed(f"There is no database {connection.database!r}.", where=place)
    if number in (1040, 1203, 1226):
        return Unreachable("The database has no free connection.", where=place)
    if number in (1129, 1130):
        return SignInRefused("The database takes no connection from here.", where=place)
    if number == 2026:  # noqa: PLR2004 - CR_SSL_CONNECTION_ERROR
        return Unreachable("The database does not offer TLS.", where=place, hint="Switch it on there.")
    if number == 2059:  # noqa: PLR2004 - CR_AUTH_PLUGIN_CANNOT_LOAD
        return SignInRefused("The database asks for a way to sign in that is not supported.", where=place)
    if isinstance(fault, err.OperationalError):
        return Unreachable("The database does not answer, or ended the connection.", where=place)
    return Unreachable("What answers does not speak MySQL's protocol.", where=place, hint="Check host and port.")


def check_name(name: str) -> str:
    """Return ``name`` when it can be an identifier: 1 to 64 letters of the Basic Multilingual Plane."""
    if not 0 < len(name) <= _MAX_NAME or "\0" in name or name.endswith(" "):
        raise Invalid(
            f"A name is 1 to {_MAX_NAME} letters long, holds no NUL and does not end with a space.",
            where=name[:_MAX_NAME],
        )
    if any(letter > "\uffff" or "\ud800" <= letter <= "\udfff" for letter in name):
        raise Invalid("A name holds a letter that MySQL has no place for.")
    return name


def quoted(*parts: str) -> str:
    """Return a quoted identifier, its parts joined by dots."""
    return ".".join("`" + check_name(part).replace("`", "``") + "`" for part in parts)


def listed(names: list[str] | tuple[str, ...]) -> str:
    """Return quoted names with commas."""
    return ", ".join(map(quoted, names))


@contextmanager
def told(where: str, first_row: int = 0) -> Iterator[None]:
    """Turn the driver's errors into ours, without the values that its texts hold."""
    from pymysql import err

    try:
        yield
    except (err.Error, *_STRAY) as fault:
        raise translate(fault, where, first_row) from None


_NUMBERS = {
    1044: "The user has no right to do this.", 1142: "The user has no right to do this.",
    1143: "The user has no right to do this.", 1227: "The user has no right to do this.",
    1370: "The user has no right to do this.", 1205: "Another transaction holds the rows or the table locked.",
    1213: "Two transactions waited for each other.", 1290: "The database is read-only.",
    1792: "The database is read-only here.", 1836: "The database is read-only.", 1146: "There is no such table.",
    1356: "The view refers to what is not there, or its owner has no right to it.",
    1317: "The statement was cancelled.", 3024: "The statement took too long.", 1969: "The statement took too long.",
    3730: "Other tables refer to this one.",
}  # fmt: skip
_UNFIT = {
    1264: "a number is out of range", 1265: "a value is no value of the column's type", 1366: "a value is no value of "
    "the column's type or its characters", 1292: "a date or time is not valid or out of range", 1406: "it is too long",
    1411: "a value is not valid", 1426: "too many digits", 1690: "a number is out of range",
}  # fmt: skip
_COLUMN = re.compile(r"for column (?:`[^`]*`\.`[^`]*`\.)?[`']([^`']+)[`'](?: at row (\d+))?$")
_AT_ROW = re.compile(r"at row (\d+)$")


def translate(fault: Exception, where: str, first_row: int = 0) -> SluiceError:
    """Return one driver error as ours; ``first_row``: rows sent before the statement."""
    from pymysql import err

    if not isinstance(fault, err.Error):
        return Failed("The server does not keep to MySQL's protocol.", where=where)
    number = fault.args[0] if fault.args and isinstance(fault.args[0], int) else 0
    text = str(fault.args[1]) if len(fault.args) > 1 else ""
    return explain(number, text, where, first_row)


def explain(number: int, text: str, where: str, first_row: int = 0) -> SluiceError:  # noqa: PLR0911 - one a kind of error
    """Return the server's error or warning as ours. Its text may hold values: only names are taken from it."""
    column, row = _COLUMN.search(text), _AT_ROW.search(text)
    place = where + (f": column {column[1]}" if column else "")
    place += f", row {first_row + int(row[1])}" if row else ""
    if number in (1062, 1586):
        key = re.search(r"for key '([^']*)'$", text)
        return Constraint(f"The target refuses a row: unique key{f' {key[1]!r}' if key else ''}.", where=where)
    if number in (1048, 1364, 1263):
        name = re.match(r"(?:Column|Field) '([^']*)'", text)
        return Constraint("The target refuses a row: NOT NULL.", where=f"{where}: column {name[1]}" if name else place)
    if number in (1216, 1452):
        name = re.search(r"CONSTRAINT `([^`]*)` FOREIGN KEY", text)
        return Constraint(f"The target refuses a row: foreign key{f' {name[1]!r}' if name else ''}.", where=where)
    if number in (1217, 1451):
        return Constraint("The target refuses to lose a row: other tables refer to it.", where=where)
    if number in (4025, 3819):
        name = re.search(r"(?:CONSTRAINT `|Check constraint ')(?:[^`']*\.)?([^`']*)[`']", text)
        return Constraint(f"The target refuses a row: check constraint{f' {name[1]!r}' if name else ''}.", where=where)
    if number in _UNFIT:
        return DataError(f"The target cannot hold a value: {_UNFIT[number]}.", where=place)
    if number in (1021, 1114, 3675):
        return NoSpace("The database has no space left.", where=where)
    if number == 1153:  # noqa: PLR2004 - ER_NET_PACKET_TOO_LARGE
        return DataError("A row is larger than the server's max_allowed_packet.", where=where)
    if number in _NUMBERS:
        return Failed(_NUMBERS[number], where=where)
    if number in (0, 1053, 2003, 2006, 2013, 2014, 4031, 1927):
        return Unreachable("The connection to the database broke.", where=where)
    return Failed(f"The database reports error {number}.", where=where)


def made_up() -> str:
    """Return a name that nothing else bears."""
    return f"_sluicegate_{os.urandom(8).hex()}"
