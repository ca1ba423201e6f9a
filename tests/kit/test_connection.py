from __future__ import annotations

from typing import ClassVar, Literal

import pytest
from pydantic import ValidationError

from sluicegate.base.errors import from_validation
from sluicegate.connectors.files import Files
from sluicegate.connectors.postgres import Postgres
from sluicegate.connectors.sqlite import Sqlite
from sluicegate.kit import connection, registry
from sluicegate.kit.connection import Connection, Entry, Read, SecretName

CANARY = "canary-hunter2"
PLUGINS = [registry.find("connection", type_) for type_ in registry.types("connection")]


class Queue(Connection):
    """A system with two secrets, one of them optional."""

    type: Literal["queue"] = "queue"
    host: str
    """Where it is."""
    password: SecretName
    """Its password."""
    key: SecretName | None = None
    """A key beside it."""
    note: dict[str, str] = {}
    """Free words."""
    destination: ClassVar[frozenset[str]] = frozenset({"host"})


def test_the_secrets_it_names_are_found_by_their_type():
    made = Queue(name="q", host="h", password={"secret": "a"}, key={"secret": "b"}, note={"secret": "c"})
    assert made.secret_names() == {"a", "b"}
    assert Queue(name="q", host="h", password={"secret": "a"}).secret_names() == {"a"}


def test_the_secrets_of_a_stored_body_are_found_without_parsing_it():
    body = {
        "type": "gone",
        "was": 7,
        "password": {"secret": "a"},
        "key": {"secret": "b"},
        "tags": {"secret": ["personal"]},
    }
    assert connection.secrets_in(body) == {"a", "b"}


@pytest.mark.security
@pytest.mark.req("SEC-V01")
@pytest.mark.parametrize(
    "host",
    [f"postgres://ada:{CANARY}@db.example.org/shop", f"ada:{CANARY}@db", "db.example.org:5432", "db/shop", "0x7f.1"],
)
def test_a_host_is_a_name_or_an_address_and_holds_no_password(host):
    told = {"name": "c", "database": "d", "user": "u"}
    with pytest.raises(ValidationError) as refused:
        Postgres(host=host, **told)
    assert CANARY not in str(from_validation(refused.value))
    for good in ("db", "DB.example.org", "192.0.2.1", "2001:db8::1", "[2001:db8::1]"):
        assert Postgres(host=good, **told).host == good


@pytest.mark.security
@pytest.mark.req("SEC-V01")
@pytest.mark.parametrize(
    "value", [CANARY, {"secret": CANARY + "!"}, {"secret": "a", "value": CANARY}, [CANARY], {"secret": ""}]
)
def test_a_secret_cannot_stand_in_a_definition(value):
    with pytest.raises(ValidationError) as told:
        Queue(name="q", host="h", password=value)
    assert CANARY not in str(told.value)


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_a_connection_cannot_be_pointed_elsewhere_once_it_is_made():
    made = Queue(name="q", host="h", password={"secret": "a"})
    with pytest.raises(ValidationError, match="frozen"):
        made.host = "evil.example"


@pytest.mark.security
@pytest.mark.req("SEC-V08")
@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda each: each.__name__)
def test_the_fields_that_say_where_are_fields(plugin):
    assert plugin.destination
    assert plugin.destination <= set(plugin.model_fields)


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda each: each.__name__)
def test_a_plugin_opens_by_itself(plugin):
    assert plugin.open is not Connection.open


def test_the_shape_alone_opens_nothing():
    with pytest.raises(NotImplementedError):
        Connection(name="a", type="none").open(None)


@pytest.mark.parametrize("kind", ["flow", "format", ""])
def test_the_kind_is_connection(kind):
    with pytest.raises(ValidationError):
        Queue(kind=kind, name="q", host="h", password={"secret": "a"})


def test_what_a_session_can_do_is_told_by_what_it_has():
    class Session:
        def test(self):
            return "fine"

        def items(self, under=""):
            yield Entry("a", "file")

    session = Session()
    assert isinstance(session, connection.Tests)
    assert isinstance(session, connection.Lists)
    for other in (connection.ReadsRows, connection.WritesRows, connection.ReadsFiles, connection.WritesFiles):
        assert not isinstance(session, other)


def test_an_entry_leaves_out_what_is_not_known():
    assert Entry("a", "table") == ("a", "table", None, None, None)


def test_reading_takes_all_unless_it_is_told_otherwise():
    assert Read(item="t") == Read(item="t", columns=None, limit=None)
    with pytest.raises(ValidationError, match="Extra inputs"):
        Read.model_validate({"item": "t", "where": "1=1"})


def test_a_system_that_takes_one_load_at_a_time_says_so():
    assert {each.__name__: each.single_writer for each in (Files, Postgres, Sqlite)} == {
        "Files": False, "Postgres": False, "Sqlite": True,
    }  # fmt: skip
