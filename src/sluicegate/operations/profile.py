"""Oneself: name, language, address, sign-ins, notices."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from sluicegate.base import clock
from sluicegate.base.flaws import Misfit
from sluicegate.base.model import DisplayName, Email, Id, Model
from sluicegate.base.permission import Permission, Public
from sluicegate.base.secret import Secret
from sluicegate.guard.desk import Desk
from sluicegate.guard.notices import NOTICES
from sluicegate.guard.operation import Http, Nothing, Operation


def _known_zone(text: str) -> str:
    from zoneinfo import available_timezones

    if text and text not in available_timezones():
        raise Misfit("is no time zone: write it like Europe/Berlin")
    return text


Zone = Annotated[str, StringConstraints(max_length=64), AfterValidator(_known_zone)]
"""A time zone of the IANA database; empty for none."""

Language = Annotated[str, StringConstraints(pattern=r"^([a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?)?$")]
"""A language tag such as ``de`` or ``pt-BR`` (BCP 47); empty for none."""


class ProfileAsk(Model):
    """What you say of yourself."""

    name: DisplayName
    """Full name."""
    language: Language = ""
    """The language you read, such as ``de`` or ``pt-BR``."""
    zone: Zone = ""
    """Your time zone, such as ``Europe/Berlin``."""


class Profile(Model):
    """You, as others see you, and how your account is secured."""

    id: str
    email: str
    name: str
    role: str
    language: str
    zone: str
    created: str
    last_sign_in: str | None
    factor: bool
    """Whether you have a second factor."""
    mail: bool
    """Whether mail is set up here: without it, an e-mail address cannot be changed."""


class EmailAsk(Model):
    """A new address."""

    email: Email
    """E-mail address. It counts once you have opened the link that is sent there."""


class ConfirmAsk(Model):
    """A link that was sent to a new address."""

    token: SecretStr = Field(max_length=128)
    """What the link carries: all that stands behind its last ``/``."""


class GrantOf(Model):
    """One sign-in."""

    id: Id
    """Id of the sign-in."""


class SignIn(Model):
    """One client that is signed in as you."""

    id: str
    client: str
    """What the client calls itself."""
    address: str
    """Where it last came from."""
    created: str
    used: str
    """When it last renewed its token."""
    expires: str
    current: bool
    """Whether it is the one that asks."""


class SignIns(Model):
    """Your sign-ins, the one used last first."""

    items: tuple[SignIn, ...]


class Ended(Model):
    """What has ended."""

    count: int
    """Sign-ins that were ended."""


class NoticeView(Model):
    """Something that happened to your account."""

    kind: str
    subject: str
    at: str
    address: str
    """Where it was done from; empty when that is not known."""
    client: str
    about: str
    """What it is about, such as the name of a key."""


class NoticesView(Model):
    """What happened to your account, the newest first."""

    items: tuple[NoticeView, ...]


def show(_ask: Nothing, desk: Desk) -> Profile:
    """Show your profile."""
    user = desk.services.system.accounts().get(desk.who.id)
    return Profile(
        id=user.id,
        email=user.email,
        name=user.name,
        role=user.role.value,
        language=user.language,
        zone=user.zone,
        created=clock.iso(user.created),
        last_sign_in=clock.iso(user.last_sign_in) if user.last_sign_in else None,
        factor=bool(desk.services.factors.of(user.id)),
        mail=desk.services.mail.on,
    )


def update(ask: ProfileAsk, desk: Desk) -> Profile:
    """Set your name, language and time zone."""
    desk.services.system.accounts().set_profile(desk.who.id, ask.name, ask.language, ask.zone)
    return show(Nothing(), desk)


def change_email(ask: EmailAsk, desk: Desk) -> Nothing:
    """Ask for another e-mail address; a link goes there, and the old one is told when it is opened."""
    desk.services.profile.ask_email(desk.who, ask.email)
    return Nothing()


def confirm(ask: ConfirmAsk, desk: Desk) -> Nothing:
    """Confirm a new e-mail address by the link that was sent there."""
    desk.services.profile.confirm(Secret(ask.token.get_secret_value()), desk.peer)
    return Nothing()


def list_grants(_ask: Nothing, desk: Desk) -> SignIns:
    """List your sign-ins."""
    items = tuple(
        SignIn(
            id=each.id,
            client=each.client,
            address=each.address,
            created=clock.iso(each.created),
            used=clock.iso(each.used),
            expires=clock.iso(each.expires),
            current=each.id == desk.who.grant,
        )
        for each in desk.services.system.signins().of(desk.who.id)
    )
    return SignIns(items=items)


def end_grant(ask: GrantOf, desk: Desk) -> Nothing:
    """End one of your sign-ins; its tokens end at once."""
    desk.services.system.signins().end(desk.who.id, ask.id)
    return Nothing()


def end_others(_ask: Nothing, desk: Desk) -> Ended:
    """End all your sign-ins but this one."""
    return Ended(count=desk.services.system.signins().end_others(desk.who.id, desk.who.grant))


def list_notices(_ask: Nothing, desk: Desk) -> NoticesView:
    """List what happened to your account."""
    items = []
    for each in desk.services.system.notices().of(desk.who.id):
        about = {key: str(value) for key, value in each.about.items()}
        address, client = about.pop("address", ""), about.pop("client", "")
        subject = NOTICES[each.kind].subject if each.kind in NOTICES else each.kind
        items.append(
            NoticeView(
                kind=each.kind,
                subject=subject,
                at=clock.iso(each.at),
                address=address,
                client=client,
                about=", ".join(about.values()),
            )
        )
    return NoticesView(items=tuple(items))


OPERATIONS = (
    Operation(
        "profile.get",
        Permission.SELF,
        Http("GET", "/profile"),
        Nothing,
        Profile,
        show,
        audited=False,
        tenant=False,
        person=True,
    ),
    Operation(
        "profile.update",
        Permission.SELF,
        Http("PUT", "/profile"),
        ProfileAsk,
        Profile,
        update,
        audited=True,
        tenant=False,
        person=True,
    ),
    Operation(
        "profile.email",
        Permission.SELF,
        Http("POST", "/profile/email"),
        EmailAsk,
        Nothing,
        change_email,
        audited=True,
        tenant=False,
        fresh=True,
        person=True,
    ),
    Operation(
        "profile.confirm",
        Public("who opens the link need not be signed in there; the link is the proof, and changes an address alone"),
        Http("POST", "/profile/confirm"),
        ConfirmAsk,
        Nothing,
        confirm,
        audited=False,
        tenant=False,
    ),
    Operation(
        "grant.list",
        Permission.SELF,
        Http("GET", "/grants"),
        Nothing,
        SignIns,
        list_grants,
        audited=False,
        tenant=False,
        person=True,
    ),
    Operation(
        "grant.end",
        Permission.SELF,
        Http("DELETE", "/grants/{id}"),
        GrantOf,
        Nothing,
        end_grant,
        audited=True,
        tenant=False,
        person=True,
    ),
    Operation(
        "grant.others",
        Permission.SELF,
        Http("POST", "/grants/others/end"),
        Nothing,
        Ended,
        end_others,
        audited=True,
        tenant=False,
        person=True,
    ),
    Operation(
        "notice.list",
        Permission.SELF,
        Http("GET", "/notices"),
        Nothing,
        NoticesView,
        list_notices,
        audited=False,
        tenant=False,
        person=True,
    ),
)
