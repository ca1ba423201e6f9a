"""Every way to say no. An error says what, where and what to do; it never carries a secret or the rejected input."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import ValidationError

    from sluicegate.base.flaws import Path


class SluiceError(Exception):
    """The root of all errors that a person sees.

    ``code`` is stable and part of the API; ``status`` is the HTTP status; ``exit`` is the exit code of the CLI.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    exit: ClassVar[int] = 1
    blank: ClassVar[str] = ""
    """Said instead of the message to those who may not read rows; empty when the message never quotes one."""

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        """Hold ``message`` (what), ``where`` (file, step, column, line) and ``hint`` (what to do)."""
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        """Return the whole error on one line."""
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} {self.hint}" if self.hint else text

    def problem(self) -> dict[str, Any]:
        """Return the error as a problem document (RFC 9457)."""
        shown = {"type": f"urn:sluicegate:{self.code}", "code": self.code, "status": self.status, "title": self.message}
        if self.where:
            shown["where"] = self.where
        if self.hint:
            shown["hint"] = self.hint
        return shown

    def at(self, where: str) -> SluiceError:
        """Return this error, placed at ``where`` when it has no place yet."""
        if not self.where:
            self.where = where
        return self


class Invalid(SluiceError):
    """The request or document does not fit its model."""

    code = "invalid"
    status = 422
    exit = 2
    path: Path = ()
    """Keys that lead to what does not fit, when it is known."""


class Usage(SluiceError):
    """The command line was used wrongly."""

    code = "usage"
    status = 400
    exit = 2


class Malformed(SluiceError):
    """The request could not be read at all."""

    code = "malformed"
    status = 400
    exit = 2


class Unauthenticated(SluiceError):
    """Nobody has been shown to be there. The message is the same whatever was wrong."""

    code = "unauthenticated"
    status = 401
    exit = 4

    def __init__(self, message: str = "Sign in first.", *, where: str = "", hint: str = "") -> None:
        """Hold a message that tells nothing apart."""
        super().__init__(message, where=where, hint=hint)


class StepUp(SluiceError):
    """The person is known, but must prove once more that it is them before this."""

    code = "step_up"
    status = 401
    exit = 4


class Denied(SluiceError):
    """The person is known and may not do this."""

    code = "denied"
    status = 403
    exit = 4


class Missing(SluiceError):
    """There is no such thing, or not for this person: the two are not told apart."""

    code = "missing"
    status = 404


class Conflict(SluiceError):
    """The thing exists already or has changed meanwhile."""

    code = "conflict"
    status = 409


class TooLarge(SluiceError):
    """A size limit was passed."""

    code = "too_large"
    status = 413


def wait_of(seconds: float) -> int:
    """Return whole seconds to wait, of which none is missing: a second too late is true, one too early is not."""
    return max(1, math.ceil(seconds))


class Throttled(SluiceError):
    """Too many requests; try again later."""

    code = "throttled"
    status = 429

    def __init__(self, message: str = "Too many requests.", *, after: float = 1.0, hint: str = "") -> None:
        """Hold the seconds after which to try again."""
        super().__init__(message, hint=hint or f"Try again in {wait_of(after)} s.")
        self.after = after


class Unavailable(SluiceError):
    """A part that is needed does not answer (database, feed, audit log, the service that seals)."""

    code = "unavailable"
    status = 503


class Sealed(Unavailable):
    """The server has no keys yet: people must bring their shares or the passphrase first."""

    code = "sealed"


class Internal(SluiceError):
    """A fault of our own; the log holds what is known of it."""

    code = "internal"

    def __init__(self, message: str = "Something went wrong on our side.", *, where: str = "", hint: str = "") -> None:
        """Hold a message that tells nothing of the fault: its text can be anything."""
        super().__init__(message, where=where, hint=hint)


class Failed(SluiceError):
    """A run could not do what the flow says. ``code`` names the kind of failure."""

    code = "failed"
    status = 422
    blank = "The run failed."


