"""The conformance suites for every connection, and for those that go over the network."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from sluicegate.base.errors import Egress as EgressRefused
from sluicegate.base.errors import SluiceError, Unreachable
from sluicegate.base.secret import Secret
from sluicegate.kit.connection import (
    Connection,
    Lists,
    ReadsFiles,
    ReadsRows,
    SecretName,
    TellsKeys,
    Tests,
    WritesFiles,
    WritesRows,
)
from sluicegate.kit.net import Egress, Net

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sluicegate.kit.context import Context

CANARY = "canary-7f3a9c-do-not-show"
"""A password that must never be seen anywhere."""
WHO = frozenset(
    {"user", "access_key", "role_id", "auth_mount", "read_only", "client_id", "scope", "query", "records", "paging",
     "items", "limits"}
)  # fmt: skip
"""Fields that say who signs in, or what for, not where: another one does not lead a secret elsewhere."""


@dataclass
class Given:
    """A connection to test: the definition, and a context in which it works."""

    connection: Connection
    ctx: Context
    item: Callable[[str], str] = field(default=lambda name: name)
    """Spells the name of an item, where names need quoting."""
    execute: Callable[[str], Any] | None = None
    """Carries out an SQL statement in a database, as its owner would."""

    def open(self) -> Any:
        """Open a session."""
        return self.connection.open(self.ctx)


def chain(fault: BaseException | None) -> str:
    """Return all that an exception and its causes tell, as a log would show it."""
    told = []
    while fault is not None:
        told += [str(fault), repr(fault), repr(fault.args), repr(getattr(fault, "hint", ""))]
        fault = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)
    return "\n".join(told)


class ConnectionSuite:
    """Holds for every connection. A subclass overrides the fixture ``given``."""

    abilities: ClassVar[set[type]] = {Tests, Lists}
    """The protocols that the session must fulfil; suites add theirs."""

    @pytest.fixture
    def given(self) -> Given:
        """Return the connection to test."""
        raise NotImplementedError

    def test_abilities_are_those_with_a_suite(self, given: Given) -> None:
        wanted = set().union(*(each.__dict__.get("abilities", set()) for each in type(self).__mro__))
        with given.open() as session:
            found = {
                each
                for each in (Tests, Lists, ReadsRows, WritesRows, TellsKeys, ReadsFiles, WritesFiles)
                if isinstance(session, each)
            }
        assert found == wanted

    def test_answers_with_one_line(self, given: Given) -> None:
        with given.open() as session:
            told = session.test()
        assert told
        assert "\n" not in told

    def test_every_field_has_help(self, given: Given) -> None:
        fields = type(given.connection).model_json_schema()["properties"]
        assert [
            name for name, about in fields.items() if name not in ("kind", "type") and not about.get("description")
        ] == []

    def test_lists_in_order(self, given: Given) -> None:
        with given.open() as session:
            names = [entry.name for entry in session.items()]
        assert names == sorted(names)

    @pytest.mark.security
    def test_destination_fields_exist(self, given: Given) -> None:
        """A misspelt field would leave its secret in place when the host changes (SEC-V08)."""
        kind = type(given.connection)
        assert kind.destination
        assert kind.destination <= set(kind.model_fields)

    @pytest.mark.security
    def test_each_field_says_where_it_leads_or_is_known_not_to(self, given: Given) -> None:
        """A new field that nobody has thought about would let a secret follow it elsewhere (SEC-V08)."""
        kind = type(given.connection)
        secret = {name for name, each in kind.model_fields.items() if "SecretName" in str(each.annotation)}
        known = {*kind.destination, *secret, *Connection.model_fields, "type", *WHO}
        assert set(kind.model_fields) - known == set()

    @pytest.mark.security
    def test_definition_holds_no_secret(self, given: Given) -> None:
        for name in ("password", "passphrase", "token", "key", "secret"):
            if name in type(given.connection).model_fields:
                value = getattr(given.connection, name)
                assert value is None or isinstance(value, SecretName)

    @pytest.mark.security
    def test_secret_is_never_shown(self, given: Given, caplog: pytest.LogCaptureFixture) -> None:
        lines: list[str] = []

        def log(message: str, /, **fields: object) -> None:
            lines.append(f"{message} {fields!r}")

        names = given.connection.secret_names()
        ctx = replace(given.ctx, secrets={name: Secret(CANARY) for name in names}, log=log)
        told = [repr(given.connection), given.connection.model_dump_json(), repr(ctx)]
        try:
            with given.connection.open(ctx) as session:
                told += [session.test(), repr(session), repr(vars(session))]
        except SluiceError as fault:
            assert names, "a connection without secrets must open"
            told += [chain(fault), repr(fault.problem())]
        told += [*lines, caplog.text]
        assert CANARY not in "\n".join(told)


class Listener:
    """A loopback port that counts who connects."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._seen: list[int] = []
        self._own: set[int] = set()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                link, peer = self._socket.accept()
            except OSError:
                return
            with self._changed:
                self._seen.append(peer[1])
                self._changed.notify_all()
            link.close()

    @property
    def count(self) -> int:
        """Return how many have connected so far. Who came before this question was asked has been counted."""
        with socket.create_connection(("127.0.0.1", self.port)) as own, self._changed:
            mine = own.getsockname()[1]
            self._own.add(mine)
            assert self._changed.wait_for(lambda: mine in self._seen, 5)
            return len([port for port in self._seen if port not in self._own])

    def close(self) -> None:
        """Stop."""
        if self._socket.fileno() >= 0:
            self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._thread.join(5)


