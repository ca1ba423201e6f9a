"""API keys, and the users that have nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, SecretStr

from sluicegate.base import clock
from sluicegate.base.errors import Denied, Invalid, Missing
from sluicegate.base.model import Id, Model, Name
from sluicegate.base.networks import Network
from sluicegate.base.permission import Permission, Public
from sluicegate.base.principal import Role
from sluicegate.base.secret import Secret
from sluicegate.guard import policy
from sluicegate.guard.desk import Desk
from sluicegate.guard.operation import Http, Nothing, Operation

if TYPE_CHECKING:
    from sluicegate.store.apikeys import ApiKey
    from sluicegate.store.people import User

_TEXT = 4096


class ServiceAsk(Model):
    """A new service user."""

    name: Name
    """Name of the program."""
    role: Role
    """One of the roles below your own."""


class Service(Model):
    """A service user: it has no password and no sign-in, only API keys."""

    id: str
    name: str
    role: str


class KeyAsk(Model):
    """A new API key."""

    name: Name
    """What the key is for."""
    user: Id | None = None
    """Id of the service user it is for; yourself when left out."""
    scopes: tuple[Permission, ...] = Field(min_length=1, max_length=len(Permission))
    """What the key may do, of what its user may."""
    days: int | None = Field(default=None, ge=1, le=3650)
    """Days that it lives; the installation's usual time when left out."""
    addresses: tuple[Network, ...] = Field(default=(), max_length=100)
    """Networks it may be used from; anywhere when empty."""


class KeyMade(Model):
    """A key has been made. It is shown this once."""

    id: str
    """Id of the key, and the ``client_id`` for OAuth."""
    name: str
    key: str
    """The key itself, and the ``client_secret`` for OAuth."""
    scopes: tuple[str, ...]
    addresses: tuple[str, ...]
    expires: str


class KeysAsk(Model):
    """Whose keys."""

    user: Id | None = None
    """Only keys of this user."""


class Key(Model):
    """One key, without anything secret."""

    id: str
    name: str
    user: str
    owner: str
    """Address or name of the user."""
    state: str
    """``active``, ``expired``, or why it has ended."""
    scopes: tuple[str, ...]
    addresses: tuple[str, ...]
    created: str
    expires: str
    last_used: str | None
    last_address: str
    uses: int


class Keys(Model):
    """Keys, the newest first."""

    items: tuple[Key, ...]


class KeyOf(Model):
    """One key."""

    id: Id
    """Id of the key."""


class ExchangeAsk(Model):
    """A key to exchange."""

    key: SecretStr = Field(max_length=_TEXT)
    """The API key."""
    client: str | None = Field(default=None, max_length=64)
    """Id of the key, when the caller has it (OAuth's ``client_id``): the two must belong together."""


class KeyToken(Model):
    """What a key is exchanged for. There is no refresh token: exchange the key again."""

    access: str
    """Access token (JWT), for the Authorization header."""
    expires_in: int
    """Seconds it is good for."""
    token_type: str
    """``DPoP`` when it is bound to the key that a proof came with, else ``Bearer``."""
    scopes: tuple[str, ...]
    """What it may be used for."""


class LeakedAsk(Model):
    """A key that was found where it should not be."""

    key: SecretStr = Field(max_length=_TEXT)
    """The API key."""


def create_service(ask: ServiceAsk, desk: Desk) -> Service:
    """Create a service user: a program with a role below yours, and nothing but API keys."""
    if policy.RANK[ask.role] >= policy.RANK[desk.who.role]:
        raise Denied("A service user has a role below that of its maker.", where="role")
    made = desk.scope.people().create_service(ask.name, ask.role)
    return Service(id=made.id, name=made.name, role=made.role.value)


def create_key(ask: KeyAsk, desk: Desk) -> KeyMade:
    """Create an API key for yourself or for a service user, shown once."""
    owner = _owner(ask.user, desk)
    addresses = tuple(dict.fromkeys(ask.addresses))
    shown, made = desk.services.keys.create(desk.scope, owner, ask.name, frozenset(ask.scopes), ask.days, addresses)
    return KeyMade(
        id=made.id,
        name=made.name,
        key=shown.reveal(),
        scopes=tuple(sorted(made.scopes)),
        addresses=made.addresses,
        expires=clock.iso(made.expires),
    )


