"""Asking people to come, and giving those who forgot their password a new one: by one-time links."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, SecretStr

from sluicegate.base import clock
from sluicegate.base.errors import Denied, Invalid
from sluicegate.base.model import DisplayName, Email, Id, Line, Model
from sluicegate.base.permission import Permission, Public
from sluicegate.base.principal import Role
from sluicegate.base.secret import Secret
from sluicegate.guard import policy
from sluicegate.guard.desk import Desk
from sluicegate.guard.operation import Http, Nothing, Operation
from sluicegate.operations.session import Tokens, tokens_of

if TYPE_CHECKING:
    from sluicegate.guard.invitations import Sent

_TEXT = 4096
_TOKEN = 128


class InviteAsk(Model):
    """Somebody to ask."""

    email: Email
    """E-mail address."""
    name: Line = ""
    """Full name; they may write it otherwise when they come."""
    role: Role
    """One of the roles up to your own."""


class LinkSent(Model):
    """A one-time link is on its way. Without a mail relay it is shown here, this once, for you to hand over."""

    id: str
    email: str
    role: str
    expires: str
    """Until when it is good."""
    link: str | None
    """The link itself when no mail is set up; it works once."""


class InvitedUser(Model):
    """One user who is invited."""

    id: Id
    """Id of the user."""


class UserOf(Model):
    """One user."""

    id: Id
    """Id of the user."""


class AcceptAsk(Model):
    """An invitation, and who comes."""

    token: SecretStr = Field(max_length=_TOKEN)
    """What the link carries: all that stands behind its last ``/``."""
    name: DisplayName
    """Full name."""
    password: SecretStr = Field(max_length=_TEXT)
    """A password of 15 characters or more."""


class ForgotAsk(Model):
    """Who forgot their password."""

    tenant: Line | None = None
    """Name of the tenant; a SuperAdmin may leave it out."""
    email: Line
    """E-mail address."""


class ResetAsk(Model):
    """A link for a new password, and the password."""

    token: SecretStr = Field(max_length=_TOKEN)
    """What the link carries: all that stands behind its last ``/``."""
    password: SecretStr = Field(max_length=_TEXT)
    """A password of 15 characters or more; 12 when you have a second factor."""


def _sent(made: Sent) -> LinkSent:
    return LinkSent(
        id=made.user.id,
        email=made.user.email,
        role=made.user.role.value,
        expires=clock.iso(made.expires),
        link=made.link.reveal() if made.link is not None else None,
    )


def invite(ask: InviteAsk, desk: Desk) -> LinkSent:
    """Invite somebody: a link goes to their address, by which they choose name and password."""
    if not policy.may_give(desk.who, ask.role):
        raise Denied("Nobody gives a role above their own.", where="role")
    if ask.role is Role.SUPERADMIN:
        raise Invalid("a SuperAdmin belongs to no tenant and is not made here", where="role")
    name = ask.name or ask.email.partition("@")[0]
    return _sent(desk.services.invitations.invite(desk.scope, ask.email, name, ask.role))


def resend(ask: InvitedUser, desk: Desk) -> LinkSent:
    """Send a new link to somebody who is invited; the one before it is dead."""
    return _sent(desk.services.invitations.resend(desk.scope, ask.id))


def cancel(ask: InvitedUser, desk: Desk) -> Nothing:
    """Cancel an invitation: its link is dead, the user deactivated."""
    desk.services.invitations.cancel(desk.scope, ask.id)
    return Nothing()


def accept(ask: AcceptAsk, desk: Desk) -> Tokens:
    """Accept an invitation: choose name and password, and be signed in."""
    token, chosen = Secret(ask.token.get_secret_value()), Secret(ask.password.get_secret_value())
    return tokens_of(desk.services.invitations.accept(token, ask.name, chosen, desk.peer, desk.bound_to))


def offer(ask: UserOf, desk: Desk) -> LinkSent:
    """Send a user a link for a new password. Nobody chooses it for them; their second factor stays."""
    return _sent(desk.services.recovery.offer(desk.scope, ask.id))


def forgot(ask: ForgotAsk, desk: Desk) -> Nothing:
    """Ask for a link for a new password. The answer is the same whoever asks for whom."""
    desk.services.recovery.forgot(ask.tenant, ask.email, desk.peer)
    return Nothing()


def reset(ask: ResetAsk, desk: Desk) -> Nothing:
    """Choose a new password by a link: all sign-ins end, and the second factor is asked for at the next one."""
    token, chosen = Secret(ask.token.get_secret_value()), Secret(ask.password.get_secret_value())
    desk.services.recovery.reset(token, chosen, desk.peer)
    return Nothing()


OPERATIONS = (
    Operation(
        "user.invite",
        Permission.USER_MANAGE,
        Http("POST", "/invitations", 201),
        InviteAsk,
        LinkSent,
        invite,
        audited=True,
        person=True,
        fresh=True,
    ),
    Operation(
        "invitation.resend",
        Permission.USER_MANAGE,
        Http("POST", "/invitations/{id}/resend"),
        InvitedUser,
        LinkSent,
        resend,
        audited=True,
        person=True,
        fresh=True,
    ),
    Operation(
        "invitation.cancel",
        Permission.USER_MANAGE,
        Http("DELETE", "/invitations/{id}"),
        InvitedUser,
        Nothing,
        cancel,
        audited=True,
        fresh=True,
    ),
    Operation(
        "invitation.accept",
        Public("who is invited has no token yet; the link is the proof"),
        Http("POST", "/invitations/accept"),
        AcceptAsk,
        Tokens,
        accept,
        audited=False,
        tenant=False,
        hashes=True,
    ),
    Operation(
        "user.reset",
        Permission.USER_MANAGE,
        Http("POST", "/users/{id}/reset"),
        UserOf,
        LinkSent,
        offer,
        audited=True,
        person=True,
        fresh=True,
    ),
    Operation(
        "password.forgot",
        Public("who forgot their password has no token; the answer says nothing, and a link goes to the address alone"),
        Http("POST", "/password/forgot"),
        ForgotAsk,
        Nothing,
        forgot,
        audited=False,
        tenant=False,
    ),
    Operation(
        "password.reset",
        Public("who forgot their password has no token; the link is the proof"),
        Http("POST", "/password/reset"),
        ResetAsk,
        Nothing,
        reset,
        audited=False,
        tenant=False,
        hashes=True,
    ),
)
