"""Rows for tests."""

from __future__ import annotations

import os

from sluicegate.base.model import new_id
from sluicegate.base.permission import Permission
from sluicegate.base.principal import Role
from sluicegate.store.runs import Run
from sluicegate.store.scope import Scope, System


def a_run(**fields) -> Run:
    given = {
        "id": new_id(),
        "flow": "f",
        "flow_version": 1,
        "digest": "d",
        "by": "u",
        "via": "password",
        "created": 1.0,
    }
    return Run(**{**given, **fields})


def fill(scope: Scope, system: System) -> tuple[str, str]:
    """Put at least one row into every table; return the ids of the run and of the user."""
    scope.definitions().put("flow", "f", {}, "", "d")
    scope.secrets().put("s", b"w", b"c", "fp")
    scope.secrets().put_tenant_key(1, b"k")
    user = scope.people().create("a@b.c", "A", Role.EDITOR, "hash")
    scope.people().set_addresses(user.id, ("0.0.0.0/0",))
    scope.api_keys().create(  # its id is the user's: one less to be handed about
        user.id, user.id, "a-key", os.urandom(8), scopes=frozenset({Permission.SELF}), addresses=(), expires=2e9
    )
    scope.support().grant(user.id, None, "", frozenset({Permission.DATA_READ}), "a reason", expires=2e9)  # the same
    run = scope.runs().add(a_run())
    scope.runs().event(run.id, "log", {})
    scope.runs().receipt(run.id, "1", {})
    scope.quotes().put(run.id, 1, b"sealed")
    scope.runs().put_snapshot("f", "s", {})
    scope.watermarks().put("f", "s", "c", "1")
    scope.watermarks().put("f", "s", "c", "2")
    scope.ledger().append({"action": "a", "who": "w"}, link)
    system.ledger().append({"action": "a", "who": "w"}, link)
    system.grants().open(user.id, scope.tenant, os.urandom(8), "key", expires=2e9, absolute=2e9)
    system.factors().add(user.id, scope.tenant, "app", b"sealed")
    system.factors().put_codes(user.id, scope.tenant, [os.urandom(8)])
    system.sso().set_provider(scope.tenant, "oidc", {}, user.id)
    system.sso().link(scope.tenant, "https://id.example", "sub", user.id)
    system.sso().begin(os.urandom(8), scope.tenant, "key", "10.0.0.1", "", b"sealed")
    system.links().add(user, "reset", os.urandom(8), user.email, 2e9)
    system.outbox().add(new_id(), b"sealed", "reset", user.email, 2e9, scope.tenant, user.id)
    system.notices().add(user.id, scope.tenant, "device", {})
    system.tickets().add(os.urandom(8), user.id, scope.tenant, b"sealed", 2e9)
    system.marks().raise_user(user.id)
    system.blobs().put("k", b"v")
    system.workers().beat("e")
    return run.id, user.id


def link(previous: bytes, _body: dict) -> bytes:
    """Stand in for the chain where it is not what is tested."""
    return previous[-8:] + b"link"


def tables_of(place):
    with place.raw() as raw:
        asked = (
            "select name from sqlite_master where type = 'table'"
            if place.kind == "sqlite"
            else "select tablename from pg_tables where schemaname = 'public'"
        )
        return {row[0] for row in raw.execute(asked).fetchall()} - {"alembic_version"}