class MissingFile(Failed):
    """There is no such file."""

    code = "missing_file"
    blank = ""


class SignInRefused(Failed):
    """The other system knows the user, or does not, and lets nobody in: a wrong name, password or right to connect."""

    code = "sign_in_refused"
    blank = ""


class DataError(Failed):
    """The data does not fit: a bad row, a value out of range, a truncated file."""

    code = "data"
    blank = "A value does not fit."


class UnknownColumn(DataError):
    """An expression or mapping names a column that is not there."""

    code = "unknown_column"
    blank = ""


class Unreachable(Failed):
    """The other system does not answer or its certificate does not hold."""

    code = "unreachable"
    blank = ""


class Egress(Failed):
    """The egress policy refuses this address."""

    code = "egress_refused"
    blank = ""


class MailRefused(Failed):
    """The mail relay does not take a mail."""

    code = "mail_refused"
    blank = ""
    lasting: bool = False
    """Whether it will not take it the next time either."""


class Constraint(Failed):
    """The target refused rows: a constraint does not hold."""

    code = "constraint"
    blank = "The target refused a row."


class NoSpace(Failed):
    """The disk (or quota) is full."""

    code = "no_space"
    blank = ""


class Cancelled(SluiceError):
    """The run was cancelled."""

    code = "cancelled"
    status = 409
    exit = 130


class JailUnavailable(Failed):
    """A layer of the jail is missing, so user text is not run."""

    code = "jail_unavailable"
    blank = ""


class Corrupt(SluiceError):
    """Stored data does not decrypt or verify. One message for every cause."""

    code = "corrupt"
    status = 500

    def __init__(self, message: str = "Stored data does not verify.", *, where: str = "", hint: str = "") -> None:
        """Hold a message that tells no cause apart."""
        super().__init__(message, where=where, hint=hint)


CODES: dict[str, type[SluiceError]] = {}


def _learn(root: type[SluiceError]) -> None:
    CODES[root.code] = root
    for child in root.__subclasses__():
        _learn(child)


_learn(SluiceError)


def rebuild(problem: dict[str, Any]) -> SluiceError:
    """Return the error that ``problem()`` described, for the other side of a pipe or an HTTP call."""
    kind = CODES.get(str(problem.get("code")), Failed)
    fault = kind(str(problem.get("title", "")))
    fault.where, fault.hint = str(problem.get("where", "")), str(problem.get("hint", ""))
    return fault


def without_rows(problem: dict[str, Any]) -> dict[str, Any]:
    """Return a problem document as it may be stored with jobs, or shown to people who may not read rows (SEC-Z07).

    What kind, which step, line and column stay. A code that is not known here is taken for one that quotes rows.
    """
    blank = CODES.get(str(problem.get("code")), Failed).blank
    if not blank:
        return problem
    kept: dict[str, Any] = {name: problem[name] for name in ("type", "code", "status", "where") if name in problem}
    return {**kept, "title": blank, "hint": "People who may read rows see the whole message, as long as it is kept."}


def from_validation(
    fault: ValidationError, *, where: str = "", given: Any = None, line: Callable[[Path], int] | None = None
) -> Invalid:
    """Return a pydantic error as one ``Invalid`` that names each place and reason, never the input.

    This is the only place that turns a ``ValidationError`` into text: rejected input can be a password. ``given`` is
    what was validated; ``line`` tells the line of a path. The error's own ``path`` leads to the first flaw.
    """
    from sluicegate.base.flaws import flaws_of

    found = flaws_of(fault, given)
    first = line(found[0].path) if line else 0
    told = []
    for flaw in found[:_TOLD]:
        here = line(flaw.path) if line else 0
        told.append(f"line {here}: {flaw}" if here != first else str(flaw))
    if len(found) > _TOLD:
        told.append(f"and {len(found) - _TOLD} more")
    made = Invalid("; ".join(told), where=where)
    made.path = found[0].path
    return made


_TOLD = 5
