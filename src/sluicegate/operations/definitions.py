"""Connections, flows and recipients: versioned documents, the same verbs for every kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from sluicegate.base import clock
from sluicegate.base.errors import Invalid, Missing
from sluicegate.base.model import Model, Name, Number
from sluicegate.base.permission import Permission
from sluicegate.guard import conduct, tls
from sluicegate.guard.desk import Desk
from sluicegate.guard.operation import Http, Nothing, Operation
from sluicegate.guard.vault import RESERVED
from sluicegate.kit import bundle, document, seals
from sluicegate.kit.connection import Connection
from sluicegate.kit.flow import Flow, digest
from sluicegate.kit.reference import Reference
from sluicegate.operations import handling, places

if TYPE_CHECKING:
    from sluicegate.guard.tenancy import Effective
    from sluicegate.store.definitions import Brief, Last


class ApplyAsk(Model):
    """Documents as text."""

    source: str = Field(max_length=document.BYTES_MAX)
    """YAML or JSON; several documents are divided by ``---``."""


class Applied(Model):
    """What became of one document."""

    kind: str
    name: str
    version: int
    changed: bool
    cleared: tuple[str, ...] = ()
    """Secrets that were cleared because the connection leads elsewhere now."""


class AppliedAll(Model):
    """What became of all documents, in their order."""

    items: tuple[Applied, ...]


class Checked(Model):
    """One document that is sound."""

    kind: str
    name: str
    digest: str


class CheckedAll(Model):
    """All documents, in their order."""

    items: tuple[Checked, ...]


class DefinitionOf(Model):
    """One definition by name."""

    name: Name
    """Its name."""
    version: Number | None = None
    """A version; the newest when absent."""


class NameOf(Model):
    """One definition by name."""

    name: Name
    """Its name."""


class LastRun(Model):
    """The newest run of a flow."""

    id: str
    state: str
    created: str


class Listed(Model):
    """One definition in a list."""

    name: str
    version: int
    digest: str
    author: str
    created: str
    last_run: LastRun | None = None


class ListedAll(Model):
    """All definitions of a kind."""

    items: tuple[Listed, ...]


class Shown(Model):
    """One definition whole. Definitions hold names of secrets, never secrets."""

    kind: str
    name: str
    version: int
    digest: str
    author: str
    created: str
    source: str
    body: dict[str, Any]


class Version(Model):
    """One version of a definition."""

    version: int
    digest: str
    author: str
    created: str


class Versions(Model):
    """All versions, newest first."""

    items: tuple[Version, ...]


def _read(source: str) -> list[document.Document]:
    found = document.read(source)
    if not found:
        raise Invalid("there is no document in it", hint="Write one: kind, name and its fields.")
    return found


def _check(desk: Desk, documents: list[document.Document], policy: Effective) -> list[frozenset[str]]:
    """Check what the documents refer to, in the call and in the store; that paths stay in the tenant's; its policy.

    Return, for each, the secrets that must be cleared because their connection leads elsewhere now.
    """
    own = bundle.finder(documents)

    def find(kind: str, name: str) -> document.Definition | None:
        if (found := own(kind, name)) is not None:
            return found
        try:
            return document.parse_definition(desk.scope.definitions().get(kind, name).body)
        except Missing:
            return None

    bundle.check(documents, find, hint="Apply it first, or put its document into the same call.")
    bundle.check_paths(documents)
    history = places.read_history(desk, documents)
    handling.require_kept(desk, documents, history)
    for each in documents:
        if isinstance(each.definition, Flow):
            _check_secrets(each.definition)
            conduct.require_reveal(each.definition, desk.who)  # or others would run, one day, what one may not
            conduct.check(each.definition, bundle.connections(find), policy)
    return places.find_moved(desk, documents, history)


def _check_secrets(flow: Flow) -> None:
    for name, step in seals.secret_names(flow.steps):
        if name.startswith(RESERVED):
            raise Invalid(f"the secret {name!r} is the product's own", where=f"step {flow.step_name(step)}, seal")


def apply(ask: ApplyAsk, desk: Desk) -> AppliedAll:
    """Save documents: all of them, or none when one is wrong."""
    documents = _read(ask.source)
    policy = desk.services.rules.fresh(desk.scope.tenant)
    for each in documents:
        if isinstance(each.definition, Connection):
            tls.admit(each.definition, policy.weakest_tls, desk.services.audit, desk.scope, "apply")
    with desk.scope.transaction():
        moved = _check(desk, documents, policy)
        stored = [
            desk.scope.definitions().put(
                each.definition.kind, each.definition.name, each.body, each.source, digest(each.body)
            )
            for each in documents
        ]
        cleared = [desk.services.vault.clear(desk.scope, names) for names in moved]
    return AppliedAll(
        items=tuple(
            Applied(
                kind=each.definition.kind, name=each.definition.name, version=version, changed=changed, cleared=gone
            )
            for each, (version, changed), gone in zip(documents, stored, cleared, strict=True)
        )
    )


def validate(ask: ApplyAsk, desk: Desk) -> CheckedAll:
    """Check documents without saving them."""
    documents = _read(ask.source)
    policy = desk.services.rules.fresh(desk.scope.tenant)
    for each in documents:
        if isinstance(each.definition, Connection):
            tls.check(each.definition, policy.weakest_tls)
    _check(desk, documents, policy)
    return CheckedAll(
        items=tuple(
            Checked(kind=each.definition.kind, name=each.definition.name, digest=digest(each.body))
            for each in documents
        )
    )


def _operations(kind: str, permission: Permission) -> tuple[Operation, ...]:
    plural = f"/{kind}s"

    def list_(_ask: Nothing, desk: Desk) -> ListedAll:
        definitions = desk.scope.definitions()
        if kind == "flow":
            return ListedAll(items=tuple(_listed(each, last) for each, last in definitions.list_flows()))
        return ListedAll(items=tuple(_listed(each) for each in definitions.list(kind)))

    def get(ask: DefinitionOf, desk: Desk) -> Shown:
        each = desk.scope.definitions().get(kind, ask.name, ask.version)
        return Shown(
            kind=kind,
            name=each.name,
            version=each.version,
            digest=each.digest,
            author=each.author,
            created=clock.iso(each.created),
            source=each.source,
            body=each.body,
        )

    def versions(ask: NameOf, desk: Desk) -> Versions:
        found = desk.scope.definitions().versions(kind, ask.name)
        return Versions(
            items=tuple(
                Version(version=each.version, digest=each.digest, author=each.author, created=clock.iso(each.created))
                for each in found
            )
        )

    def delete(ask: NameOf, desk: Desk) -> Nothing:
        with desk.scope.transaction():
            _unused(desk, kind, ask.name)
            desk.scope.definitions().delete(kind, ask.name)
        return Nothing()

    list_.__doc__ = f"List the {kind}s."
    get.__doc__ = f"Show a {kind}."
    versions.__doc__ = f"List the versions of a {kind}."
    delete.__doc__ = f"Delete a {kind}. Its versions and runs stay on record."
    return (
        Operation(f"{kind}.list", permission, Http("GET", plural), Nothing, ListedAll, list_, audited=False),
        Operation(
            f"{kind}.get", permission, Http("GET", f"{plural}/{{name}}"), DefinitionOf, Shown, get, audited=False
        ),
        Operation(
            f"{kind}.versions",
            permission,
            Http("GET", f"{plural}/{{name}}/versions"),
            NameOf,
            Versions,
            versions,
            audited=False,
        ),
        Operation(
            f"{kind}.delete",
            Permission.DEFINITION_WRITE,
            Http("DELETE", f"{plural}/{{name}}"),
            NameOf,
            Nothing,
            delete,
            audited=True,
        ),
    )


def _listed(each: Brief, last: Last | None = None) -> Listed:
    return Listed(
        name=each.name,
        version=each.version,
        digest=each.digest,
        author=each.author,
        created=clock.iso(each.created),
        last_run=LastRun(id=last.id, state=last.state, created=clock.iso(last.created)) if last else None,
    )


def _unused(desk: Desk, kind: str, name: str) -> None:
    if kind == "flow":
        return
    if kind == "connection":
        for secret in desk.scope.secrets().list():
            if secret.reference and Reference.parse(secret.reference).source == name:
                raise Invalid(
                    f"the secret {secret.name!r} comes from it",
                    where=f"{kind} {name}",
                    hint="Set, link or delete the secret first.",
                )
    for stored in desk.scope.definitions().current("flow", naming=name):
        flow = document.parse_definition(stored.body)
        if not isinstance(flow, Flow):
            continue
        used = document.names_used([document.Document(flow, stored.body, "", "")])
        if any((kind, name) == (each, called) for each, called, _ in used):
            raise Invalid(
                f"the flow {stored.name!r} uses it", where=f"{kind} {name}", hint="Change or delete the flow first."
            )


OPERATIONS = (
    Operation(
        "definition.apply",
        Permission.DEFINITION_WRITE,
        Http("POST", "/definitions", body_max=2 * document.BYTES_MAX),
        ApplyAsk,
        AppliedAll,
        apply,
        audited=True,
    ),
    Operation(
        "definition.validate",
        Permission.DEFINITION_WRITE,
        Http("POST", "/definitions/validate", body_max=2 * document.BYTES_MAX),
        ApplyAsk,
        CheckedAll,
        validate,
        audited=False,
    ),
    *_operations("flow", Permission.FLOW_READ),
    *_operations("connection", Permission.CONNECTION_READ),
    *_operations("recipient", Permission.CONNECTION_READ),
)
