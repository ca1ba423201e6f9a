"""What a tenant asks of its people: its policy, set by its administrators within what the installation allows.

Each of its settings has the installation's value, and a rule (``[overrides]``) on whether the tenant may have another:
never (``fixed``), a stricter one (``stricter``) or any (``free``). The rule holds when a policy is set and each time it
is read, so that what the installation tightens is tight at once, whatever tenants had set before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple

from pydantic import ConfigDict, Field, StringConstraints, ValidationError

from sluicegate.base.errors import Corrupt, Denied
from sluicegate.base.model import Model, Name
from sluicegate.base.networks import Network
from sluicegate.guard.limits import read_rate
from sluicegate.guard.tls import ORDER
from sluicegate.kit.connection import Tls
from sluicegate.kit.flow import digest

if TYPE_CHECKING:
    from sluicegate.base.settings import Settings
    from sluicegate.store.scope import Tenant

LIST_MAX: Final = 100
MONTH: Final = 43200
"""Minutes of 30 days: no sign-in lasts longer, whoever allows what."""


Rate = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,8}/(second|minute|hour|day)$")]


class Policy(Model):
    """What a tenant asks of its people. What is left out is as the installation has it."""

    model_config = ConfigDict(strict=True)

    factor_required: bool | None = None
    """Everybody who signs in with a password needs a second factor; who has none sets one up first."""
    password_length: int | None = Field(default=None, ge=15, le=64)
    """Characters that a new password has at the least; three fewer beside a second factor."""
    session_minutes: int | None = Field(default=None, ge=5, le=MONTH)
    """Minutes after which a person signs in again, whatever they do."""
    idle_minutes: int | None = Field(default=None, ge=5, le=MONTH)
    """Minutes without a sign of life after which a person signs in again."""
    addresses: tuple[Network, ...] = Field(default=(), max_length=LIST_MAX, strict=False)
    """Networks from which the tenant's people and keys may come; from anywhere when empty."""
    key_days: int | None = Field(default=None, ge=1, le=3650)
    """Days that an API key lives at the most."""
    invitation_hours: int | None = Field(default=None, ge=1, le=720)
    """Hours that an invitation is good."""
    sso_required: bool | None = None
    """The tenant's people come by single sign-on and by no password. It holds neither API keys nor SuperAdmins."""
    key_proof: bool | None = None
    """Whether an API key is exchanged only together with a DPoP proof (RFC 9449)."""
    support_hours: int | None = Field(default=None, ge=1, le=24)
    """Hours that a support access lasts at the most."""
    requests: Rate | None = None
    """Work of the tenant (``500/second``): a plain read counts 1, a change 2, a test, listing or preview 10."""
    files_sealed: bool | None = None
    """Flows write files only sealed."""
    seals: tuple[Literal["age", "openpgp", "zip"], ...] = Field(default=(), max_length=LIST_MAX, strict=False)
    """Kinds of seals that flows may write with; as the installation has it when empty."""
    formats: tuple[Name, ...] = Field(default=(), max_length=LIST_MAX, strict=False)
    """Formats of files that flows may read and write; as the installation has it when empty."""
    residency: tuple[Name, ...] = Field(default=(), max_length=LIST_MAX, strict=False)
    """Values of a connection's ``residency`` that flows may use; as the installation has it when empty."""
    guarded: tuple[Name, ...] = Field(default=(), max_length=LIST_MAX, strict=False)
    """Tags of columns that flows may write only to connections that accept them by name, beside the installation's."""
    weakest_tls: Tls | None = None
    """The weakest ``tls`` that connections may have; ``disable`` lets plain protocols be used."""
    quarantine_days: int | None = Field(default=None, ge=1, le=3650)
    """Days that quarantined rows are kept."""


class Effective(Model):
    """What holds in a tenant."""

    factor_required: bool
    password_length: int
    session_minutes: int
    idle_minutes: int
    addresses: tuple[str, ...]
    key_days: int
    invitation_hours: int
    key_proof: bool
    sso_required: bool
    support_hours: int
    requests: str
    files_sealed: bool
    seals: tuple[str, ...]
    formats: tuple[str, ...]
    residency: tuple[str, ...]
    guarded: tuple[str, ...]
    weakest_tls: str
    quarantine_days: int


class Setting(Model):
    """One setting of a policy, and where its value comes from."""

    name: str
    value: bool | int | str | tuple[str, ...]
    """What holds."""
    origin: Literal["installation", "tenant"]
    """Who says so."""
    installation: bool | int | str | tuple[str, ...]
    """What holds for a tenant that says nothing."""
    may: Literal["fixed", "stricter", "free"]
    """What the tenant may set: nothing, what is stricter, anything."""


class _Direction(NamedTuple):
    """How one value is as strict as another, and what to say of one that is not."""

    fits: Callable[[Any, Any], bool]
    words: str


