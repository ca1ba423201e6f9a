"""The walls between tenants, and what belongs to none."""

from __future__ import annotations

import contextlib
import inspect
import re
import threading

import pytest
from sqlalchemy import event

from sluicegate.base.errors import Conflict, Denied, Missing
from sluicegate.base.model import new_id
from sluicegate.base.permission import Permission
from sluicegate.base.principal import Principal, Role, Via
from sluicegate.store.apikeys import ApiKeys
from sluicegate.store.people import People
from sluicegate.store.quotes import Quotes
from sluicegate.store.runs import State
from sluicegate.store.scope import Scope, System, TenantState
from sluicegate.store.support import Support
from sluicegate.store.tables import metadata
from tests.store.attacks import ATTACKS, CASES, FIRST, NAMED, OPEN, RUN, USER
from tests.store.conftest import principal
from tests.store.rows import a_run, fill, link

# --- a scope needs a tenant and a principal who works there


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
def test_there_is_no_scope_without_tenant_and_principal(database):
    who = principal("t")
    for arguments in (
        (),
        (database,),
        (database, "t"),
        (database, None, who),
        (database, "t", None),
        (database, "t", "t"),
    ):
        with pytest.raises(TypeError):
            Scope(*arguments)


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("via", Via)
def test_only_superadmin_and_system_work_elsewhere(database, role, via):
    assert Scope(database, "t", Principal("u", "t", role, via)).tenant == "t"
    for home in ("other", None):
        who = Principal("u", home, role, via)
        if role is Role.SUPERADMIN or via is Via.SYSTEM:
            assert Scope(database, "t", who).who is who
        else:
            with pytest.raises(Denied):
                Scope(database, "t", who)


@pytest.mark.security
def test_the_systems_ledger_is_nobodys_tenant(database):
    with pytest.raises(Denied):
        Scope(database, "", Principal("u", None, Role.SUPERADMIN))
    with pytest.raises(Denied):
        Scope(database, "", Principal("u", "", Role.ADMINISTRATOR))


@pytest.mark.security
def test_a_scope_cannot_be_moved_to_another_tenant_by_a_call(ours):
    assert not [name for name, _ in inspect.getmembers(Scope, inspect.isfunction) if "tenant" in name or "set" in name]


# --- every method of every repository, tried on another tenant's rows


def call(scope, kind, name, arguments, run, user):
    """Call one method, with the ids of a run and a user filled in."""
    asked = [a_run(id=run) if a is RUN and name == "add" else run if a is RUN else user if a is USER else a
             for a in arguments]  # fmt: skip
    options = {"plan": {"mine": 1}} if name == "amend" else {}
    if (kind, name) == (ApiKeys, "create"):
        options = {"scopes": frozenset({Permission.SELF}), "addresses": (), "expires": 2e9}
    if (kind, name) == (Support, "grant"):
        asked, options = [new_id(), *asked[1:]], {"expires": 2e9}
    outcome = getattr(getattr(scope, OPEN[kind])(), name)(*asked, **options)
    return list(outcome) if name == "all" else outcome


def public(kind):
    return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
def test_every_method_of_every_repository_is_attacked(ours):
    assert {kind: set(table) for kind, table in ATTACKS.items()} == {kind: public(kind) for kind in ATTACKS}
    opened = {type(getattr(ours, name)()) for name in public(Scope) - {"reading", "writing", "transaction"}}
    assert opened == set(ATTACKS)


