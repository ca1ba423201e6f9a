"""Takes mails to the relay, in the background: no operation waits for it, none fails by it.

A try is counted before it is made, and what a killed process was at comes again: nothing is lost, and at worst a mail
comes twice. After ``TRIES`` it is over, and the administrators see why.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from sluicegate.base import clock
from sluicegate.base.errors import Corrupt, Invalid, MailRefused, SluiceError
from sluicegate.base.log import Log, trace
from sluicegate.guard.mail import plain_address
from sluicegate.kit import net

if TYPE_CHECKING:
    from collections.abc import Callable

    from sluicegate.base.settings import Settings
    from sluicegate.guard.mail import Mail
    from sluicegate.store.outbox import Post
    from sluicegate.store.scope import System

TRIES: Final = 8
"""Tries of one mail, the first included."""
FIRST: Final = 30.0
"""Seconds until the second try; each wait after it is twice as long …"""
LONGEST: Final = 3600.0
"""… and this at the most."""
LEASE: Final = 180.0
"""Seconds that one try may take: longer than ``kit/net/smtp.py`` allows."""
BEAT: Final = 5.0
"""Seconds between two looks at the outbox: other nodes put mails there, too."""
_PURGE: Final = 3600.0


class Postman:
    """Empties the outbox. One thread a node; a mail is handed to one of them at a time."""

    def __init__(self, settings: Settings, system: System, mail: Mail, now: clock.Clock = clock.system) -> None:
        """Do nothing before ``open``."""
        self._settings, self._system, self._mail, self._now = settings, system, mail, now
        grants = [net.Grant(host=each.host, ports=each.ports) for each in settings.egress]
        if mail.on:
            grants.append(net.Grant(host=settings.mail.relay, ports=(settings.mail.port,)))
        self._net = net.Net(net.Egress(allow=tuple(grants)))
        self._log = Log()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.on_ask: Callable[[dict[str, str]], None] = lambda _body: None
        """Called with what strangers have asked (``Mail.ask``)."""

    def open(self) -> None:
        """Begin; without a relay there is nothing to do."""
        if not self._mail.on:
            return
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="postman", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End; what is under way is ended by its own limits, and comes again if it did not arrive."""
        self._stop.set()
        self._mail.wake.set()
        if self._thread is not None:
            self._thread.join(5)
            self._thread = None

    def _run(self) -> None:
        purged = 0.0
        while not self._stop.is_set():
            self._mail.wake.clear()
            try:
                while not self._stop.is_set() and self.work():
                    pass
                if self._now() - purged > _PURGE:
                    purged = self._now()
                    self._system.outbox().purge()
                    self._system.links().purge()
            except Exception as fault:  # noqa: BLE001 - the thread goes on: the store may answer again
                self._log("The outbox could not be worked on.", level="error", error=type(fault).__name__,
                          trace=trace(fault))  # fmt: skip
            self._mail.wake.wait(BEAT)

    def work(self) -> bool:
        """Take one mail that is due to the relay; tell whether there was one."""
        outbox = self._system.outbox()
        post = outbox.claim(LEASE)
        if post is None:
            return False
        if not post.recipient:
            self._answer(post)
            return True
        if post.until <= self._now() or post.tries > TRIES:
            outbox.end(post, "failed", post.why or "It could not be sent in time.")
            return True
        try:
            if self._mail.is_void(post):  # looked at as late as can be: a link may end while its mail waits
                outbox.end(post, "withdrawn", "The link in it was good no more.")
                return True
            self._send(post)
        except SluiceError as fault:
            self._put_off(post, fault)
        else:
            outbox.end(post, "sent")
        return True

    def _answer(self, post: Post) -> None:
        if post.tries <= TRIES and post.until > self._now():
            self.on_ask(self._mail.open(post))
        self._system.outbox().drop(post)

    def _send(self, post: Post) -> None:
        given = self._settings.mail
        try:
            ca = given.ca.read_text(encoding="ascii") if given.ca is not None else None
        except (OSError, UnicodeDecodeError):
            raise Invalid("the relay's certificates cannot be read", where="mail.ca") from None
        relay = net.Relay(given.relay, given.port, given.tls, ca, given.user, given.password, self._mail.host)
        net.send_mail(self._net, relay, self._mail.write(post), plain_address(given.sender),
                      plain_address(post.recipient))  # fmt: skip

    def _put_off(self, post: Post, fault: SluiceError) -> None:
        lasting = isinstance(fault, Corrupt | Invalid) or (isinstance(fault, MailRefused) and fault.lasting)
        why = f"{fault.message} {fault.hint}".strip()[:300]
        due = self._now() + min(LONGEST, FIRST * 2.0 ** (post.tries - 1))
        self._log("A mail could not be sent.", level="warning", code=fault.code, error=why, tenant=post.tenant)
        if lasting or post.tries >= TRIES or due >= post.until:
            self._system.outbox().end(post, "failed", why)
        else:
            self._system.outbox().again(post, due, why)
