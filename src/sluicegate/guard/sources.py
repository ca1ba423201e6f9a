"""Where secrets come from: the vault, or what it says of one that is kept elsewhere.

An Administrator links a name to a reference; whoever writes connections uses the name, as ever. So a name goes to one
place (``operations/places.py``), and nobody who may not link can have a secret of the manager's sent anywhere. A link
holds for the very connection that was linked: change that, and it is to be linked again.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, cast

from sluicegate.base.errors import Conflict, Failed, Internal, Invalid, Missing, SluiceError
from sluicegate.base.secret import Secret
from sluicegate.guard.cache import Cache
from sluicegate.guard.vault import SECRET_MAX, Link
from sluicegate.kit import registry
from sluicegate.kit.connection import Connection, GivesSecrets, secrets_in
from sluicegate.kit.context import Context
from sluicegate.kit.document import parse_definition
from sluicegate.kit.flow import digest
from sluicegate.kit.paths import Root
from sluicegate.kit.paths import check as check_path
from sluicegate.kit.reference import BUILT_IN, Reference

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from sluicegate.base.settings import Settings
    from sluicegate.base.sources import Source
    from sluicegate.guard.audit import Audit
    from sluicegate.guard.vault import Vault
    from sluicegate.kit.net import Net
    from sluicegate.store.scope import Scope, System

_VARIABLE = re.compile(r"[A-Z0-9][A-Z0-9_]*")
_ASIDE: Final = frozenset({"description", "residency"})
"""What of a connection may change without a word on where a reference leads."""


class Sources:
    """Gives secrets for a use, wherever they are kept."""

    def __init__(self, settings: Settings, system: System, vault: Vault, audit: Audit, net: Net) -> None:
        """Go out by ``net``, whose egress policy is that of connections."""
        self._system, self._vault, self._audit, self._net = system, vault, audit, net
        self._data: Path = settings.data
        self._granted: Mapping[str, Source] = {each.tenant: each for each in settings.sources}
        self.cache = Cache(settings.vault.cache)

    def link(self, scope: Scope, name: str, reference: Reference) -> int:
        """Have the secret ``name`` come from ``reference`` from now on; return its version.

        Nobody is asked. Raises ``Missing`` without such a source, ``Invalid`` for what it cannot have, ``Conflict``.
        """
        if reference.source in BUILT_IN:
            self._fence(scope, reference)
            return self._vault.link(scope, name, Link(reference, ""))
        body = scope.definitions().get("connection", reference.source).body
        _keeper(body).check_reference(reference)
        for brief in scope.definitions().list("connection"):
            found = scope.definitions().get("connection", brief.name).body
            if name in secrets_in(found) and _holds_secrets(str(found.get("type"))):
                raise Conflict(
                    f"The connection {brief.name!r} signs in with this secret.",
                    where=f"secret {name}",
                    hint="It comes from the vault, environment or file: a manager behind a manager would go round.",
                )
        return self._vault.link(scope, name, Link(reference, _print(body)))

    def use(self, scope: Scope, name: str, *, purpose: str) -> Secret:
        """Return the secret for a use, on record before. Raises ``Missing``, ``Corrupt``, or why it does not come."""
        found = self._vault.find(scope, name, purpose=purpose)
        if isinstance(found, Secret):
            return found
        try:
            if found.reference.source in BUILT_IN:
                return self._here(scope, found.reference)
            return self._elsewhere(scope, name, found, purpose)
        except BaseException as fault:
            code = fault.code if isinstance(fault, SluiceError) else Internal.code
            about = {"name": name, "purpose": purpose, "source": str(found.reference), "code": code}
            self._audit.event("secret.fetch", scope.who, None, "failed", about, tenant=scope.tenant)
            if isinstance(fault, SluiceError):
                raise _placed(fault, name, found.reference) from None
            raise

    # -- from a connection ---------------------------------------------------------------------------------------------

    def _elsewhere(self, scope: Scope, name: str, link: Link, purpose: str) -> Secret:
        try:
            stored = scope.definitions().get("connection", link.reference.source)
        except Missing:
            raise Failed(f"There is no connection {link.reference.source!r}.", hint="It has been deleted.") from None
        if _print(stored.body) != link.source:
            raise Failed(
                f"The connection {stored.name!r} is not what it was when this secret was linked to it.",
                hint=f"Have an administrator look at it, and link again: sluice secret link {name} {link.reference}",
            )
        keeper = _keeper(stored.body)
        keeper.check_reference(link.reference)
        versions = tuple(self._version(scope, each, keeper.name) for each in sorted(keeper.secret_names()))
        key = (scope.tenant, str(link.reference), link.source, link.version, versions)
        return self.cache.get(key, lambda: self._fetch(scope, keeper, link.reference, purpose))

    def _version(self, scope: Scope, name: str, keeper: str) -> int:
        """Return which version of a credential there is: with another, or none, what is held is not given out."""
        try:
            return scope.secrets().get(name).version
        except Missing:
            raise Failed(
                f"The connection {keeper!r} signs in with the secret {name!r}, which is not set.",
                hint=f"Set it: sluice secret set {name}",
            ) from None

    def _fetch(self, scope: Scope, keeper: Connection, reference: Reference, purpose: str) -> Secret:
        secrets = {
            each: self._credential(scope, each, f"{purpose}, connection {keeper.name}")
            for each in sorted(keeper.secret_names())
        }
        with (
            Root(self._data / scope.tenant, create=True) as files,
            keeper.open(Context(self._net, files, secrets)) as session,
        ):
            if not isinstance(session, GivesSecrets):
                raise Failed(f"The connection {keeper.name!r} gives no secrets.")
            return _sound(session.secret(reference).reveal())

    def _credential(self, scope: Scope, name: str, purpose: str) -> Secret:
        """Return what a source is signed in to with; it comes from here, so that no chain of sources goes round."""
        found = self._vault.find(scope, name, purpose=purpose)
        if isinstance(found, Secret):
            return found
        if found.reference.source not in BUILT_IN:
            raise Failed(f"The secret {name!r} signs in to a source and comes from a source itself.")
        return self._here(scope, found.reference)

    # -- from this machine ---------------------------------------------------------------------------------------------

    def _here(self, scope: Scope, reference: Reference) -> Secret:
        """Read it anew, each time: nothing of this machine is held in memory for longer than its use."""
        source = self._fence(scope, reference)
        if reference.source == "environment":
            text = os.environ.get(source.prefix + reference.path)
            if text is None:
                raise Failed(f"The server's environment has no {source.prefix}{reference.path}.")
            return _sound(text)
        folder = cast("Path", source.folder)  # the fence has looked
        with Root(folder) as root, root.open_mounted(reference.path) as file:
            raw = file.read(SECRET_MAX + 3)
        for end in (b"\r\n", b"\n"):  # one line end at its end is an editor's, not the secret's
            if raw.endswith(end):
                raw = raw.removesuffix(end)
                break
        if len(raw) > SECRET_MAX:
            raise _too_large()
        try:
            return _sound(raw.decode())
        except UnicodeDecodeError:
            raise Failed("It is not UTF-8.", hint="Connections take text.") from None

    def _fence(self, scope: Scope, reference: Reference) -> Source:
        """Return what the operator lets this tenant take. Raises ``Invalid``, the same whatever is there."""
        reference.plain()
        granted = self._granted.get(self._system.tenants().get(scope.tenant).name)
        environment = reference.source == "environment"
        if granted is None or not (granted.prefix if environment else granted.folder):
            raise Invalid(
                f"nothing comes from {reference.source} here",
                where="reference",
                hint="The operator opens it for a tenant: [[sources]] in sluice.toml.",
            )
        if environment:
            if not _VARIABLE.fullmatch(reference.path):
                raise Invalid("a variable has capital letters, digits and _", where="reference")
        else:
            check_path(reference.path)
        return granted


def _holds_secrets(type_: str) -> bool:
    """Tell by its type: a connection that an older release has written may not parse."""
    if type_ not in registry.types("connection"):
        return False  # nothing comes from it, either
    plugin: type[Connection] = registry.find("connection", type_)
    return plugin.holds == "secrets"


def _keeper(body: Mapping[str, Any]) -> Connection:
    found = parse_definition(dict(body))
    if not isinstance(found, Connection):
        raise Invalid("this is not a connection", where="reference")
    return found


def _print(body: Mapping[str, Any]) -> str:
    """Return a print of all in a connection that says where a reference leads, and with whose rights."""
    return digest({key: value for key, value in body.items() if key not in _ASIDE})


def _sound(text: str) -> Secret:
    """Return ``text`` as a secret, if it could have been set as one."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Failed("It is not UTF-8.", hint="Connections take text.") from None
    if not text:
        raise Failed("It is empty.")
    if size > SECRET_MAX:
        raise _too_large()
    if "\0" in text:
        raise Failed("It holds a NUL.", hint="Connections take text.")
    return Secret(text)


def _too_large() -> Failed:
    return Failed(f"It is larger than {SECRET_MAX} bytes.")


def _placed(fault: SluiceError, name: str, reference: Reference) -> SluiceError:
    fault.message = f"The secret {name!r} does not come from {reference.source}: {fault.message}"
    return fault.at(str(reference))
