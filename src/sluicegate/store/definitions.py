"""Definitions: connections, formats, flows, schedules … as people wrote them. A version never changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, String, bindparam, delete, func, insert, select, update

from sluicegate.base.errors import Missing
from sluicegate.store.database import pack, unpack
from sluicegate.store.tables import definitions as d
from sluicegate.store.tables import latest, runs

if TYPE_CHECKING:
    from sqlalchemy.engine import Row

    from sluicegate.store.scope import Scope


@dataclass(frozen=True, slots=True)
class Definition:
    """One version: ``body`` is the validated document, ``source`` the text as it was written."""

    kind: str
    name: str
    version: int
    digest: str
    body: dict[str, Any]
    source: str
    author: str
    created: float


class Brief(NamedTuple):
    """A definition as lists show it."""

    kind: str
    name: str
    version: int
    digest: str
    author: str
    created: float


class Last(NamedTuple):
    """The newest run of a flow, as lists show it."""

    id: str
    state: str
    created: float


class Draft(NamedTuple):
    """A definition to be put."""

    kind: str
    name: str
    body: dict[str, Any]
    source: str
    digest: str


_TENANT = bindparam("tenant", type_=String)
_KIND = bindparam("of_kind", type_=String)
_NAME = bindparam("of_name", type_=String)
_THIS = (d.c.tenant_id == _TENANT, d.c.kind == _KIND, d.c.name == _NAME)
_BRIEF = (d.c.kind, d.c.name, d.c.version, d.c.digest, d.c.author, d.c.created)
_WHOLE = (d.c.kind, d.c.name, d.c.version, d.c.digest, d.c.body, d.c.source, d.c.author, d.c.created)
_IS_LATEST = (
    (latest.c.tenant_id == d.c.tenant_id)
    & (latest.c.kind == d.c.kind)
    & (latest.c.name == d.c.name)
    & (latest.c.version == d.c.version)
)
_GET_LATEST = select(*_WHOLE).join(latest, _IS_LATEST).where(*_THIS)
_GET_VERSION = select(*_WHOLE).where(*_THIS, d.c.version == bindparam("of_version"))
_LIST = select(*_BRIEF).join(latest, _IS_LATEST).where(d.c.tenant_id == _TENANT).order_by(d.c.kind, d.c.name)
_LIST_KIND = _LIST.where(d.c.kind == _KIND)
_CURRENT = (
    select(*_WHOLE).join(latest, _IS_LATEST).where(d.c.tenant_id == _TENANT, d.c.kind == _KIND).order_by(d.c.name)
)
_of_flow = runs.alias()
_NEWEST_RUN = (  # one look into the index for each flow, however many runs there are; ids rise with time
    select(func.max(_of_flow.c.id))
    .where(_of_flow.c.tenant_id == d.c.tenant_id, _of_flow.c.flow == d.c.name)
    .correlate(d)
    .scalar_subquery()
)
_LIST_FLOWS = (
    select(*_BRIEF, runs.c.id, runs.c.state, runs.c.created)
    .join(latest, _IS_LATEST)
    .outerjoin(runs, (runs.c.tenant_id == d.c.tenant_id) & (runs.c.id == _NEWEST_RUN))
    .where(d.c.tenant_id == _TENANT, d.c.kind == "flow")
    .order_by(d.c.name)
)
_VERSIONS = select(*_BRIEF).where(*_THIS).order_by(d.c.version.desc())
_HISTORY = select(*_WHOLE).where(d.c.tenant_id == _TENANT, d.c.kind == _KIND).order_by(d.c.name, d.c.version)
_NEWEST = select(func.max(d.c.version)).where(*_THIS)
_POINTED = (latest.c.tenant_id == _TENANT, latest.c.kind == _KIND, latest.c.name == _NAME)
_DIGEST = select(d.c.digest, d.c.version).join(latest, _IS_LATEST).where(*_THIS)
_POINT = update(latest).where(*_POINTED).values(version=bindparam("to_version"))
_UNPOINT = delete(latest).where(*_POINTED)


class Definitions:
    """The definitions of one tenant."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def put(self, kind: str, name: str, body: dict[str, Any], source: str, digest: str) -> tuple[int, bool]:
        """Add a version: its number and ``True``. The ``digest`` of the newest again: its number and ``False``."""
        return self.put_many([Draft(kind, name, body, source, digest)])[0]

    def put_many(self, drafts: Iterable[Draft | tuple[str, str, dict[str, Any], str, str]]) -> list[tuple[int, bool]]:
        """Put all of them, or none, in this order; return what ``put`` returns for each."""
        with self._scope.writing() as connection:
            self._lock(connection)
            return [self._put(connection, Draft(*draft)) for draft in drafts]

    def get(self, kind: str, name: str, version: int | None = None) -> Definition:
        """Return the newest version, or the one asked for, even of a definition deleted since. Raises ``Missing``."""
        asked: dict[str, Any] = self._keys(kind, name)
        with self._scope.reading() as connection:
            if version is None:
                row = connection.execute(_GET_LATEST, asked).first()
            else:
                row = connection.execute(_GET_VERSION, {**asked, "of_version": version}).first()
        if row is None and version is not None:
            newest = max(each.version for each in self.versions(kind, name))
            raise Missing(f"The {kind} {name} has no version {version}.", hint=f"The newest is {newest}.")
        if row is None:
            raise _missing(kind, name)
        return _definition(row)

    def versions(self, kind: str, name: str) -> list[Brief]:
        """Return every version, newest first, also of a deleted definition. Raises ``Missing``."""
        with self._scope.reading() as connection:
            found = [Brief(*row) for row in connection.execute(_VERSIONS, self._keys(kind, name))]
        if not found:
            raise _missing(kind, name)
        return found

    def current(self, kind: str, naming: str = "") -> list[Definition]:
        """Return the newest version of each definition of a kind; with ``naming`` those that have it as a text."""
        asked = _CURRENT.where(d.c.body.contains(pack(naming), autoescape=True)) if naming else _CURRENT
        with self._scope.reading() as connection:
            rows = connection.execute(asked, {"tenant": self._scope.tenant, "of_kind": kind})
            return [_definition(row) for row in rows]

    def history(self, kind: str) -> Iterator[Definition]:
        """Yield every version of every definition of a kind, by name and version, also of deleted ones."""
        with self._scope.reading() as connection:
            rows = connection.execute(_HISTORY, {"tenant": self._scope.tenant, "of_kind": kind}).all()
        for row in rows:
            yield _definition(row)

    def delete(self, kind: str, name: str) -> None:
        """Take the definition away; its versions stay for the runs that used them. Raises ``Missing``."""
        with self._scope.writing() as connection:
            self._lock(connection)
            if not connection.execute(_UNPOINT, self._keys(kind, name)).rowcount:
                raise _missing(kind, name)

    def list(self, kind: str | None = None) -> list[Brief]:
        """Return the newest version of each definition of ``kind`` (or of all), by kind and name."""
        with self._scope.reading() as connection:
            if kind is None:
                rows = connection.execute(_LIST, {"tenant": self._scope.tenant})
            else:
                rows = connection.execute(_LIST_KIND, {"tenant": self._scope.tenant, "of_kind": kind})
            return [Brief(*row) for row in rows.all()]

    def list_flows(self) -> tuple[tuple[Brief, Last | None], ...]:
        """Return each flow with its newest run, by name: both from one moment."""
        with self._scope.reading() as connection:
            rows = connection.execute(_LIST_FLOWS, {"tenant": self._scope.tenant}).all()
        width = len(_BRIEF)
        return tuple((Brief(*row[:width]), Last(*row[width:]) if row[width] is not None else None) for row in rows)

    def _lock(self, connection: Connection) -> None:
        self._scope.database.lock(connection, f"definitions:{self._scope.tenant}")

    def _keys(self, kind: str, name: str) -> dict[str, str]:
        return {"tenant": self._scope.tenant, "of_kind": kind, "of_name": name}

    def _put(self, connection: Connection, draft: Draft) -> tuple[int, bool]:
        keys = self._keys(draft.kind, draft.name)
        current = connection.execute(_DIGEST, keys).first()
        if current is not None and current.digest == draft.digest:
            return current.version, False
        version = (connection.scalar(_NEWEST, keys) or 0) + 1
        place = {"tenant_id": self._scope.tenant, "kind": draft.kind, "name": draft.name, "version": version}
        made = {
            "digest": draft.digest,
            "body": pack(draft.body),
            "source": draft.source,
            "author": self._scope.author,
            "created": self._scope.database.clock(),
        }
        connection.execute(insert(d), {**place, **made})
        if current is None:
            connection.execute(insert(latest), place)
        else:
            connection.execute(_POINT, {**keys, "to_version": version})
        return version, True


def _definition(row: Row[*tuple[Any, ...]]) -> Definition:
    return Definition(row.kind, row.name, row.version, row.digest, unpack(row.body), row.source, row.author,
                      row.created)  # fmt: skip


def _missing(kind: str, name: str) -> Missing:
    return Missing(f"There is no {kind} named {name}.")
