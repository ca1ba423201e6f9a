"""The suites see a connection that breaks their rule: each case here is a plugin with one fault."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import Literal

import pytest

from sluicegate.base.errors import Failed, Unreachable
from sluicegate.base.secret import Secret
from sluicegate.conformance.connection import CANARY, ConnectionSuite, Given, Listener, NetworkSuite, chain
from sluicegate.kit.connection import Connection, SecretName, Tls
from sluicegate.kit.context import Context
from sluicegate.kit.net import Egress, Net
from sluicegate.kit.paths import Root


class Session:
    """Tests and Lists."""

    def __init__(self, told="ok", names=()):
        self._told, self._names = told, names

    def test(self):
        return self._told

    def items(self, under=""):
        from sluicegate.kit.connection import Entry

        return iter([Entry(name, "table") for name in self._names])


class Plain(Connection):
    """Dials as it should."""

    type: Literal["plain"] = "plain"
    host: str = "127.0.0.1"
    """Server."""
    port: int = 1
    """Port."""
    password: SecretName | None = SecretName(secret="pw")
    """Secret."""
    tls: Tls = "verify-full"
    """Trust."""

    destination = frozenset({"host", "port"})

    @contextmanager
    def open(self, ctx):
        ctx.secret("pw")
        with ctx.net.connect(self.host, self.port, timeout=1):
            yield Session()


class Dials(Plain):
    """Goes round the egress policy."""

    @contextmanager
    def open(self, ctx):
        try:
            socket.create_connection((self.host, self.port), timeout=1).close()
        except OSError:
            raise Unreachable("no") from None
        ctx.net.dial(self.host, self.port)
        yield Session()


class Leaks(Plain):
    """Puts the driver's words into its error."""

    @contextmanager
    def open(self, ctx):
        try:
            raise RuntimeError(f"cannot connect with password={ctx.secret('pw').reveal()}")
        except RuntimeError as fault:
            raise Failed("no", where="here") from fault
        yield


class Keeps(Plain):
    """Keeps the secret where a debugger or a log shows it."""

    @contextmanager
    def open(self, ctx):
        session = Session()
        session.dsn = f"password={ctx.secret('pw').reveal()}"
        yield session


class Trusting(Plain):
    """Trusts anybody unless told otherwise, and misspells a field."""

    tls: Tls = "require"
    """Trust."""
    destination = frozenset({"hosst"})


class Unordered(Plain):
    """Lists as it comes, answers at length, and has a field without help."""

    bare: int = 1

    @contextmanager
    def open(self, ctx):
        yield Session("two\nlines", ("b", "a"))


@pytest.fixture
def ctx(tmp_path):
    with Root(tmp_path) as root:
        yield Context(net=Net(Egress.local()), files=root, secrets={"pw": Secret("pw")})


@pytest.fixture
def listener():
    made = Listener()
    yield made
    made.close()


@pytest.mark.security
def test_suite_sees_a_connection_past_the_policy(ctx, listener):
    case = NetworkSuite().test_refused_address_is_never_connected_to
    case(Given(Plain(name="x"), ctx), listener, "127.0.0.1")
    with pytest.raises(AssertionError):
        case(Given(Dials(name="x"), ctx), listener, "127.0.0.1")


@pytest.mark.security
@pytest.mark.parametrize("kind", [Leaks, Keeps])
def test_suite_sees_a_secret(ctx, listener, caplog, kind):
    given = Given(kind(name="x", port=listener.port), ctx)
    with pytest.raises(AssertionError):
        ConnectionSuite().test_secret_is_never_shown(given, caplog)
    ConnectionSuite().test_secret_is_never_shown(Given(Plain(name="x", port=listener.port), ctx), caplog)


@pytest.mark.security
def test_suite_sees_weak_defaults(ctx):
    given = Given(Trusting(name="x"), ctx)
    with pytest.raises(AssertionError):
        NetworkSuite().test_server_is_verified_unless_told_otherwise(given)
    with pytest.raises(AssertionError):
        ConnectionSuite().test_destination_fields_exist(given)


def test_suite_sees_disorder(ctx):
    given, suite = Given(Unordered(name="x"), ctx), ConnectionSuite()
    for case in (suite.test_lists_in_order, suite.test_answers_with_one_line, suite.test_every_field_has_help):
        with pytest.raises(AssertionError):
            case(given)


def test_suite_sees_an_ability_without_its_suite(ctx):
    from sluicegate.connectors.files import Files

    with pytest.raises(AssertionError):
        ConnectionSuite().test_abilities_are_those_with_a_suite(Given(Files(name="x"), ctx))


@pytest.mark.security
def test_chain_tells_the_causes():
    try:
        try:
            raise ValueError(CANARY)
        except ValueError as fault:
            raise Failed("no") from fault
    except Failed as fault:
        assert CANARY in chain(fault)
    try:
        try:
            raise ValueError(CANARY)
        except ValueError:
            raise Failed("no") from None
    except Failed as fault:
        assert CANARY not in chain(fault)


def test_listener_counts(listener):
    for _ in range(2):
        socket.create_connection(("127.0.0.1", listener.port)).close()
    assert listener.count == 2
    assert listener.count == 2
