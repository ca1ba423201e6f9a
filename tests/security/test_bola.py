"""Tenant B knows every name and id of tenant A: it is told that there is no such thing, and nothing changes (SEC-Z03)."""

from __future__ import annotations

import sqlite3
import uuid

import pytest

from sluicegate.base.errors import Denied, Invalid, Missing, SluiceError
from sluicegate.base.principal import Role
from sluicegate.base.secret import Secret
from sluicegate.guard.vault import Vault
from tests.fixtures.server import Place
from tests.security.north import ATTACKS, NORTHS, SECRET


def rows(place: Place, tenant: str) -> dict[str, list[tuple[object, ...]]]:
    """Return all that the store holds for a tenant, past everything of ours."""
    found = {}
    with sqlite3.connect(place.home / "store.db") as connection:
        tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            columns = [row[1] for row in connection.execute(f"pragma table_info({table})")]
            if "tenant_id" in columns:
                asked = f"select * from {table} where tenant_id = ? order by 1, 2, 3"
                found[table] = connection.execute(asked, (tenant,)).fetchall()
            elif table == "tenants":
                found[table] = connection.execute("select * from tenants where id = ?", (tenant,)).fetchall()
    connection.close()
    return found


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
@pytest.mark.parametrize("operation", ATTACKS)
def test_what_belongs_to_another_tenant_is_missing(place, north, operation):
    ask = {key: north.get(value, value) for key, value in ATTACKS[operation].items()}
    before = rows(place, north["tenant"])
    with pytest.raises(Missing) as told:
        place.call(operation, ask, place.token(Role.ADMINISTRATOR, "south"))
    assert rows(place, north["tenant"]) == before
    absent = {**ask, "id": place.a_run("north")[:-4] + "0000"} if "id" in ask else {**ask, "name": "never-was"}
    with pytest.raises(Missing) as never:
        place.call(operation, absent, place.token(Role.ADMINISTRATOR, "south"))
    spelled = told.value.message.replace(str(ask.get("name")), "never-was")
    assert spelled == never.value.message, "another tenant's and nobody's are told apart"


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
def test_every_operation_that_names_a_thing_is_attacked():
    from sluicegate.operations import OPERATIONS

    makes = {"secret.set", "secret.generate", "secret.link", "tenant.create"}  # their name is a new one
    named = {each.name for each in OPERATIONS if {"id", "name"} & set(each.http.places)} - makes
    assert named == set(ATTACKS) | set(NORTHS)


@pytest.mark.security
@pytest.mark.req("SEC-Z02", "SEC-Z03")
@pytest.mark.parametrize("operation", NORTHS)
def test_what_is_no_tenants_business_is_denied_to_all_who_work_in_one(place, north, operation):
    tokens = [place.token(Role.ADMINISTRATOR, tenant) for tenant in ("north", "south")]  # a sign-in has rows of its own
    before = rows(place, north["tenant"])
    for token in tokens:
        with pytest.raises(Denied):
            place.call(operation, {"id": north[NORTHS[operation]["id"]]}, token)
    assert [table for table, kept in rows(place, north["tenant"]).items() if kept != before[table]] == ["audit"]


@pytest.mark.security
@pytest.mark.req("SEC-Z03", "SEC-Z05")
@pytest.mark.parametrize(
    "operation",
    [
        "flow.list",
        "connection.list",
        "recipient.list",
        "secret.list",
        "run.list",
        "user.list",
        "key.list",
        "support.list",
        "audit.list",
    ],
)
def test_no_list_shows_another_tenants_things(place, north, operation):
    only = f"{uuid.uuid4()}@only.example"  # on north's record stands what north alone may know
    with pytest.raises(SluiceError):
        place.call("session.login", {"tenant": "north", "email": only, "password": "not the password"})
    theirs = place.call(operation, {}, place.token(Role.ADMINISTRATOR, "north")).model_dump_json()
    ours = place.call(operation, {}, place.token(Role.ADMINISTRATOR, "south")).model_dump_json()
    sign = only if operation == "audit.list" else "north"  # what south asked for by name is on its own record
    assert sign in theirs
    assert sign not in ours
    assert operation == "audit.list" or north["run"] not in ours


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
def test_a_page_or_filter_of_another_tenants_run_shows_nothing(place, north):
    token = place.token(Role.ADMINISTRATOR, "south")
    later = place.a_run("north")
    for ask in ({"before": later}, {"flow": "north-flow"}, {"before": later, "flow": "north-flow"}):
        try:
            items = place.call("run.list", ask, token).items
        except SluiceError as fault:
            assert fault.code == "missing"
            continue
        assert items == ()


