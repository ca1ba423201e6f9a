"""Mails to the users of a tenant, and what became of them."""

from __future__ import annotations

from pydantic import Field

from sluicegate.base import clock
from sluicegate.base.errors import Unavailable
from sluicegate.base.model import Id, Model
from sluicegate.base.permission import Permission
from sluicegate.guard.desk import Desk
from sluicegate.guard.operation import Http, Nothing, Operation


class MailsAsk(Model):
    """Which mails."""

    limit: int = Field(default=100, ge=1, le=500)
    """At most this many, the newest first."""
    before: Id | None = None
    """Only mails before this one (paging)."""


class MailView(Model):
    """One mail, without what stands in it."""

    id: str
    kind: str
    """``invitation``, ``reset``, ``email``, ``test``, or ``notice.`` and what happened."""
    to: str
    state: str
    """``waiting``, ``sent``, ``failed``, or ``withdrawn``: what it was about was over before its turn came."""
    tries: int
    why: str
    """What went wrong at the last try."""
    created: str
    ended: str | None


class MailsView(Model):
    """Mails to users of the tenant, the newest first. What became of each is kept for 30 days."""

    items: tuple[MailView, ...]


def list_mails(ask: MailsAsk, desk: Desk) -> MailsView:
    """List the mails to users of your tenant, and what became of them."""
    items = tuple(
        MailView(
            id=each.id,
            kind=each.kind,
            to=each.recipient,
            state=each.state.value,
            tries=each.tries,
            why=each.why,
            created=clock.iso(each.created),
            ended=clock.iso(each.ended) if each.ended is not None else None,
        )
        for each in desk.scope.outbox().list(ask.limit, ask.before)
    )
    return MailsView(items=items)


def send_test(_ask: Nothing, desk: Desk) -> Nothing:
    """Send a mail to yourself, to see whether the relay takes it."""
    user = desk.services.system.accounts().get(desk.who.id)
    if not desk.services.mail.put("test", user, "Sluicegate: Test", "Mail from this server reaches you.\n"):
        raise Unavailable("No mail is set up here.", hint="Set mail.relay and mail.sender; see docs/howto/people.")
    return Nothing()


OPERATIONS = (
    Operation(
        "mail.list", Permission.USER_MANAGE, Http("GET", "/mails"), MailsAsk, MailsView, list_mails, audited=False
    ),
    Operation(
        "mail.test",
        Permission.USER_MANAGE,
        Http("POST", "/mails/test"),
        Nothing,
        Nothing,
        send_test,
        audited=True,
        tenant=False,
        person=True,
    ),
)