def everything_of(place, tenant):
    """Return every row of a tenant, as it lies in the database."""
    with place.raw() as raw:
        found = {}
        for table in metadata.tables.values():
            column = "tenant_id" if "tenant_id" in table.c else "id" if table.name == "tenants" else None
            if column:
                found[table.name] = sorted(
                    raw.execute(f"select * from {table.name} where {column} = '{tenant}'").fetchall()
                )
        return found


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
def test_another_tenants_rows_are_neither_seen_nor_touched(place, ours, theirs, system):
    run, user = fill(ours, system)
    before = everything_of(place, ours.tenant)
    for table in metadata.sorted_tables:
        if "tenant_id" in table.c:
            assert before[table.name], table.name
    for kind, name, arguments in CASES:
        if (kind, name) in {(ApiKeys, "list"), (Quotes, "events"), (Quotes, "errors")}:
            assert call(theirs, kind, name, arguments, run, user) == []
        elif RUN in arguments or USER in arguments or (kind, name) in NAMED:
            # A taken id is the one thing told: ids are not guessable, and we give them out ourselves.
            with pytest.raises(Conflict if name == "add" else Missing):
                call(theirs, kind, name, arguments, run, user)
        elif (kind, name) in {
            (People, "create"), (People, "create_service"), (People, "invite"), (Support, "grant"),
        }:  # fmt: skip
            assert call(theirs, kind, name, arguments, run, user).tenant == theirs.tenant
        else:
            found = call(theirs, kind, name, arguments, run, user)
            assert (list(found) if name == "history" else found) == FIRST[kind, name], (kind, name)
        assert everything_of(place, ours.tenant) == before, name


@pytest.mark.security
@pytest.mark.req("SEC-Z05")
def test_two_tenants_use_the_same_names(ours, theirs):
    for scope in (ours, theirs):
        scope.definitions().put("flow", "f", {"of": scope.tenant}, "", scope.tenant)
        scope.secrets().put("s", b"w", scope.tenant.encode(), "fp")
        scope.secrets().put_tenant_key(1, scope.tenant.encode())
        scope.runs().put_snapshot("f", "s", {"of": scope.tenant})
        scope.ledger().append({"action": "a", "who": scope.tenant}, link)
        scope.people().create("a@b.c", scope.tenant, Role.EDITOR, "h")
    for scope in (ours, theirs):
        assert scope.definitions().get("flow", "f").body == {"of": scope.tenant}
        assert [brief.digest for brief in scope.definitions().list()] == [scope.tenant]
        assert scope.secrets().get("s").ciphertext == scope.secrets().tenant_keys()[0].wrapped == scope.tenant.encode()
        assert scope.runs().snapshot("f") == {"s": {"of": scope.tenant}}
        assert [body["who"] for _, body, _ in scope.ledger().all()] == [scope.tenant]
        assert [user.name for user in scope.people().list()] == [scope.tenant]


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
@pytest.mark.parametrize(
    "place", ["sqlite"], indirect=True
)  # no row-level security behind it: the statement is the wall
def test_every_statement_of_a_scope_names_its_tenant(database, ours, theirs, system):
    run, user = fill(ours, system)
    said = []

    def hear(_connection, _cursor, statement, parameters, _context, many):
        said.append((statement, parameters if many else [parameters]))

    for engine in (database._backend.reader, database._backend.writer):
        event.listen(engine, "before_cursor_execute", hear)
    for kind, name, arguments in CASES:
        with contextlib.suppress(Missing, Conflict):  # the statement was said, and that is what counts here
            call(ours, kind, name, arguments, new_id() if name == "add" else run, user)
    tables = "|".join(table.name for table in metadata.sorted_tables if "tenant_id" in table.c)
    heard = [(sql, rows) for sql, rows in said if re.search(rf"\b(FROM|INTO|UPDATE|JOIN) ({tables})\b", sql)]
    assert len(heard) > 60
    for sql, rows in heard:
        assert "tenant_id" in sql, sql
        for row in rows:
            assert ours.tenant in tuple(row), sql


# --- transactions over scopes


def test_a_transaction_spans_repositories_and_scopes(ours, theirs, system):
    with ours.transaction():
        run = ours.runs().add(a_run())
        theirs.definitions().put("flow", "f", {}, "", "d")
        system.blobs().put("k", b"v")
        assert ours.runs().get(run.id) == run
        with pytest.raises(Missing):
            theirs.runs().get(run.id)
        assert ours.definitions().list() == []
    assert (len(theirs.definitions().list()), system.blobs().get("k")) == (1, b"v")
    with pytest.raises(RuntimeError), system.transaction():
        ours.runs().add(a_run())
        system.blobs().put("k", b"w")
        raise RuntimeError
    assert (len(ours.runs().list()), system.blobs().get("k")) == (1, b"v")


def test_a_transaction_goes_on_after_a_call_that_failed(ours):
    with ours.transaction():
        run = ours.runs().add(a_run())
        with pytest.raises(Conflict):
            ours.runs().add(run)
        with pytest.raises(Missing):
            ours.runs().event(new_id(), "log", {})
        ours.runs().event(run.id, "log", {})
    assert len(ours.runs().events(run.id)) == 1


