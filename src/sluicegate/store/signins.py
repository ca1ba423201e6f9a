"""Sign-ins as their owner sees them: one for each client, with when it began and was last used."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import exists, func, or_, select

from sluicegate.base.errors import Missing
from sluicegate.store.tables import grants as g

if TYPE_CHECKING:
    from sluicegate.store.scope import System


class SignIn(NamedTuple):
    """One client that is signed in."""

    id: str
    """The family of its refresh tokens."""
    client: str
    address: str
    """Where it last came from."""
    created: float
    used: float
    expires: float
    proved: float
    factors: str


class SignIns:
    """The sign-ins of all users, each to be had by its owner."""

    def __init__(self, system: System) -> None:
        self._system = system

    def of(self, user: str) -> list[SignIn]:
        """Return the sign-ins of a user that are alive, the one used last first."""
        begun = select(func.min(g.c.issued)).where(g.c.user_id == user).group_by(g.c.family)
        with self._system.reading() as connection:
            rows = connection.execute(begun.add_columns(g.c.family)).all()
        since = {row.family: row[0] for row in rows}
        return [
            SignIn(each.family, each.client, each.address, since.get(each.family, each.issued), each.issued,
                   min(each.expires, each.absolute), each.proved, each.factors)
            for each in self._system.grants().of(user)
        ]  # fmt: skip

    def end(self, user: str, id_: str) -> None:
        """End a sign-in of this user. Raises ``Missing`` when they have no such one."""
        if all(each.id != id_ for each in self.of(user)):
            raise Missing("There is no such sign-in.")
        self._system.grants().kill(id_)

    def end_others(self, user: str, kept: str) -> int:
        """End all sign-ins of a user but one; return how many."""
        return sum(self._system.grants().kill(each.id) for each in self.of(user) if each.id != kept)

    def is_new(self, user: str, thumbprint: str, address: str) -> bool:
        """Tell whether neither this client's key nor this address has been seen at this user, while others have.

        A browser makes a key for each sign-in, and a laptop travels: what one of the two vouches for is no news.
        """
        mine = exists().where(g.c.user_id == user)
        seen = mine.where(or_(g.c.thumbprint == thumbprint, g.c.address == address))
        with self._system.reading() as connection:
            any_, this = connection.execute(select(mine, seen)).one()
        return bool(any_) and not this
