"""Mails: written here, sealed, and put into the outbox; ``guard/postman.py`` takes them to the relay.

They are short and plain, carry no secret but a one-time link, and no word that somebody else chose: what stands in them
is ours, an address, a time.
"""

from __future__ import annotations

import json
import re
import threading
import unicodedata
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import SMTP, compat32
from email.utils import formatdate
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sluicegate.base import clock
from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.base.model import new_id
from sluicegate.crypto import envelope
from sluicegate.crypto.keys import Key, derive

if TYPE_CHECKING:
    from sluicegate.base.secret import Secret
    from sluicegate.base.settings import Settings
    from sluicegate.store.links import Link
    from sluicegate.store.outbox import Post
    from sluicegate.store.people import User
    from sluicegate.store.scope import System

PATIENCE: Final = 86400.0
"""Seconds for which a notice is worth sending; a link is as long as it is good."""
_LOCAL: Final = re.compile(r"[^\s()<>\[\]:;,@\\\".]+(?:\.[^\s()<>\[\]:;,@\\\".]+)*")
_DOMAIN: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class Mail:
    """Writes mails and keeps them until they are sent. Without a relay in the settings it does neither."""

    def __init__(self, root: Key, settings: Settings, system: System, now: clock.Clock = clock.system) -> None:
        """Derive the key that seals what waits."""
        self._key = derive(root, "outbox")
        self._settings, self._system, self._now = settings, system, now
        self.wake = threading.Event()
        """Set when there is something new to send."""

    @property
    def on(self) -> bool:
        """Whether there is a relay."""
        return bool(self._settings.mail.relay)

    @property
    def state(self) -> str:
        """Say how it is: ``off``, ``ok``, or ``failing`` when the last mail could not be sent."""
        if not self.on:
            return "off"
        last = self._system.outbox().last()
        return "failing" if last is not None and last.state == "failed" else "ok"

    def link(self, page: str, token: Secret) -> str:
        """Return a link to a page of ours. What it carries stands behind ``#``: no server and no Referer gets it."""
        return f"{self._settings.url}/#/{page}/{token.reveal()}"

    def put(self, kind: str, user: User, subject: str, text: str, *, to: str = "", link: Link | None = None) -> bool:
        """Have a mail sent to a user, or to an address of theirs; tell whether there is a relay to send it through.

        ``link``: the one that stands in it. The mail is worth sending as long as that is good.
        """
        if not self.on:
            return False
        recipient = to or user.email
        body = {"subject": subject, "text": text, "link": link.id if link else ""}
        self._add(kind, body, recipient, link.expires if link else self._now() + PATIENCE, user.tenant, user.id)
        return True

    def ask(self, body: dict[str, str]) -> None:
        """Put a question of a stranger aside, to be answered by mail or not at all: see ``Recovery.forgot``."""
        self._add("asked", body, "", self._now() + PATIENCE, None, None)

    def _add(
        self, kind: str, body: dict[str, str], recipient: str, until: float, tenant: str | None, user: str | None
    ) -> None:
        id_ = new_id()
        sealed = envelope.encrypt(self._key, json.dumps(body).encode(), ("outbox", id_, kind, recipient))
        self._system.outbox().add(id_, sealed, kind, recipient, until, tenant, user)
        self.wake.set()

    def open(self, post: Post) -> dict[str, str]:
        """Return what was put into a mail. Raises ``Corrupt``."""
        plain = envelope.decrypt(self._key, post.sealed, ("outbox", post.id, post.kind, post.recipient))
        found = json.loads(plain)
        if not isinstance(found, dict):
            raise Corrupt
        return found

    def is_void(self, post: Post) -> bool:
        """Tell whether the link in a post is good no more: used, replaced, or its user cancelled or changed."""
        link = self.open(post).get("link")
        return bool(link) and not self._system.links().holds(str(link))

    def write(self, post: Post) -> EmailMessage:
        """Return the message of a post. Raises ``Invalid`` when no mail can be sent to its address."""
        body = self.open(post)
        return compose(self._settings.mail.sender, post.recipient, body["subject"], body["text"],
                       post.id, post.created, self.host)  # fmt: skip

    @property
    def host(self) -> str:
        """The name of this server, as it calls itself to the relay."""
        return urlsplit(self._settings.url).hostname or "localhost"


def compose(sender: str, recipient: str, subject: str, text: str, id_: str, at: float, host: str) -> EmailMessage:
    """Return a plain message. Raises ``Invalid`` for an address that is none, and for what would be a second header."""
    mail = EmailMessage(policy=SMTP)
    try:
        mail["From"] = mailbox(sender)
        mail["To"] = mailbox(recipient)
        mail["Subject"] = subject
        mail["Date"] = formatdate(at, usegmt=True)
        mail["Message-ID"] = f"<{id_}@{host}>"  # the same at each try: who gets it twice can tell
        mail["Auto-Submitted"] = "auto-generated"
    except (ValueError, MessageError):
        raise Invalid("a mail cannot be written with this") from None
    mail.set_content(text)
    found = BytesHeaderParser(policy=compat32).parsebytes(bytes(mail))
    if found.keys() != mail.keys():  # what was written is read as something else: an encoded word can hold a line's end
        raise Invalid("a mail cannot be written with this")
    return mail


def mailbox(email: str) -> Address:
    """Return an address in the plain form that mail is sent to: no quotes, routes or lists. Raises ``Invalid``."""
    local, _, domain = email.rpartition("@")
    if "=?" in local or unicodedata.normalize("NFKC", email) != email:
        raise Invalid("no mail can be sent to this address", where="email")
    try:
        plain = domain.encode("idna").decode().lower() if not domain.isascii() else domain.lower()
    except UnicodeError:
        plain = ""
    if not _LOCAL.fullmatch(local) or not local.isprintable() or not _DOMAIN.fullmatch(plain):
        raise Invalid("no mail can be sent to this address", where="email")
    return Address(username=local, domain=plain)


def plain_address(email: str) -> str:
    """Return an address as the relay is told it. Raises ``Invalid``."""
    return mailbox(email).addr_spec
