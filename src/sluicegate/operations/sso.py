"""Single sign-on: its set-up by a tenant's administrators, and the way to the provider and back."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SecretStr

from sluicegate.base import clock
from sluicegate.base.errors import Conflict, Invalid
from sluicegate.base.model import Id, Line, Model
from sluicegate.base.permission import Permission, Public
from sluicegate.base.secret import Secret
from sluicegate.guard.desk import Desk
from sluicegate.guard.oidc import Back
from sluicegate.guard.operation import Http, Nothing, Operation
from sluicegate.guard.provider import Provider
from sluicegate.guard.sso import PATH
from sluicegate.guard.tenancy import policy_of
from sluicegate.operations.session import Tokens, tokens_of

_TEXT = 4096


class ProviderAsk(Provider):
    """A provider of single sign-on, and the secret that it knows this installation by."""

    secret: SecretStr | None = Field(default=None, min_length=1, max_length=_TEXT)
    """The client secret. It is never shown again. Left out, the one of before stays, unless the issuer changes."""


class ProviderShown(Provider):
    """A provider of single sign-on, without its secret."""

    has_secret: bool
    """Whether there is a client secret."""
    redirect: str
    """The redirect URI to register at the provider."""
    required: bool
    """Whether the tenant's people sign in by it alone (the policy's ``sso_required``)."""
    set_at: str
    set_by: str
    secret_cleared: bool = False
    """Whether the secret of before was cleared just now, because it was meant for another issuer."""


class BeginAsk(Model):
    """Who wants to come in."""

    tenant: Line
    """Name of the tenant."""
    port: int | None = Field(default=None, ge=1024, le=65535)
    """The port of 127.0.0.1 on which a command line waits for the answer; without it, it comes to the UI."""


class AgainAsk(Model):
    """Who wants to prove once more that it is them."""

    code: SecretStr | None = Field(default=None, max_length=64)
    """The code that your app shows now, when you have a second factor."""
    port: int | None = Field(default=None, ge=1024, le=65535)
    """The port of 127.0.0.1 on which a command line waits for the answer; without it, it comes to the UI."""


class Begun(Model):
    """The way to the provider."""

    url: str
    """Where to send the browser."""


class BackAsk(Model):
    """What came back from the provider by way of the browser."""

    at: Id
    """The last part of the address that it came back to."""
    code: SecretStr = Field(min_length=1, max_length=_TEXT)
    """``code``, as it stood in the address."""
    state: SecretStr = Field(min_length=1, max_length=256)
    """``state``, as it stood in the address."""
    iss: str | None = Field(default=None, max_length=512)
    """``iss``, if it stood in the address."""


class Finding(Model):
    """One thing that was looked at."""

    what: str
    ok: bool
    told: str


class Tested(Model):
    """What was found."""

    ok: bool
    """Whether nothing is wrong."""
    items: tuple[Finding, ...]


def show(_ask: Nothing, desk: Desk) -> ProviderShown:
    """Show how single sign-on is set up in your tenant."""
    return _shown(desk, desk.origin)


def set_(ask: ProviderAsk, desk: Desk) -> ProviderShown:
    """Set up single sign-on for your tenant; the redirect URI in the answer is to be registered at the provider."""
    if ask.secret is not None and "\0" in ask.secret.get_secret_value():
        raise Invalid("a secret cannot hold a NUL", where="secret")
    provider = Provider.model_validate(ask.model_dump(exclude={"secret"}))
    secret = Secret(ask.secret.get_secret_value()) if ask.secret is not None else None
    origin = desk.origin  # before anything is set: it may not be known
    cleared = desk.services.sso.set_up(desk.scope, provider, secret)
    return _shown(desk, origin, secret_cleared=cleared)


def remove(_ask: Nothing, desk: Desk) -> Nothing:
    """Remove single sign-on from your tenant; who came by it is signed out."""
    if policy_of(desk.services.system.tenants().get(desk.scope.tenant)).sso_required:
        raise Conflict(
            "The tenant's policy wants single sign-on: without it nobody could come in.",
            hint="Run first: sluice policy set --no-sso-required",
        )
    desk.services.sso.remove(desk.scope)
    return Nothing()


def test(_ask: Nothing, desk: Desk) -> Tested:
    """Test the provider: whether it answers, what it promises, and whether it knows this installation."""
    found = desk.services.sso.test(desk.scope, desk.origin)
    items = tuple(Finding(what=each.what, ok=each.ok, told=each.told) for each in found)
    return Tested(ok=all(each.ok for each in items), items=items)


def begin(ask: BeginAsk, desk: Desk) -> Begun:
    """Begin signing in by single sign-on: the answer says where to send the browser."""
    return Begun(url=desk.services.sso.begin(ask.tenant, desk.bound_to, desk.peer, _place(ask.port, desk)))


def finish(ask: BackAsk, desk: Desk) -> Tokens:
    """Finish signing in with what came back from the provider."""
    return tokens_of(desk.services.sso.finish(*_back(ask), desk.bound_to, desk.peer))


def prove(ask: AgainAsk, desk: Desk) -> Begun:
    """Begin to prove once more that it is you, by single sign-on."""
    code = Secret(ask.code.get_secret_value()) if ask.code is not None else None
    return Begun(url=desk.services.sso.begin_again(desk.who, code, desk.peer, _place(ask.port, desk)))


def confirm(ask: BackAsk, desk: Desk) -> Nothing:
    """Prove once more that it is you with what came back from the provider."""
    desk.services.sso.confirm(desk.who, *_back(ask), desk.peer)
    return Nothing()


def _place(port: int | None, desk: Desk) -> str:
    return f"http://127.0.0.1:{port}" if port is not None else desk.origin


def _back(ask: BackAsk) -> tuple[Secret, Back, str]:
    state, code = (Secret(each.get_secret_value()) for each in (ask.state, ask.code))
    return state, Back(code, ask.iss), ask.at


def _shown(desk: Desk, origin: str, *, secret_cleared: bool = False) -> ProviderShown:
    services, tenant = desk.services, desk.scope.tenant
    provider = services.sso.provider(tenant)
    stored = services.system.sso().provider(tenant)
    more: dict[str, Any] = {
        "has_secret": services.sso.has_secret(desk.scope),
        "redirect": origin + PATH + tenant,
        "required": bool(policy_of(services.system.tenants().get(tenant)).sso_required),
        "set_at": clock.iso(stored.set_at) if stored else "",
        "set_by": stored.set_by if stored else "",
        "secret_cleared": secret_cleared,
    }
    return ProviderShown.model_validate({**provider.model_dump(), **more})


_ABROAD: dict[str, Any] = {"audited": False, "tenant": False, "abroad": True}

OPERATIONS = (
    Operation("sso.get", Permission.USER_MANAGE, Http("GET", "/sso"), Nothing, ProviderShown, show, audited=False),
    Operation(
        "sso.set",
        Permission.USER_MANAGE,
        Http("PUT", "/sso", body_max=256 * 1024),
        ProviderAsk,
        ProviderShown,
        set_,
        audited=True,
        fresh=True,
        person=True,
    ),
    Operation(
        "sso.remove",
        Permission.USER_MANAGE,
        Http("DELETE", "/sso"),
        Nothing,
        Nothing,
        remove,
        audited=True,
        fresh=True,
        person=True,
    ),
    Operation(
        "sso.test",
        Permission.USER_MANAGE,
        Http("POST", "/sso/test"),
        Nothing,
        Tested,
        test,
        audited=True,
        abroad=True,
    ),
    Operation(
        "sso.begin",
        Public("sign-in precedes identity; it only says where the tenant's provider is"),
        Http("POST", "/sso/begin"),
        BeginAsk,
        Begun,
        begin,
        **_ABROAD,
    ),
    Operation(
        "sso.finish",
        Public("sign-in precedes identity; what the provider says of the person is the proof"),
        Http("POST", "/sso/finish"),
        BackAsk,
        Tokens,
        finish,
        **_ABROAD,
    ),
    Operation(
        "sso.prove",
        Permission.SELF,
        Http("POST", "/sso/prove"),
        AgainAsk,
        Begun,
        prove,
        audited=True,
        tenant=False,
        person=True,
        abroad=True,
    ),
    Operation(
        "sso.confirm",
        Permission.SELF,
        Http("POST", "/sso/confirm"),
        BackAsk,
        Nothing,
        confirm,
        audited=True,
        tenant=False,
        person=True,
        abroad=True,
    ),
)
