"""Sign in and out."""

from __future__ import annotations

from pydantic import Field, SecretStr

from sluicegate.base.errors import Invalid
from sluicegate.base.model import DisplayName, Email, Line, Model, Name
from sluicegate.base.permission import Permission, Public
from sluicegate.base.secret import Secret
from sluicegate.guard import policy
from sluicegate.guard.desk import Desk
from sluicegate.guard.grants import Grant
from sluicegate.guard.operation import Http, Nothing, Operation

_TEXT = 4096


class LoginAsk(Model):
    """Who, and the proof."""

    tenant: Line | None = None
    """Name of the tenant; a SuperAdmin may leave it out, or name the tenant to work in."""
    email: Line
    """E-mail address."""
    password: SecretStr = Field(max_length=_TEXT)
    """Password."""


class BootstrapAsk(Model):
    """The first administrator."""

    code: SecretStr = Field(max_length=_TEXT)
    """The one-time code that the first start of the server prints."""
    email: Email
    """E-mail address."""
    name: DisplayName
    """Full name."""
    password: SecretStr = Field(max_length=_TEXT)
    """A password of 15 characters or more."""


class RefreshAsk(Model):
    """A refresh token."""

    refresh: SecretStr = Field(max_length=_TEXT)
    """The refresh token."""


class PasswordAsk(Model):
    """Old and new."""

    old: SecretStr = Field(max_length=_TEXT)
    """The password until now."""
    new: SecretStr = Field(max_length=_TEXT)
    """A password of 15 characters or more; 12 when you have a second factor."""


class Tokens(Model):
    """What a sign-in gives. Keep both in memory."""

    access: str
    """Access token (JWT), for the Authorization header."""
    expires_in: int
    """Seconds it is good for."""
    refresh: str
    """Refresh token: good once."""
    must_change: bool = False
    """True when a password must be chosen before anything else."""
    standing: str = "signed in"
    """How far you have come: ``signed in``; ``password`` must be chosen; a second ``factor`` is owed; ``enrol`` one."""


class FactorAsk(Model):
    """The second factor."""

    code: SecretStr = Field(max_length=64)
    """The code that your app shows now, or a recovery code."""


class ProveAsk(Model):
    """Who you are, once more."""

    password: SecretStr = Field(max_length=_TEXT)
    """Your password."""
    code: SecretStr | None = Field(default=None, max_length=64)
    """The code that your app shows now, when you have a second factor."""


class SwitchAsk(Model):
    """Where to work."""

    tenant: Name | None = None
    """Name of the tenant; none when left out."""


class Switched(Model):
    """A token for the tenant. The refresh token stays, and gives tokens for it from now on."""

    access: str
    """Access token (JWT), for the Authorization header."""
    expires_in: int
    """Seconds it is good for."""
    tenant: str | None
    """Where it works."""


class Whoami(Model):
    """Who you are."""

    id: str
    email: str
    name: str
    role: str
    tenant: str | None
    tenant_name: str | None
    permissions: tuple[str, ...]
    support: str | None = None
    """Id of the support access that a SuperAdmin has in the tenant."""


def tokens_of(grant: Grant) -> Tokens:
    """Return what a sign-in gives, as it is answered."""
    return Tokens(
        access=grant.access.reveal(),
        expires_in=grant.expires_in,
        refresh=grant.refresh.reveal(),
        must_change=grant.standing == "password",
        standing=grant.standing,
    )


def _secret(value: SecretStr) -> Secret:
    return Secret(value.get_secret_value())


def login(ask: LoginAsk, desk: Desk) -> Tokens:
    """Sign in with a password."""
    return tokens_of(
        desk.services.login.sign_in(ask.tenant, ask.email, _secret(ask.password), desk.peer, desk.bound_to)
    )


def bootstrap(ask: BootstrapAsk, desk: Desk) -> Tokens:
    """Make the first SuperAdmin with the one-time code."""
    made = desk.services.login.bootstrap(
        _secret(ask.code), ask.email, ask.name, _secret(ask.password), desk.peer, desk.bound_to
    )
    return tokens_of(made)


def refresh(ask: RefreshAsk, desk: Desk) -> Tokens:
    """Trade a refresh token for new tokens."""
    return tokens_of(desk.services.login.grants.refresh(_secret(ask.refresh), desk.peer, desk.bound_to))