@pytest.mark.security
def test_a_scope_of_a_tenant_that_is_not_there_writes_nothing(database, place):
    ghost = Scope(database, new_id(), Principal("u", None, Role.SUPERADMIN))
    for write in (
        lambda: ghost.definitions().put("flow", "f", {}, "", "d"),
        lambda: ghost.secrets().put("s", b"", b"", ""),
        lambda: ghost.runs().add(a_run()),
        lambda: ghost.people().create("a@b.c", "A", Role.EDITOR, "h"),
    ):
        with pytest.raises(Conflict):
            write()
    assert not any(everything_of(place, ghost.tenant).values())


# --- the system


def test_tenants(system, clock):
    made = system.tenants().create("acme")
    assert (made.name, made.state, made.epoch, made.created) == ("acme", TenantState.ACTIVE, 0, clock.now)
    other = system.tenants().create("beta")
    assert system.tenants().list() == [made, other]
    assert system.tenants().get(made.id) == system.tenants().named("acme") == made
    with pytest.raises(Conflict, match="acme"):
        system.tenants().create("acme")
    for ask in (
        lambda: system.tenants().get("acme"),
        lambda: system.tenants().named("gamma"),
        lambda: system.tenants().set_state(new_id(), TenantState.SUSPENDED),
    ):
        with pytest.raises(Missing):
            ask()


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_suspending_a_tenant_makes_its_tokens_void(system, ours):
    system.tenants().set_state(ours.tenant, TenantState.SUSPENDED)
    found = system.tenants().get(ours.tenant)
    assert (found.state, found.epoch) == (TenantState.SUSPENDED, 1)
    assert [(mark.kind, mark.subject, mark.value) for mark in system.marks().since(0)] == [("tenant", ours.tenant, 1)]


def test_blobs(system):
    blobs = system.blobs()
    assert blobs.get("k") is None
    assert blobs.put_if_absent("k", b"1") is True
    assert blobs.put_if_absent("k", b"2") is False
    assert blobs.get("k") == b"1"
    blobs.put("k", b"3")
    assert blobs.get("k") == b"3"


@pytest.mark.security
@pytest.mark.req("SEC-A16")
def test_a_one_time_code_is_taken_once_and_not_by_a_wrong_guess(system):
    blobs, taken, gate = system.blobs(), [], threading.Barrier(12)
    blobs.put("bootstrap", b"digest")
    assert blobs.take("bootstrap", b"wrong") is None

    def take():
        gate.wait()
        taken.append(blobs.take("bootstrap", b"digest"))

    threads = [threading.Thread(target=take) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken, key=bool) == [None] * 11 + [b"digest"]
    assert blobs.take("bootstrap") is None


def test_a_silent_worker_leaves_its_runs(system, ours, theirs, clock):
    workers = system.workers()
    workers.beat("e1")
    mine = [ours.runs().add(a_run(executor="e1")).id, theirs.runs().add(a_run(executor="e1")).id]
    done = ours.runs().add(a_run(executor="e1")).id
    ours.runs().advance(done, State.CANCELLED)
    ours.runs().add(a_run(executor="e2"))
    clock.now += 10
    workers.beat("e2")
    workers.beat("e2")
    assert workers.list() == [("e1", clock.now - 10), ("e2", clock.now)]
    assert workers.left("e1") == sorted(zip((ours.tenant, theirs.tenant), mine, strict=True), key=lambda pair: pair[1])
    assert workers.forget("e2", silent_since=clock.now - 5) is False
    assert [workers.forget("e1", silent_since=clock.now - 5) for _ in range(2)] == [True, False]
    assert workers.home(mine[1]) == (theirs.tenant, "u")
    with pytest.raises(Missing):
        workers.home(new_id())


def test_the_systems_ledger_is_its_own(system, ours):
    system.ledger().append({"action": "start"}, link)
    ours.ledger().append({"action": "x"}, link)
    assert [body["action"] for _, body, _ in System(ours.database).ledger().all()] == ["start"]
    assert [entry.body["action"] for entry in ours.ledger().list()] == ["x"]
