"""A PostgreSQL connection to a checked address, deaf to the environment, and its errors in our words.

libpq would take options from PG* variables, a service file, a password file and ~/.postgresql: none of them is
heeded, so a connection is what its definition says and nothing else (SEC-E07).
"""

from __future__ import annotations

import os
import struct
import tempfile
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

from sluicegate.base.errors import (
    Constraint,
    DataError,
    Failed,
    NoSpace,
    SignInRefused,
    SluiceError,
    Unreachable,
)
from sluicegate.kit import tables
from sluicegate.kit.columns import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from sluicegate.connectors.postgres import Postgres
    from sluicegate.kit.context import Context
    from sluicegate.kit.net import Net

_MAX_NAME = 63
_NOWHERE = "/nonexistent/sluicegate"
_SETTINGS = {
    "TimeZone": "UTC", "DateStyle": "ISO, YMD", "IntervalStyle": "iso_8601", "bytea_output": "hex",
    "extra_float_digits": "1", "xmloption": "content", "row_security": "on", "lock_timeout": "10min",
    "tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3",
    "standard_conforming_strings": "on",
}  # fmt: skip
_SSL_REQUEST = struct.pack(">ii", 8, 80877103)  # PostgreSQL's documentation, "Message Formats"
_environment = Lock()


@contextmanager
def _deaf() -> Iterator[None]:
    """Hide the PG* variables from libpq while it connects."""
    with _environment:
        hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PG")}
        try:
            yield
        finally:
            os.environ.update(hidden)


def _authority(ca: str | None, stack: ExitStack) -> str:
    """Return a path for libpq, which reads certificates from files only. A CA certificate is public."""
    if ca is None:
        from sluicegate.kit.net import system_authorities

        return system_authorities() or "system"
    file = stack.enter_context(
        tempfile.NamedTemporaryFile("w", prefix="sluicegate-ca-", suffix=".pem")  # noqa: SIM115 - the stack closes it
    )
    file.write(ca)
    file.flush()
    return file.name


def connect(connection: Postgres, ctx: Context) -> psycopg.Connection[Any]:
    """Return a connection in autocommit mode. ``Egress``, ``Unreachable``, or ``SignInRefused``."""
    import psycopg

    pinned = ctx.net.dial(connection.host, connection.port)
    place = f"{connection.host}:{connection.port}"
    verified = connection.tls in ("verify-full", "verify-ca")
    options: dict[str, Any] = {
        "host": pinned.host, "hostaddr": pinned.address, "port": pinned.port, "dbname": connection.database,
        "user": connection.user, "sslmode": connection.tls, "sslcertmode": "disable", "sslcrl": _NOWHERE,
        "passfile": _NOWHERE, "gssencmode": "disable", "connect_timeout": 10, "application_name": "sluicegate",
        "client_encoding": "UTF8", "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3,
        "tcp_user_timeout": 60_000, "load_balance_hosts": "disable", "target_session_attrs": "any",
    }  # fmt: skip
    if not verified:  # the server could be anybody: it is not given the password in clear
        options["require_auth"] = "!password"
    if connection.password is not None:
        options["password"] = ctx.secret(connection.password.secret).reveal()
    with ExitStack() as stack:
        if verified:
            options["sslrootcert"] = _authority(connection.ca, stack)
        try:
            with _deaf():
                link = psycopg.connect(**options, autocommit=True)
        except psycopg.Error as fault:
            raise _refusal(
                str(fault), place, connection, ctx.net
            ) from None  # libpq's own text may hold what we must not show
        finally:
            options.pop("password", None)
    try:
        calls = ", ".join("pg_catalog.set_config(%s, %s, false)" for _ in _SETTINGS)
        link.execute(f"select {calls}".encode(), [word for pair in _SETTINGS.items() for word in pair])
    except psycopg.Error as fault:
        link.close()
        raise translate(fault, place) from None
    return link


