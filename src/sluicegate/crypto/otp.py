"""One-time passwords from an app (TOTP, RFC 6238: SHA-1, 6 digits, 30 seconds) and recovery codes."""

from __future__ import annotations

from typing import Final

from sluicegate.base.secret import Secret
from sluicegate.crypto import opaque

STEP: Final = 30
"""Seconds that one code is shown."""
AROUND: Final = 1
"""Steps before and after now that count: clocks differ."""
CODES: Final = 10
"""Recovery codes in one set."""


def new_seed() -> Secret:
    """Return a fresh seed: 160 bits in base32, as authenticator apps take it."""
    import pyotp

    return Secret(pyotp.random_base32(32))


def uri(seed: Secret, account: str, issuer: str) -> str:
    """Return what an authenticator app reads from a QR code."""
    import pyotp

    return pyotp.TOTP(seed.reveal()).provisioning_uri(name=account, issuer_name=issuer)


def match(seed: Secret, code: Secret, now: float) -> int | None:
    """Return the step whose code this is, among those that count now, the newest first; ``None`` when it is none.

    A step may be used once: the caller keeps the last one used, for a code is right as long as it is shown.
    """
    import pyotp

    totp, current = pyotp.TOTP(seed.reveal()), int(now) // STEP
    given = "".join(code.reveal().split()).encode("utf-8", "surrogatepass")
    found = None
    for step in range(current - AROUND, current + AROUND + 1):
        if opaque.same(totp.generate_otp(step).encode(), given):
            found = step
    return found


def new_codes() -> tuple[Secret, ...]:
    """Return a set of recovery codes: 120 bits each, six groups of four letters."""
    return tuple(Secret(opaque.readable(6, 4)) for _ in range(CODES))


def normal(code: Secret) -> Secret:
    """Return a recovery code in the one form that is digested: people leave out dashes and take o for 0."""
    text = "".join(each for each in code.reveal().lower() if each.isalnum())
    text = text.translate(str.maketrans("oil", "011"))
    return Secret("-".join(text[place : place + 4] for place in range(0, len(text), 4)))