_LESS = _Direction(lambda value, base: value <= base, "{} or less")
_MORE = _Direction(lambda value, base: value >= base, "{} or more")
_YES = _Direction(lambda value, base: value or not base, "yes")
_SLOWER = _Direction(lambda value, base: _speed(value) <= _speed(base), "{} or less")
_WITHIN = _Direction(lambda value, base: not base or set(value) <= set(base), "some of {}")
_STRONGER = _Direction(lambda value, base: ORDER.index(value) >= ORDER.index(base), "{} or stronger")
_NARROWER = _Direction(lambda _value, _base: True, "")
"""What is listed holds beside the installation's own list, so each narrows."""

DIRECTIONS: Final[Mapping[str, _Direction]] = {
    "factor_required": _YES,
    "password_length": _MORE,
    "session_minutes": _LESS,
    "idle_minutes": _LESS,
    "addresses": _NARROWER,
    "key_days": _LESS,
    "invitation_hours": _LESS,
    "key_proof": _YES,
    "sso_required": _YES,
    "support_hours": _LESS,
    "requests": _SLOWER,
    "files_sealed": _YES,
    "seals": _WITHIN,
    "formats": _WITHIN,
    "residency": _WITHIN,
    "guarded": _NARROWER,
    "weakest_tls": _STRONGER,
    "quarantine_days": _LESS,
}


class Bounds:
    """What the installation has, and what tenants may have instead."""

    def __init__(self, settings: Settings) -> None:
        """Read it from the settings."""
        self.base = Effective(
            factor_required=settings.people.factor_required,
            password_length=settings.people.password_length,
            session_minutes=settings.tokens.refresh // 60,
            idle_minutes=settings.tokens.idle // 60,
            addresses=(),
            key_days=settings.keys.longest,
            invitation_hours=settings.links.invitation,
            key_proof=settings.keys.proof,
            sso_required=False,
            support_hours=settings.people.support_hours,
            requests=settings.limits.tenant,
            files_sealed=settings.files.sealed,
            seals=settings.files.seals,
            formats=settings.files.formats,
            residency=settings.files.residency,
            guarded=settings.files.guarded,
            weakest_tls=settings.tls.weakest,
            quarantine_days=settings.quarantine_days,
        )
        self._rules = settings.overrides.model_dump()

    def may(self, name: str, value: Any) -> bool:
        """Tell whether a tenant may have this value."""
        base, rule = getattr(self.base, name), self._rules[name]
        if rule == "fixed":
            return bool(value == base)
        return rule == "free" or bool(DIRECTIONS[name].fits(value, base))

    def check(self, policy: Policy) -> None:
        """Refuse a policy that goes beyond what the installation allows. Raises ``Denied``, which names the setting."""
        for name, value in _said(policy):
            if not self.may(name, value):
                base = getattr(self.base, name)
                rule = "is not for tenants to set" if self._rules[name] == "fixed" else "may only be stricter here"
                words = "" if self._rules[name] == "fixed" else f": {DIRECTIONS[name].words.format(_told(base))}"
                raise Denied(
                    f"This {rule}{words}.", where=name, hint="The installation's settings say so, under [overrides]."
                )

    def effective(self, policy: Policy) -> Effective:
        """Return what holds: the tenant's value where it may have it, else the installation's."""
        allowed = {name: value for name, value in _said(policy) if self.may(name, value)}
        if "guarded" in allowed:
            allowed["guarded"] = tuple(sorted({*self.base.guarded, *allowed["guarded"]}))
        return self.base.model_copy(update=allowed)

    def settings(self, policy: Policy) -> tuple[Setting, ...]:
        """Return each setting with where its value comes from."""
        said = {name for name, value in _said(policy) if self.may(name, value)}
        holds = self.effective(policy)
        return tuple(
            Setting(
                name=name,
                value=getattr(holds, name),
                origin="tenant" if name in said else "installation",
                installation=getattr(self.base, name),
                may=self._rules[name],
            )
            for name in DIRECTIONS
        )


def policy_of(tenant: Tenant) -> Policy:
    """Return the policy of a tenant. Raises ``Corrupt`` when what is stored is none: nothing is guessed."""
    try:
        return Policy.model_validate(dict(tenant.policy))
    except ValidationError:
        raise Corrupt("The tenant's policy cannot be read.", where=f"tenant {tenant.name}") from None


def revision(tenant: Tenant) -> str:
    """Return what tells a tenant's policy, as it is stored, from every other."""
    return digest(tenant.policy)


def _said(policy: Policy) -> list[tuple[str, Any]]:
    """Return what a tenant has set itself."""
    return [(name, value) for name in DIRECTIONS if (value := getattr(policy, name)) not in (None, ())]


def _told(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _speed(rate: str) -> float:
    count, period = read_rate(rate)
    return count / period