def _refusal(text: str, place: str, connection: Postgres, net: Net) -> SluiceError:
    if "does not support SSL" in text:
        return Unreachable("The database does not offer TLS.", where=place, hint="Switch it on there (ssl = on).")
    if "certificate" in text or "SSL error" in text:
        return _certificate(place, connection, net)
    if "authentication" in text or "no password supplied" in text or "role " in text:
        return SignInRefused(
            f"The database refuses user {connection.user!r} or its password.", where=place,
            hint="Check the user, the secret and pg_hba.conf.",
        )  # fmt: skip
    if "pg_hba.conf" in text:
        return SignInRefused("The database takes no connection from here (pg_hba.conf).", where=place)
    if "does not exist" in text:
        return Failed(f"There is no database {connection.database!r}.", where=place)
    if "too many" in text or "remaining connection slots" in text:
        return Unreachable("The database has no free connection.", where=place)
    reason = "refuses the connection" if "refused" in text else "does not answer"
    return Unreachable(f"The database {reason}.", where=place, hint="Check host, port and firewall.")


def _certificate(place: str, connection: Postgres, net: Net) -> SluiceError:
    """Say what is wrong with the server's certificate. libpq does not tell, so look once more, without signing in."""
    try:
        with net.connect(connection.host, connection.port) as sock:
            sock.sendall(_SSL_REQUEST)
            if sock.recv(1) == b"S":
                net.tls(sock, connection.host, connection.ca, connection.tls).close()
    except Unreachable as fault:
        return Unreachable(f"The database does not answer over TLS. {fault.message}", where=place, hint=fault.hint)
    except SluiceError as fault:  # the CA cannot be read, or the egress policy has changed meanwhile
        return fault.at(place)
    except OSError:
        pass
    return Unreachable("The database does not answer over TLS.", where=place, hint="Check its certificate and the CA.")


def check_name(name: str) -> str:
    """Return ``name`` when it can be an identifier; PostgreSQL would silently cut a longer one."""
    return tables.check_name(name, _MAX_NAME)


def quoted(*parts: str) -> str:
    """Return a quoted identifier, its parts joined by dots."""
    return ".".join(quote(check_name(part)) for part in parts)


@contextmanager
def told(where: str) -> Iterator[None]:
    """Turn the driver's errors into ours, without the values that its details hold."""
    import psycopg

    try:
        yield
    except psycopg.Error as fault:
        raise translate(fault, where) from None


_STATES = {
    "42501": "The user has no right to do this.",
    "57014": "The statement was cancelled or took too long.",
    "40001": "Another transaction changed the same rows.",
    "40P01": "Two transactions waited for each other.",
    "55P03": "Another transaction holds the table locked.",
    "2BP01": "Other objects depend on the table.",
    "42P07": "Another load made the table meanwhile.",
    "42P01": "There is no such table.",
    "3F000": "There is no such schema.",
    "25006": "The database is read-only.",
}


def translate(fault: psycopg.Error, where: str) -> SluiceError:
    """Return one driver error as ours."""
    import psycopg

    state, diag = fault.sqlstate or "", fault.diag
    column = diag.column_name or _column(diag.context or "")
    place = f"{where}: column {column}" if column else where
    if state.startswith("23"):
        kinds = {"23502": "NOT NULL", "23503": "foreign key", "23505": "unique", "23514": "check", "23P01": "exclusion"}
        name = f" {diag.constraint_name!r}" if diag.constraint_name else ""
        table = f" of table {diag.table_name!r}" if diag.table_name else ""
        return Constraint(f"The target refuses a row: {kinds.get(state, 'a')} constraint{name}{table}.", where=place)
    if state.startswith("22"):
        reasons = {"22003": "a number is out of range", "22001": "a text is too long", "22007": "a date is not valid",
                   "22008": "a date is out of range", "22021": "a text holds a NUL or is not valid UTF-8",
                   "22P02": "a text is no value of the column's type"}  # fmt: skip
        return DataError(f"The target cannot hold a value: {reasons.get(state, f'error {state}')}.", where=place)
    if state in ("53100", "53200"):
        return NoSpace("The database has no space left.", where=where)
    if state in _STATES:
        return Failed(_STATES[state], where=where)
    if isinstance(fault, psycopg.OperationalError) and (not state or state.startswith(("08", "57P"))):
        return Unreachable("The connection to the database broke.", where=where)
    return Failed(f"The database reports error {state}: {diag.message_primary or 'unknown'}.", where=where)


def _column(context: str) -> str | None:
    """Return the column that a COPY error names in its context: ``COPY t, line 3, column x: …``."""
    first = context.split("\n", 1)[0]
    if not first.startswith("COPY ") or ", column " not in first:
        return None
    return first.partition(", column ")[2].partition(":")[0] or None