def factor(ask: FactorAsk, desk: Desk) -> Tokens:
    """Finish signing in with your second factor."""
    return tokens_of(desk.services.login.give_factor(desk.who, _secret(ask.code), desk.peer))


def prove(ask: ProveAsk, desk: Desk) -> Nothing:
    """Prove once more that it is you, before something dangerous."""
    code = _secret(ask.code) if ask.code is not None else None
    desk.services.login.prove_again(desk.who, _secret(ask.password), code, desk.peer)
    return Nothing()


def logout(ask: RefreshAsk, desk: Desk) -> Nothing:
    """Sign out: end this sign-in, and the refresh token with all its kin."""
    desk.services.login.grants.sign_out(_secret(ask.refresh), desk.who)
    return Nothing()


def change_password(ask: PasswordAsk, desk: Desk) -> Nothing:
    """Choose a new password for yourself."""
    if not ask.new.get_secret_value():
        raise Invalid("is required", where="new")
    desk.services.login.change_password(desk.who, _secret(ask.old), _secret(ask.new), desk.peer)
    return Nothing()


def whoami(_ask: Nothing, desk: Desk) -> Whoami:
    """Say who you are and what you may do."""
    who = desk.who
    user = desk.services.system.accounts().get(who.id)
    tenant = desk.services.system.tenants().get(who.tenant) if who.tenant else None
    return Whoami(
        id=user.id,
        email=user.email,
        name=user.name,
        role=who.role.value,
        tenant=who.tenant,
        tenant_name=tenant.name if tenant else None,
        permissions=policy.permissions(who),
        support=who.support or None,
    )


def switch(ask: SwitchAsk, desk: Desk) -> Switched:
    """Work in another tenant, or in none; for SuperAdmins."""
    access, expires_in = desk.services.switch.to(desk.who, ask.tenant, desk.peer)
    return Switched(access=access.reveal(), expires_in=expires_in, tenant=ask.tenant)


OPERATIONS = (
    Operation(
        "session.login",
        Public("sign-in precedes identity; the password is the proof"),
        Http("POST", "/session/login"),
        LoginAsk,
        Tokens,
        login,
        audited=False,
        tenant=False,
        hashes=True,
    ),
    Operation(
        "session.bootstrap",
        Public("there is no user yet; the one-time code is the proof"),
        Http("POST", "/session/bootstrap"),
        BootstrapAsk,
        Tokens,
        bootstrap,
        audited=False,
        tenant=False,
        hashes=True,
    ),
    Operation(
        "session.refresh",
        Public("the access token may be over; the refresh token is the proof"),
        Http("POST", "/session/refresh"),
        RefreshAsk,
        Tokens,
        refresh,
        audited=False,
        tenant=False,
    ),
    Operation(
        "session.factor",
        Permission.SELF,
        Http("POST", "/session/factor"),
        FactorAsk,
        Tokens,
        factor,
        audited=True,
        tenant=False,
        tokens=frozenset({"factor"}),
    ),
    Operation(
        "session.prove",
        Permission.SELF,
        Http("POST", "/session/prove"),
        ProveAsk,
        Nothing,
        prove,
        audited=True,
        tenant=False,
        person=True,
        hashes=True,
    ),
    Operation(
        "session.logout",
        Permission.SELF,
        Http("POST", "/session/logout"),
        RefreshAsk,
        Nothing,
        logout,
        audited=True,
        tenant=False,
        tokens=frozenset({"signed in", "password", "enrol"}),
        person=True,
    ),
    Operation(
        "session.password",
        Permission.SELF,
        Http("POST", "/session/password"),
        PasswordAsk,
        Nothing,
        change_password,
        audited=True,
        tenant=False,
        tokens=frozenset({"signed in", "password"}),
        person=True,
        hashes=True,
    ),
    Operation(
        "session.whoami",
        Permission.SELF,
        Http("GET", "/session/whoami"),
        Nothing,
        Whoami,
        whoami,
        audited=False,
        tenant=False,
    ),
    Operation(
        "session.switch",
        Permission.TENANT_MANAGE,
        Http("POST", "/session/switch"),
        SwitchAsk,
        Switched,
        switch,
        audited=False,
        tenant=False,
        person=True,
    ),
)
