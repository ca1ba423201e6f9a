"""Secrets: put, never read back."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SecretStr

from sluicegate.base import clock
from sluicegate.base.errors import Conflict, Denied, Invalid, Missing
from sluicegate.base.model import Model, Name
from sluicegate.base.permission import Permission
from sluicegate.base.secret import Secret
from sluicegate.crypto.masking import new_masking_key
from sluicegate.crypto.passphrase import new_passphrase
from sluicegate.guard.desk import Desk
from sluicegate.guard.operation import Http, Nothing, Operation
from sluicegate.guard.policy import allowed
from sluicegate.guard.vault import MASKING, RESERVED, SECRET_MAX
from sluicegate.kit import document, seals
from sluicegate.kit.connection import secrets_in
from sluicegate.kit.flow import Flow
from sluicegate.kit.reference import LENGTH, Reference
from sluicegate.kit.step import Masking
from sluicegate.operations import places


class SecretAsk(Model):
    """A secret to keep."""

    name: Name
    """Its name; definitions refer to it by this."""
    value: SecretStr = Field(min_length=1, max_length=SECRET_MAX)
    """The secret itself. It is never shown again."""


class LinkAsk(Model):
    """A secret that is kept elsewhere."""

    name: Name
    """Its name; definitions refer to it by this."""
    reference: str = Field(min_length=1, max_length=LENGTH)
    """Where it is kept: ``SOURCE:PATH#FIELD``, and ``?version=N`` before the ``#`` for one version. The source is a
    connection to a secret manager, or ``environment`` or ``file`` where the operator lets your tenant take from these.
    """


class SecretOf(Model):
    """One secret by name."""

    name: Name
    """Its name."""


class SecretOrKey(SecretOf):
    """One secret by name and sort."""

    kind: Literal["secret", "key"] = "secret"
    """``secret``, or ``key`` for a masking key: they do not share their names."""


class GenerateAsk(SecretOf):
    """What to make."""

    kind: Literal["passphrase", "key"] = "passphrase"
    """``passphrase`` for ZIP archives, or ``key`` for steps that mask."""


class Kept(Model):
    """A secret that is kept, without the secret."""

    name: str
    kind: Literal["secret", "key"] = "secret"
    """A masking key, or any other secret."""
    version: int
    fingerprint: str
    """Another one each time the secret is set; says nothing about it."""
    reference: str = ""
    """Where it is kept, when that is elsewhere; empty for what is kept here."""
    set_at: str
    set_by: str
    used_by: tuple[str, ...] = ()
    """Connections, and flows whose steps name it."""


class Generated(Model):
    """What was made and is kept. Write a passphrase down for those who open archives with it."""

    name: str
    version: int
    fingerprint: str
    passphrase: str
    """It is never shown again. Empty for a masking key, which nobody sees."""


class Tried(Model):
    """How a secret came."""

    name: str
    answer: str


class KeptAll(Model):
    """All secrets, without the secrets."""

    items: tuple[Kept, ...]


def _used_by(desk: Desk) -> dict[str, list[str]]:
    used: dict[str, list[str]] = {}
    for brief in desk.scope.definitions().list("flow"):
        body = desk.scope.definitions().get("flow", brief.name).body
        try:
            flow = document.parse_definition(body)
        except Invalid:  # an older release has written it: any word in it may be a name, which must not seem unused
            for word in _words(body):
                used.setdefault(word, []).append(brief.name)
                used.setdefault(MASKING + word, []).append(brief.name)
            continue
        if isinstance(flow, Flow):
            named = {name for name, _ in seals.secret_names(flow.steps)}
            named |= {
                MASKING + name for step in flow.steps if isinstance(step, Masking) for name, _ in step.key_names()
            }
            for name in sorted(named):
                used.setdefault(name, []).append(brief.name)
    for brief in desk.scope.definitions().list("connection"):
        for name in secrets_in(desk.scope.definitions().get("connection", brief.name).body):
            used.setdefault(name, []).append(brief.name)
    return used


def _words(value: Any) -> frozenset[str]:
    """Return all texts that stand within a body."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return frozenset({value} if isinstance(value, str) else ())
    return frozenset().union(*map(_words, value))


def set_(ask: SecretAsk, desk: Desk) -> Kept:
    """Keep a secret, for one server. The value before is gone; nobody can read it back."""
    value = ask.value.get_secret_value()
    if "\0" in value:
        raise Invalid("a secret cannot hold a NUL", where="value")
    _check_name(ask.name)
    with desk.scope.transaction():
        places.check_one_place(desk, ask.name)
        desk.services.vault.put(desk.scope, ask.name, Secret(value))
    return _kept(desk, ask.name)


def link(ask: LinkAsk, desk: Desk) -> Kept:
    """Have a secret come from elsewhere, for one server: it is fetched for each use. The value before is gone."""
    _check_name(ask.name)
    reference = Reference.parse(ask.reference)
    with desk.scope.transaction():
        places.check_one_place(desk, ask.name)
        desk.services.sources.link(desk.scope, ask.name, reference)
    return _kept(desk, ask.name)


