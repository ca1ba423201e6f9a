"""A migrated store on each database; every test has one of its own."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from sluicegate.base.principal import Principal, Role
from sluicegate.store.database import Database
from sluicegate.store.scope import Scope, System
from tests.fixtures.postgres import PostgresServer, postgres

__all__ = ["postgres"]

KINDS = ("sqlite", "postgres")


class Tick:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Place(NamedTuple):
    """Where a store is: the application's URL and the owner's; and the database itself, to tamper with."""

    kind: str
    url: str
    owner_url: str | None
    server: PostgresServer | None

    @contextmanager
    def raw(self):
        """Connect past everything of ours: to the file, or as PostgreSQL's superuser."""
        if self.server is None:
            link = sqlite3.connect(self.url.removeprefix("sqlite:///"), isolation_level=None)
        else:
            link = psycopg.connect(self.server.url, autocommit=True)
        with closing(link):  # sqlite3's own context manager does not close
            yield link


@pytest.fixture
def clock() -> Tick:
    return Tick()


@pytest.fixture(scope="session")
def roles(postgres: PostgresServer) -> PostgresServer:
    """Make the two roles a PostgreSQL store needs, as an administrator would."""
    postgres.execute("create role sluice_owner login password 'owner-pw'")
    postgres.execute("create role sluice_app login password 'app-pw'")
    return postgres


def empty_postgres(server: PostgresServer, template: str = "") -> Place:
    made = server.fresh("sluice_owner", template)
    app, owner = made.as_user("sluice_app", "app-pw"), made.as_user("sluice_owner", "owner-pw")
    return Place("postgres", app.url, owner.url, made)


@pytest.fixture(scope="session")
def template(roles: PostgresServer) -> str:
    """Migrate one database, to be copied for each test."""
    place = empty_postgres(roles)
    made = Database(place.url, place.owner_url)
    made.migrate()
    made.close()
    return place.server.dbname


@pytest.fixture(scope="session")
def template_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "template.db"
    made = Database(f"sqlite:///{path}")
    made.migrate()
    made.close()
    return path


@pytest.fixture(params=KINDS)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Give a place where nothing has been made yet."""
    if request.param == "sqlite":
        yield Place("sqlite", f"sqlite:///{tmp_path}/store.db", None, None)
        return
    place = empty_postgres(request.getfixturevalue("roles"))
    yield place
    place.server.drop()


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Give a migrated store."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("template_file"), tmp_path / "store.db")
        yield Place("sqlite", f"sqlite:///{tmp_path}/store.db", None, None)
        return
    made = empty_postgres(request.getfixturevalue("roles"), request.getfixturevalue("template"))
    yield made
    made.server.drop()


@pytest.fixture
def database(place: Place, clock: Tick) -> Iterator[Database]:
    made = Database(place.url, place.owner_url, clock=clock)
    yield made
    made.close()


@pytest.fixture
def system(database: Database) -> System:
    return System(database)


def principal(tenant: str | None, user: str = "u-1", role: Role = Role.ADMINISTRATOR) -> Principal:
    return Principal(user, tenant, role)


@pytest.fixture
def tenant(database: Database, system: System) -> Callable[[str], Scope]:
    """Make a tenant by name and return its scope, for an administrator of its own."""

    def make(name: str) -> Scope:
        made = system.tenants().create(name)
        return Scope(database, made.id, principal(made.id, f"admin-of-{name}"))

    return make


@pytest.fixture
def ours(tenant: Callable[[str], Scope]) -> Scope:
    return tenant("ours")


@pytest.fixture
def theirs(tenant: Callable[[str], Scope]) -> Scope:
    return tenant("theirs")


@pytest.fixture
def opened(empty):
    made = []

    def open_(**options):
        made.append(Database(options.get("url", empty.url), options.get("owner_url", empty.owner_url)))
        return made[-1]

    yield open_
    for each in made:
        each.close()