class NetworkSuite(ConnectionSuite):
    """Holds for every connection that has a host and a port."""

    @pytest.fixture
    def listener(self) -> Iterator[Listener]:
        """Give a port that counts."""
        made = Listener()
        yield made
        made.close()

    def _moved(self, given: Given, host: str, port: int) -> Connection:
        return given.connection.model_copy(update={"host": host, "port": port})

    @pytest.mark.security
    @pytest.mark.req("SEC-E01")
    @pytest.mark.parametrize(
        "host", ["127.0.0.1", "localhost", "::1", "169.254.169.254", "10.0.0.1", "::ffff:127.0.0.1"]
    )
    def test_refused_address_is_never_connected_to(self, given: Given, listener: Listener, host: str) -> None:
        ctx = replace(given.ctx, net=Net(Egress()))
        with pytest.raises(EgressRefused), self._moved(given, host, listener.port).open(ctx) as session:
            session.test()
        assert listener.count == 0

    @pytest.mark.security
    @pytest.mark.req("SEC-E01")
    def test_connects_to_the_address_that_was_checked(self, given: Given, listener: Listener) -> None:
        """The name leads elsewhere when asked again: whoever asks again is caught by the count."""
        answers = iter([["127.0.0.1"]])
        net = Net(Egress.local(), lambda _host: next(answers))
        moved = self._moved(given, "db.example.test", listener.port)
        with pytest.raises(SluiceError), moved.open(replace(given.ctx, net=net)) as session:
            session.test()
        assert listener.count >= 1

    @pytest.mark.security
    @pytest.mark.req("SEC-N03")
    def test_server_is_verified_unless_told_otherwise(self, given: Given) -> None:
        """By its certificate, or (SSH) by its host key, which must be given."""
        fields = type(given.connection).model_fields
        assert fields["tls"].default == "verify-full" if "tls" in fields else fields["host_key"].is_required()

    def test_unreachable_names_the_place(self, given: Given, listener: Listener) -> None:
        listener.close()
        moved = self._moved(given, "127.0.0.1", listener.port)
        with pytest.raises(Unreachable) as caught, moved.open(given.ctx) as session:
            session.test()
        assert str(listener.port) in str(caught.value)