def test(ask: SecretOf, desk: Desk) -> Tried:
    """Fetch a secret as a run would, and say whether it comes; the secret itself is not shown."""
    _check_name(ask.name)
    desk.services.sources.use(desk.scope, ask.name, purpose="secret test")
    from_ = _kept(desk, ask.name).reference
    return Tried(name=ask.name, answer=f"It comes from {from_}." if from_ else "It is kept here.")


def _kept(desk: Desk, name: str, kind: str = "secret") -> Kept:
    """Return what is kept under a name. Raises ``Missing``."""
    for each in list_(Nothing(), desk).items:
        if (each.name, each.kind) == (name, kind):
            return each
    raise Missing(f"There is no {kind} {name!r}.")


def _check_name(name: str) -> None:
    if name.startswith(RESERVED):
        raise Invalid(f"names that begin with {RESERVED!r} are the product's own", where="name")


def generate(ask: GenerateAsk, desk: Desk) -> Generated:
    """Make a passphrase of 140 bits, keep it and show it, this once; or a masking key, which is not shown."""
    if ask.kind == "key":
        return _generate_key(ask.name, desk)
    made = new_passphrase()
    kept = set_(SecretAsk(name=ask.name, value=SecretStr(made.reveal())), desk)
    return Generated(name=kept.name, version=kept.version, fingerprint=kept.fingerprint, passphrase=made.reveal())


def _generate_key(name: str, desk: Desk) -> Generated:
    scope = desk.scope
    with scope.transaction():
        scope.secrets().hold()
        if any(each.name == MASKING + name for each in scope.secrets().list()):
            raise Conflict(
                f"There is a masking key {name!r} already: what was masked under it needs it.",
                hint="Make one of another name, and put this one under old_keys of the step.",
            )
        desk.services.vault.put(scope, MASKING + name, new_masking_key())
    kept = _kept(desk, name, "key")
    return Generated(name=name, version=kept.version, fingerprint=kept.fingerprint, passphrase="")


def list_(_ask: Nothing, desk: Desk) -> KeptAll:
    """List the names of the secrets."""
    used = _used_by(desk)
    return KeptAll(
        items=tuple(
            Kept(
                name=each.name.removeprefix(MASKING),
                kind="key" if each.name.startswith(MASKING) else "secret",
                version=each.version,
                fingerprint=each.fingerprint,
                reference=each.reference,
                set_at=clock.iso(each.set_at),
                set_by=each.set_by,
                used_by=tuple(used.get(each.name, ())),
            )
            for each in desk.scope.secrets().list()
            if each.name.startswith(MASKING) or not each.name.startswith(RESERVED)
        )
    )


def delete(ask: SecretOrKey, desk: Desk) -> Nothing:
    """Delete a secret; or a masking key: what was masked under it opens no more."""
    if ask.kind == "key":
        return _delete_key(ask.name, desk)
    _check_name(ask.name)
    desk.scope.secrets().delete(ask.name)
    return Nothing()


def _delete_key(name: str, desk: Desk) -> Nothing:
    """Delete a masking key. Raises ``Missing``, ``Denied`` for who may not take masks off, ``Conflict`` when named."""
    if not allowed(desk.who, Permission.DATA_REVEAL):
        raise Denied(
            f"What was masked under it would never open again: that needs {Permission.DATA_REVEAL}.",
            where=f"key {name}",
            hint="Ask an administrator of the tenant.",
        )
    if named := _kept(desk, name, "key").used_by:
        raise Conflict(f"The key {name!r} is named by: {', '.join(named)}.", hint="Change or delete them first.")
    desk.scope.secrets().delete(MASKING + name)
    return Nothing()


OPERATIONS = (
    Operation(
        "secret.set",
        Permission.SECRET_WRITE,
        Http("PUT", "/secrets/{name}", body_max=2 * SECRET_MAX),
        SecretAsk,
        Kept,
        set_,
        audited=True,
        fresh=True,
    ),
    Operation(
        "secret.generate",
        Permission.SECRET_WRITE,
        Http("POST", "/secrets/{name}/generate"),
        GenerateAsk,
        Generated,
        generate,
        audited=True,
        fresh=True,
    ),
    Operation(
        "secret.link",
        Permission.SECRET_LINK,
        Http("PUT", "/secrets/{name}/reference"),
        LinkAsk,
        Kept,
        link,
        audited=True,
        fresh=True,
    ),
    Operation(
        "secret.test",
        Permission.DATA_READ,
        Http("POST", "/secrets/{name}/test"),
        SecretOf,
        Tried,
        test,
        audited=True,
        asks=True,
    ),
    Operation(
        "secret.list", Permission.CONNECTION_READ, Http("GET", "/secrets"), Nothing, KeptAll, list_, audited=False
    ),
    Operation(
        "secret.delete",
        Permission.SECRET_WRITE,
        Http("DELETE", "/secrets/{name}"),
        SecretOrKey,
        Nothing,
        delete,
        audited=True,
        fresh=True,
    ),
)
