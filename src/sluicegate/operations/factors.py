"""Second factors: one's own, and putting right those of somebody who lost theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, SecretStr, StringConstraints

from sluicegate.base import clock
from sluicegate.base.errors import Denied, Missing
from sluicegate.base.model import DisplayName, Id, Model
from sluicegate.base.permission import Permission
from sluicegate.base.principal import Role
from sluicegate.base.secret import Secret
from sluicegate.guard import policy
from sluicegate.guard.desk import Desk
from sluicegate.guard.operation import Http, Nothing, Operation

if TYPE_CHECKING:
    from sluicegate.store.people import User

_CODE = 64


class FactorAsk(Model):
    """A factor to set up."""

    name: Annotated[DisplayName, StringConstraints(max_length=64)] = "app"
    """What you call it, such as the phone it is on."""


class FactorOf(Model):
    """One factor."""

    id: Id
    """Id of the factor."""


class CodeAsk(Model):
    """A factor's first code."""

    id: Id
    """Id of the factor."""
    code: SecretStr = Field(max_length=_CODE)
    """The code that the app shows now."""


class FactorBegun(Model):
    """What an authenticator app must be told. Shown this once."""

    id: str
    seed: str
    """The seed, to be typed into an app."""
    uri: str
    """The same as an app reads it from a QR code."""


class Codes(Model):
    """Recovery codes, for the day the app is lost; each works once. Shown this once; none when there are some."""

    codes: tuple[str, ...]


class Factor(Model):
    """One second factor of yours."""

    id: str
    kind: str
    name: str
    created: str
    used: str | None


class Factors(Model):
    """Your second factors."""

    items: tuple[Factor, ...]
    codes_left: int
    """Recovery codes that have not been used."""


class UserOf(Model):
    """One user."""

    id: Id
    """Id of the user."""


def list_(_ask: Nothing, desk: Desk) -> Factors:
    """List your second factors."""
    found = desk.services.factors.of(desk.who.id)
    left = desk.services.system.factors().codes_left(desk.who.id)
    items = tuple(
        Factor(
            id=each.id,
            kind=each.kind,
            name=each.name,
            created=clock.iso(each.created),
            used=clock.iso(each.used) if each.used else None,
        )
        for each in found
    )
    return Factors(items=items, codes_left=left)


def begin(ask: FactorAsk, desk: Desk) -> FactorBegun:
    """Begin to set up an authenticator app; it counts once its first code has been confirmed."""
    account = desk.services.system.accounts().get(desk.who.id).email
    begun = desk.services.factors.begin(desk.who.id, desk.who.tenant, account, ask.name)
    return FactorBegun(id=begun.id, seed=begun.seed.reveal(), uri=begun.uri.reveal())


def confirm(ask: CodeAsk, desk: Desk) -> Codes:
    """Confirm an app by its first code; recovery codes come with the first app."""
    code = Secret(ask.code.get_secret_value())
    codes = desk.services.factors.confirm(desk.who.id, desk.who.tenant, ask.id, code)
    desk.services.login.proved(desk.who, factor=True)
    _tell(desk, "factor_added")
    return Codes(codes=tuple(each.reveal() for each in codes))


def remove(ask: FactorOf, desk: Desk) -> Nothing:
    """Remove a second factor of yours."""
    with desk.services.system.transaction():
        desk.services.system.factors().remove(desk.who.id, ask.id)
        _tell(desk, "factor_removed")
    return Nothing()


def renew_codes(_ask: Nothing, desk: Desk) -> Codes:
    """Replace your recovery codes."""
    if not desk.services.factors.of(desk.who.id):
        raise Missing("You have no second factor.", hint="Run: sluice factor begin")
    with desk.services.system.transaction():
        codes = desk.services.factors.renew_codes(desk.who.id, desk.who.tenant)
        _tell(desk, "codes_replaced")
    return Codes(codes=tuple(each.reveal() for each in codes))


def reset(ask: UserOf, desk: Desk) -> Nothing:
    """Take all second factors of a user away who has lost them, and end their sign-ins."""
    user = desk.scope.people().get(ask.id)
    if not policy.may_give(desk.who, Role(user.role)):
        raise Denied("Nobody resets a role above their own.")
    if user.id == desk.who.id:
        raise Denied("Nobody resets themselves.", hint="Remove a factor with: sluice factor remove")
    clear(user, desk)
    return Nothing()


def clear(user: User, desk: Desk) -> None:
    """Take all second factors and recovery codes of a user away, end their sign-ins, and tell them."""
    with desk.services.system.transaction():
        desk.services.system.factors().clear(user.id)
        desk.services.system.marks().raise_user(user.id)
        desk.services.system.grants().kill_user(user.id)
        desk.services.notices.tell(user, "factor_reset")


def _tell(desk: Desk, kind: str) -> None:
    desk.services.notices.tell_of(desk.who.id, kind, desk.peer)


OPERATIONS = (
    Operation(
        "factor.list", Permission.SELF, Http("GET", "/factors"), Nothing, Factors, list_, audited=False, tenant=False
    ),
    Operation(
        "factor.begin",
        Permission.SELF,
        Http("POST", "/factors", 201),
        FactorAsk,
        FactorBegun,
        begin,
        audited=True,
        tenant=False,
        fresh=True,
        tokens=frozenset({"signed in", "enrol"}),
        person=True,
    ),
    Operation(
        "factor.confirm",
        Permission.SELF,
        Http("POST", "/factors/{id}/confirm"),
        CodeAsk,
        Codes,
        confirm,
        audited=True,
        tenant=False,
        tokens=frozenset({"signed in", "enrol"}),
        person=True,
    ),
    Operation(
        "factor.remove",
        Permission.SELF,
        Http("DELETE", "/factors/{id}"),
        FactorOf,
        Nothing,
        remove,
        audited=True,
        tenant=False,
        fresh=True,
        person=True,
    ),
    Operation(
        "factor.codes",
        Permission.SELF,
        Http("POST", "/factors/codes"),
        Nothing,
        Codes,
        renew_codes,
        audited=True,
        tenant=False,
        fresh=True,
        person=True,
    ),
    Operation(
        "factor.reset",
        Permission.USER_MANAGE,
        Http("POST", "/users/{id}/factors/reset"),
        UserOf,
        Nothing,
        reset,
        audited=True,
        person=True,
        fresh=True,
    ),
)