@pytest.mark.security
@pytest.mark.req("SEC-Z03", "SEC-Z05")
def test_the_same_name_is_another_thing_in_another_tenant(place, north):
    token, flow = place.token(Role.EDITOR, "south"), {"source": "kind: flow\nname: namesake\nsteps: []\n"}
    place.call("secret.set", {"name": "namesake", "value": SECRET}, place.token(Role.EDITOR, "north"))
    place.call("definition.apply", flow, place.token(Role.EDITOR, "north"))
    before = rows(place, north["tenant"])
    place.call("secret.set", {"name": "namesake", "value": "a south secret"}, token)
    place.call("definition.apply", flow, token)
    place.call("flow.delete", {"name": "namesake"}, token)
    assert rows(place, north["tenant"]) == before
    vault: Vault = place.app.services.vault
    assert vault.use(place.scope("north"), "namesake", purpose="a test").reveal() == SECRET
    assert vault.use(place.scope("south"), "namesake", purpose="a test").reveal() == "a south secret"
    place.call("secret.delete", {"name": "namesake"}, token)
    assert vault.use(place.scope("north"), "namesake", purpose="a test").reveal() == SECRET


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
def test_a_flow_cannot_refer_to_another_tenants_connection(place, north):
    flow = (
        "kind: flow\nname: thief\nsteps:\n- read: {name: a, connection: north-db, item: t}\n"
        "- archive: {from: a, connection: north-db, item: x, format: {type: csv}, seal: {type: age, to: [north-dpo]}}\n"
    )
    for operation in ("definition.apply", "definition.validate"):
        with pytest.raises(Invalid, match="there is no connection 'north-db'"):
            place.call(operation, {"source": flow}, place.token(Role.EDITOR, "south"))
    assert "thief" not in [each.name for each in place.scope("south").definitions().list("flow")]


@pytest.mark.security
@pytest.mark.req("SEC-Z03", "SEC-K01")
def test_no_key_is_made_for_and_none_listed_of_another_tenants_user(place, north):
    token, before = place.token(Role.ADMINISTRATOR, "south"), rows(place, north["tenant"])
    for user in (north["service"], north["user"]):
        with pytest.raises(Missing, match="no such user"):
            place.call("key.create", {"name": "thief", "user": user, "scopes": ["flow:read"]}, token)
        assert place.call("key.list", {"user": user}, token).items == ()
    assert rows(place, north["tenant"]) == before


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
def test_ids_of_another_kind_find_nothing(place, north):
    token = place.token(Role.ADMINISTRATOR, "south")
    for operation, field in (
        ("run.get", "id"),
        ("run.events", "id"),
        ("user.deactivate", "id"),
        ("user.addresses", "id"),
        ("key.revoke", "id"),
    ):
        for swapped in (north["run"], north["user"], north["tenant"], north["key"]):
            with pytest.raises(Missing):
                place.call(operation, {field: swapped}, token)


@pytest.mark.security
@pytest.mark.req("SEC-Z03", "SEC-Z10")
@pytest.mark.parametrize(
    "id_", ["1", "%", "' OR 1=1 --", "../x", "0" * 36, "01a20ae5-c678-4dd4-b306-5c38cdec57df", "\u0000"]
)
def test_what_is_no_id_is_refused_before_anything_is_looked_up(place, north, id_):
    for operation in ("run.get", "run.cancel", "user.deactivate", "key.revoke"):
        with pytest.raises(Invalid):
            place.call(operation, {"id": id_}, place.token(Role.ADMINISTRATOR, "south"))


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
def test_a_person_of_one_tenant_cannot_sign_in_to_another(place):
    who = place.people["south", Role.ADMINISTRATOR]
    with pytest.raises(SluiceError) as told:
        place.call("session.login", {"tenant": "north", "email": who.email, "password": "seven small boats at noon"})
    assert told.value.code == "unauthenticated"
    assert place.call("session.whoami", {}, place.token(who)).tenant == place.tenants["south"]


@pytest.mark.security
@pytest.mark.req("SEC-Z03", "SEC-Z06")
def test_no_question_may_name_the_tenant_to_work_in(place, north):
    token = place.token(Role.ADMINISTRATOR, "south")
    for ask in ({"tenant": north["tenant"]}, {"tenant_id": north["tenant"]}, {"tid": "north"}):
        with pytest.raises(Invalid, match="unknown key"):
            place.call("flow.list", ask, token)
    for header in ("x-tenant", "x-tenant-id", "x-forwarded-user", "x-original-url"):
        answer = place.request("GET", "/api/v1/flows/north-flow", token, headers={header: north["tenant"]})
        assert answer.status_code == 404


@pytest.mark.security
@pytest.mark.req("SEC-Z04")
def test_a_principal_of_one_tenant_cannot_open_the_scope_of_another(place, north):
    from sluicegate.base.principal import Principal

    who = Principal("x", place.tenants["south"], Role.ADMINISTRATOR)
    with pytest.raises(Denied):
        place.app.services.scope(north["tenant"], who)
    nobody = Principal("x", None, Role.ADMINISTRATOR)
    with pytest.raises(Denied):
        place.app.services.scope(north["tenant"], nobody)


def test_the_store_is_compared_whole(place, north):
    before = rows(place, north["tenant"])
    assert {"users", "secrets", "definitions", "runs", "run_events", "audit", "tenants"} <= {
        key for key, value in before.items() if value
    }
    place.app.services.vault.put(place.scope("north"), "another", Secret("x"))
    assert rows(place, north["tenant"]) != before
