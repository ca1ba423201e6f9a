"""The second factor: setting one up, asking for it, and the codes for the day the phone is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from sluicegate.base import clock
from sluicegate.base.errors import Conflict, Invalid, Missing, Throttled
from sluicegate.base.model import new_id
from sluicegate.base.secret import Secret
from sluicegate.crypto import envelope, opaque, otp
from sluicegate.crypto.keys import Key, derive
from sluicegate.guard.limits import Meter

if TYPE_CHECKING:
    from sluicegate.guard.audit import Audit
    from sluicegate.store.factors import Factor
    from sluicegate.store.scope import System

ISSUER: Final = "Sluicegate"
FACTORS_MAX: Final = 5
"""Factors of one person."""
TRIES: Final = "5/hour"
"""Wrong codes of one person: a code is one of a million, and three count at a time."""


class Begun(NamedTuple):
    """A factor that is being set up. The seed is shown this once."""

    id: str
    seed: Secret
    uri: Secret


class Factors:
    """Second factors of all people. Seeds are sealed under a key of their own, bound to their owner and id."""

    def __init__(self, root: Key, system: System, audit: Audit, now: clock.Clock = clock.system) -> None:
        """Derive the keys from ``root``."""
        self._seeds, self._codes = derive(root, "factor-seed"), derive(root, "recovery-code")
        self._system, self._audit, self._now = system, audit, now
        self._tries = Meter(TRIES, now)

    def of(self, user: str) -> tuple[Factor, ...]:
        """Return the factors of a user that count."""
        return tuple(each for each in self._system.factors().of(user) if each.active)

    def begin(self, user: str, tenant: str | None, account: str, name: str) -> Begun:
        """Make a seed for an authenticator app; it counts once ``confirm`` has seen a code of it."""
        if len(self.of(user)) >= FACTORS_MAX:
            raise Conflict(f"There are {FACTORS_MAX} factors already.", hint="Remove one first.")
        seed, id_ = otp.new_seed(), new_id()
        sealed = envelope.encrypt(self._seeds, seed.reveal().encode(), (user, id_))
        self._system.factors().add(user, tenant, name, sealed, id_=id_)
        return Begun(id_, seed, Secret(otp.uri(seed, account, ISSUER)))

    def confirm(self, user: str, tenant: str | None, factor: str, code: Secret) -> tuple[Secret, ...]:
        """Let a factor count from now on; with the first come recovery codes, shown this once.

        Raises ``Missing``, ``Invalid`` for a wrong code, ``Throttled``.
        """
        found = next((each for each in self._system.factors().of(user) if each.id == factor), None)
        if found is None or found.active:
            raise Missing("There is no such factor that waits for its first code.")
        first = not self.of(user)
        with self._trying(user):
            self._match(user, (found,), code, activate=True)
        return self.renew_codes(user, tenant) if first else ()

    def renew_codes(self, user: str, tenant: str | None) -> tuple[Secret, ...]:
        """Return a fresh set of recovery codes; those before are void."""
        codes = otp.new_codes()
        self._system.factors().put_codes(user, tenant, [opaque.digest(self._codes, each) for each in codes])
        return codes

    def check(self, user: str, tenant: str | None, code: Secret) -> bool:
        """Take a code of an app, or a recovery code; tell whether it was the latter.

        Raises ``Invalid`` for a wrong or used one, ``Throttled``.
        """
        factors = self.of(user)
        digest = opaque.digest(self._codes, otp.normal(code))
        with self._trying(user):
            if factors and self._system.factors().use_code(user, digest):
                left = self._system.factors().codes_left(user)
                self._audit.event("factor.recover", None, None, "ok", {"id": user, "left": left}, tenant=tenant)
                return True
            self._match(user, factors, code)
        return False

    def _match(self, user: str, factors: tuple[Factor, ...], code: Secret, *, activate: bool = False) -> None:
        for each in factors:
            seed = Secret(envelope.decrypt(self._seeds, each.sealed, (user, each.id)).decode())
            step = otp.match(seed, code, self._now())
            if step is not None and self._system.factors().use(each.id, step, activate=activate):
                return
        raise Invalid("the code is wrong or has been used", where="code", hint="Take the next one that your app shows.")

    @contextmanager
    def _trying(self, user: str) -> Iterator[None]:
        """Count one try before the code is looked at: many at once gain nothing. Take it back when it was right."""
        if not self._tries.count(user):
            raise Throttled("Too many wrong codes.", after=self._tries.wait(user))
        yield
        self._tries.give_back(user)