def _owner(user: str | None, desk: Desk) -> User:
    from sluicegate.store.people import UserKind, UserState

    who = desk.who
    if who.role is Role.SUPERADMIN and user in (None, who.id):
        raise Invalid("a SuperAdmin has no keys of their own", where="user", hint="Make one for a service user.")
    if user in (None, who.id):
        return desk.scope.people().get(who.id)
    if not policy.allowed(who, Permission.USER_MANAGE):
        raise Denied("Only administrators make keys for others.", where="user")
    found = desk.scope.people().get(str(user))
    if found.kind is not UserKind.SERVICE:
        raise Denied("A person makes their own keys.", where="user")
    if found.state is not UserState.ACTIVE:
        raise Invalid("this user is not active", where="user")
    return found


def list_keys(ask: KeysAsk, desk: Desk) -> Keys:
    """List your API keys; for an administrator, those of all users of the tenant."""
    who = desk.who
    all_ = policy.allowed(who, Permission.USER_MANAGE)
    found = desk.scope.api_keys().list(ask.user if all_ else who.id)
    if not all_ and ask.user not in (None, who.id):
        found = []
    names = {each.id: each.email for each in desk.scope.people().list()}
    return Keys(items=tuple(_shown(each, names.get(each.user, ""), desk) for each in found))


def _shown(key: ApiKey, owner: str, desk: Desk) -> Key:
    return Key(
        id=key.id,
        name=key.name,
        user=key.user,
        owner=owner,
        state=desk.services.keys.state(key),
        scopes=tuple(sorted(key.scopes)),
        addresses=key.addresses,
        created=clock.iso(key.created),
        expires=clock.iso(key.expires),
        last_used=clock.iso(key.last_used) if key.last_used is not None else None,
        last_address=key.last_address,
        uses=key.uses,
    )


def revoke_key(ask: KeyOf, desk: Desk) -> Nothing:
    """Revoke an API key of yours; for an administrator, of any user of the tenant. Its tokens end at once."""
    key = desk.scope.api_keys().get(ask.id)
    if key.user != desk.who.id and not policy.allowed(desk.who, Permission.USER_MANAGE):
        raise Missing("There is no such key.")
    desk.scope.api_keys().end(ask.id, "revoked")
    return Nothing()


def report_leaked(ask: LeakedAsk, desk: Desk) -> Nothing:
    """Revoke a key that was found where it should not be. The answer is the same for every text."""
    desk.services.keys.leaked(Secret(ask.key.get_secret_value()), desk.peer)
    return Nothing()


def exchange(ask: ExchangeAsk, desk: Desk) -> KeyToken:
    """Exchange an API key for a short-lived access token, bound to the client's key when a proof comes along."""
    given = Secret(ask.key.get_secret_value())
    made = desk.services.keys.exchange(given, ask.client, desk.peer, desk.key)
    return KeyToken(
        access=made.access.reveal(),
        expires_in=made.expires_in,
        token_type="DPoP" if made.bound else "Bearer",
        scopes=tuple(sorted(made.scopes)),
    )


OPERATIONS = (
    Operation(
        "session.key",
        Public("a program has no other token; the API key is the proof"),
        Http("POST", "/session/key"),
        ExchangeAsk,
        KeyToken,
        exchange,
        audited=False,
        tenant=False,
    ),
    Operation(
        "service.create",
        Permission.USER_MANAGE,
        Http("POST", "/services", 201),
        ServiceAsk,
        Service,
        create_service,
        audited=True,
        person=True,
        fresh=True,
    ),
    Operation(
        "key.create",
        Permission.SELF,
        Http("POST", "/keys", 201),
        KeyAsk,
        KeyMade,
        create_key,
        audited=True,
        person=True,
        fresh=True,
    ),
    Operation("key.list", Permission.SELF, Http("GET", "/keys"), KeysAsk, Keys, list_keys, audited=False),
    Operation("key.revoke", Permission.SELF, Http("DELETE", "/keys/{id}"), KeyOf, Nothing, revoke_key, audited=True),
    Operation(
        "key.leaked",
        Public("whoever finds a key must be able to end it; the key is the proof"),
        Http("POST", "/keys/leaked"),
        LeakedAsk,
        Nothing,
        report_leaked,
        audited=False,
        tenant=False,
    ),
)
