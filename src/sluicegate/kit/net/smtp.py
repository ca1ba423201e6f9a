"""Handing a mail to a relay (RFC 5321): over a socket that ``Net`` opened, under TLS, within a time that has an end.

What a relay says is never passed on but for its number: its words may be anything, also what was sent to it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from sluicegate.base.errors import MailRefused, Unreachable
from sluicegate.kit.net.trust import trust, unreachable

if TYPE_CHECKING:
    import smtplib
    from email.message import EmailMessage

    from sluicegate.base.secret import Secret
    from sluicegate.kit.net.network import Net

STEP: Final = 20.0
"""Seconds for one answer of the relay …"""
WHOLE: Final = 60.0
"""… and for all of them: one that answers a letter at a time gains nothing."""
SAID_MAX: Final = 64 * 1024
"""Bytes that a relay may say in all."""
_READY: Final = 220
_PERMANENT: Final = 500


class Relay(NamedTuple):
    """Where mails are handed in."""

    host: str
    port: int
    tls: Literal["starttls", "tls", "off"]
    ca: str | None
    """Certificates (PEM) instead of the system's."""
    user: str
    password: Secret
    name: str
    """What we call ourselves."""


def send(net: Net, relay: Relay, mail: EmailMessage, sender: str, recipient: str) -> None:
    """Hand one mail in. Raises ``MailRefused``, ``Unreachable`` or ``Egress``: then it was not taken."""
    import smtplib

    limit = _Limit(WHOLE)
    link = _link(net, relay, limit)
    try:
        with limit:
            number, _ = link.connect(relay.host, relay.port)
            if number != _READY:
                raise smtplib.SMTPConnectError(number, b"")
            if relay.tls == "starttls":
                link.starttls(context=trust(relay.ca, "verify-full"))
            if relay.user:
                link.login(relay.user, relay.password.reveal())
            link.send_message(mail, sender, [recipient])
        with contextlib.suppress(smtplib.SMTPException, OSError):
            link.quit()  # it has been taken: how they part does not matter
    except smtplib.SMTPException as fault:
        raise _told(fault) from None
    except OSError as fault:
        raise unreachable(fault, relay.host) from None
    except UnicodeError:
        raise _refused("The relay takes no such address.", lasting=True) from None
    finally:
        link.close()


def _link(net: Net, relay: Relay, limit: _Limit) -> smtplib.SMTP:
    """Return a client whose socket ``net`` opens, to an address that it has checked."""
    import smtplib

    class Link(smtplib.SMTP):
        def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
            opened = net.connect(host, port, timeout)
            if relay.tls == "off" and not _is_here(opened):
                opened.close()
                raise Unreachable("TLS is off for a relay that is not on this machine.", hint="See mail.tls.")
            limit.watch(opened)
            return net.tls(opened, host, relay.ca) if relay.tls == "tls" else opened

        def getreply(self) -> tuple[int, bytes]:
            if self.file is None and self.sock is not None:
                self.file = _Bounded(self.sock)
            return super().getreply()

    link = Link(local_hostname=relay.name, timeout=STEP)
    link._host = relay.host  # type: ignore[attr-defined]  # noqa: SLF001 - the name that ``starttls`` verifies
    return link


class _Bounded:
    """What a relay says, line by line, and no more of it than ``SAID_MAX``."""

    def __init__(self, sock: socket.socket) -> None:
        self._file, self._left = sock.makefile("rb"), SAID_MAX

    def readline(self, size: int) -> bytes:
        line = self._file.readline(size)
        self._left -= len(line)
        if self._left < 0:
            raise OSError("too much said")
        return line

    def close(self) -> None:
        self._file.close()


def _is_here(sock: socket.socket) -> bool:
    import ipaddress

    return ipaddress.ip_address(sock.getpeername()[0]).is_loopback


class _Limit:
    """Cuts a connection when all of it takes too long, a handshake included.

    It holds a handle of its own: ``wrap_socket`` takes the one it is given away before it begins to shake hands.
    """

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._over = threading.Event()
        self._handle: socket.socket | None = None

    def watch(self, sock: socket.socket) -> None:
        """Watch a connection; one that comes too late is cut at once."""
        self._handle = sock.dup()
        if self._over.is_set():
            self._cut()

    def _cut(self) -> None:
        self._over.set()
        if self._handle is not None:
            with contextlib.suppress(OSError):
                self._handle.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()  # else the number of the handle could be another's by the time it is cut
        if self._handle is not None:
            self._handle.close()


def _told(fault: Exception) -> MailRefused | Unreachable:
    """Return what went wrong, without a word of the relay's."""
    import smtplib

    if isinstance(fault, smtplib.SMTPServerDisconnected):
        return Unreachable("The relay ended the connection.", hint="Check that it runs, and its log.")
    if isinstance(fault, smtplib.SMTPNotSupportedError):
        return _refused("The relay offers no TLS, no sign-in, or no such address (SMTPUTF8).", hint="See mail.tls.")
    number, what = 0, "to talk to us"
    if isinstance(fault, smtplib.SMTPRecipientsRefused):
        number, what = next((each[0] for each in fault.recipients.values()), 0), "the recipient"
    elif isinstance(fault, smtplib.SMTPResponseException):
        number = fault.smtp_code
    if isinstance(fault, smtplib.SMTPSenderRefused):
        what = "the sender"
    elif isinstance(fault, smtplib.SMTPDataError):
        what = "the mail"
    elif isinstance(fault, smtplib.SMTPAuthenticationError):
        what = "name or password"
    lasting = number >= _PERMANENT and what in ("the recipient", "the mail")
    return _refused(f"The relay refuses {what} ({number}).", lasting=lasting)


def _refused(message: str, *, lasting: bool = False, hint: str = "") -> MailRefused:
    fault = MailRefused(message, hint=hint)
    fault.lasting = lasting
    return fault
