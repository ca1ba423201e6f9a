"""Mails that wait to be sent, and what became of others. What is in them is sealed, and gone once they are over."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import ColumnElement, delete, func, insert, select, true, update

from sluicegate.base.errors import Throttled
from sluicegate.base.model import new_id
from sluicegate.store.tables import outbox as o

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sluicegate.store.scope import Scope, System

WAITING_MAX = 10_000
"""Mails that may wait at once: a flood ends here, and not on the disk."""
SHARE_MAX = 1_000
"""Mails of one tenant that may wait at once; SuperAdmins have such a share, and so have strangers' questions."""
KEPT = 30 * 86400.0
"""Seconds for which it is remembered what became of a mail."""


class State(StrEnum):
    """What became of a mail."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"
    """Not sent: what it is about was over before its turn came."""


class Post(NamedTuple):
    """One mail."""

    id: str
    tenant: str | None
    user: str | None
    kind: str
    recipient: str
    sealed: bytes
    state: State
    tries: int
    created: float
    due: float
    until: float
    ended: float | None
    why: str


_POST = (
    o.c.id, o.c.tenant_id, o.c.user_id, o.c.kind, o.c.recipient, o.c.sealed, o.c.state, o.c.tries, o.c.created, o.c.due,
    o.c.until, o.c.ended, o.c.why,
)  # fmt: skip
_MAIL = o.c.recipient != ""
"""A row without a recipient is no mail yet: a stranger asks for one, and nobody has looked who it is."""


def _post(row: tuple[object, ...]) -> Post:
    found = Post(*row)  # type: ignore[arg-type]  # the columns are in the order of the fields
    return found._replace(state=State(found.state))


class Outbox:
    """The mails of one tenant, as its administrators may see them."""

    def __init__(self, reach: Scope | System) -> None:
        self._reach = reach

    def list(self, limit: int = 100, before: str | None = None) -> list[Post]:
        """Return the newest mails, and where to go on: before an id."""
        asked = select(*_POST).where(self._mine(), _MAIL, true() if before is None else o.c.id < before)
        with self._reach.reading() as connection:
            return [_post(row) for row in connection.execute(asked.order_by(o.c.id.desc()).limit(limit))]

    def newest(self, kinds: Iterable[str]) -> dict[str, Post]:
        """Return the newest mail of these kinds to each user."""
        last = select(func.max(o.c.id)).where(self._mine(), o.c.kind.in_(list(kinds))).group_by(o.c.user_id)
        with self._reach.reading() as connection:
            found = [_post(row) for row in connection.execute(select(*_POST).where(o.c.id.in_(last), self._mine()))]
        return {each.user: each for each in found if each.user is not None}

    def _mine(self) -> ColumnElement[bool]:
        return o.c.tenant_id == self._reach.tenant


class AllPosts(Outbox):
    """All mails, to be sent."""

    _reach: System

    def __init__(self, system: System) -> None:
        super().__init__(system)

    def add(
        self, id_: str, sealed: bytes, kind: str, recipient: str, until: float, tenant: str | None, user: str | None
    ) -> None:
        """Add a mail. Raises ``Throttled`` when too many wait: in all, or of the tenant."""
        now = self._reach.database.clock()
        mine = o.c.tenant_id.is_not_distinct_from(tenant) & (_MAIL if recipient else ~_MAIL)
        asked = select(func.count(), func.count().filter(mine)).where(o.c.state == State.WAITING)
        with self._reach.writing() as connection:
            waiting, ours = connection.execute(asked).one()
            if waiting >= WAITING_MAX or ours >= SHARE_MAX:
                raise Throttled("Too many mails wait to be sent.", after=60)
            row = Post(
                id_ or new_id(), tenant, user, kind, recipient, sealed, State.WAITING, 0, now, now, until, None, ""
            )
            connection.execute(insert(o), dict(zip((column.name for column in _POST), row, strict=True)))

    def claim(self, lease: float) -> Post | None:
        """Return the mail that has been due for longest, for this caller alone during ``lease`` seconds.

        The try is counted before it is made: one that ends with the process comes again when its lease is over.
        """
        now = self._reach.database.clock()
        asked = select(*_POST).where(o.c.state == State.WAITING, o.c.due <= now).order_by(o.c.due, o.c.id).limit(1)
        with self._reach.reading() as connection:
            if connection.execute(asked).first() is None:
                return None  # as nearly always: nobody who writes has to wait for that
        while True:
            with self._reach.writing() as connection:
                row = connection.execute(asked).first()
                if row is None:
                    return None
                found = _post(row)
                mine = update(o).where(o.c.id == found.id, o.c.tries == found.tries, o.c.state == State.WAITING)
                if connection.execute(mine.values(tries=found.tries + 1, due=now + lease)).rowcount:
                    return found._replace(tries=found.tries + 1, due=now + lease)

    def again(self, post: Post, due: float, why: str) -> None:
        """Put a mail off."""
        self._set(post, due=due, why=why)

    def end(self, post: Post, state: str, why: str = "") -> None:
        """Say what became of a mail; what was in it is gone."""
        self._set(post, state=State(state), why=why, ended=self._reach.database.clock(), sealed=b"")

    def drop(self, post: Post) -> None:
        """Forget a row that was no mail."""
        with self._reach.writing() as connection:
            connection.execute(delete(o).where(o.c.id == post.id))

    def last(self) -> Post | None:
        """Return the mail that was sent, or failed, last."""
        asked = (
            select(*_POST).where(o.c.tries > 0, o.c.state != State.WITHDRAWN, _MAIL).order_by(o.c.ended.desc()).limit(1)
        )
        with self._reach.reading() as connection:
            row = connection.execute(asked.where(o.c.ended.is_not(None))).first()
        return None if row is None else _post(row)

    def purge(self) -> int:
        """Delete what has been over for long; return how many."""
        before = self._reach.database.clock() - KEPT
        with self._reach.writing() as connection:
            return connection.execute(delete(o).where(o.c.ended <= before)).rowcount

    def _set(self, post: Post, **values: object) -> None:
        with self._reach.writing() as connection:
            connection.execute(update(o).where(o.c.id == post.id, o.c.tries == post.tries).values(**values))

    def _mine(self) -> ColumnElement[bool]:
        return true()
