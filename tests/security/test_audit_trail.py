"""Every audited operation leaves exactly its two records; a record that cannot be written stops the call (SEC-L02)."""

from __future__ import annotations

import sqlite3

import pytest

from sluicegate.app import build
from sluicegate.base.errors import Corrupt, Denied, SluiceError, Unauthenticated, Unavailable
from sluicegate.base.permission import Public
from sluicegate.base.principal import Role
from sluicegate.operations import OPERATIONS
from sluicegate.store.ledger import Ledger
from tests.fixtures.server import PASSWORD
from tests.security.asks import FLOW, ask_for

AUDITED = [each for each in OPERATIONS if each.audited]
PLAIN = [each for each in OPERATIONS if not each.audited and not isinstance(each.permission, Public)]
UNAUDITED_CHANGES = {
    "seal.open": "an open server looks at nothing; a sealed one remembers each try and writes it down once it is open",
    "definition.validate": "checks and saves nothing",
    "session.login": "writes its own record, ok or denied, once it is known who it is",
    "session.bootstrap": "the same",
    "session.key": "writes its own record, ok or denied, once it is known whose key it is",
    "session.switch": "writes its own records: with the installation, and in the tenants that it is about",
    "key.leaked": "writes its own record where the key belongs, when it ends one",
    "sso.begin": "only says where to go; that a provider does not answer is on record",
    "sso.finish": "writes its own record, ok or denied and why, once it is known whose answer it is",
    "invitation.accept": "writes its own record where the person belongs, once it is known who it is",
    "password.reset": "the same",
    "profile.confirm": "the same",
    "password.forgot": "writes its own record, ok or unknown, when it is looked who it is: in the background",
    "session.refresh": "reuse is on record; a plain refresh is in the access log",
}
FIELDS = {"at", "action", "result", "who", "role", "via", "support", "address", "client", "request", "about", "seq"}


@pytest.mark.security
@pytest.mark.req("SEC-L02")
def test_whatever_changes_something_or_shows_data_is_audited():
    for each in OPERATIONS:
        if each.http.method != "GET" or each.permission == "data:read":
            assert each.audited != (each.name in UNAUDITED_CHANGES), each.name


@pytest.mark.security
@pytest.mark.req("SEC-L02")
@pytest.mark.parametrize("operation", AUDITED, ids=lambda each: each.name)
def test_each_call_is_asked_and_ended_once(place, operation):
    who = place.people["north", Role.SUPERADMIN if operation.permission == "tenant:manage" else Role.ADMINISTRATOR]
    tenant, other = (None, "north") if operation.permission == "tenant:manage" else ("north", None)
    token, before, beside = place.token_for(operation.name, who), place.head(tenant), place.head(other)
    try:
        place.call(operation, ask_for(operation.name), token, peer="10.99.0.1")
        ended = "ok"
    except SluiceError as fault:
        ended = fault.code
    found = [each for each in place.records(tenant, after=before) if each["action"] != "seal.retire"]  # a certificate
    assert [(each["action"], each["result"]) for each in found] == [(operation.name, "asked"), (operation.name, ended)]
    for each in found:
        assert set(each) <= FIELDS
        assert (each["who"], each["role"], each["via"]) == (who.id, who.role.value, "password")
        assert (each["address"], each["client"], each["request"]) == ("10.99.0.1", "a test", "request-1")
        assert each["at"].endswith("Z")
    assert place.head(other) == beside, "what concerns the installation is no tenant's to read, nor the reverse"


@pytest.mark.security
@pytest.mark.req("SEC-L02")
@pytest.mark.parametrize("operation", PLAIN, ids=lambda each: each.name)
def test_a_plain_read_leaves_no_record_and_its_denial_one(place, operation):
    token, bare = place.token(Role.SUPERADMIN), place.token(Role.API_USER)
    before = place.head()
    try:
        place.call(operation, ask_for(operation.name), token)
    except SluiceError as fault:
        assert fault.code in {"missing", "invalid"}
    assert place.records(after=before) == []
    if operation.permission != "self:use":
        with pytest.raises(Denied):
            place.call(operation, ask_for(operation.name), bare)
        found = place.records(after=before)
        assert [(each["action"], each["result"], each["role"]) for each in found] == [
            (operation.name, "denied", "api_user")
        ]


@pytest.mark.security
@pytest.mark.req("SEC-L02")
def test_sign_in_is_on_record_where_the_person_belongs(place):
    who, before, system = place.people["north", Role.VIEWER], place.head(), place.head(None)
    place.sign_in(who)
    with pytest.raises(Unauthenticated):
        place.sign_in(who, "not the password")
    found = place.records(after=before)
    assert [(each["action"], each["result"]) for each in found] == [
        ("session.login", "ok"),
        ("session.login", "denied"),
    ]
    assert found[0]["who"] == who.id
    assert found[1]["about"] == {"email": who.email}
    for tenant, ledger in (("north", "north"), ("no-such", None), (None, None)):
        with pytest.raises(Unauthenticated):
            place.call("session.login", {"tenant": tenant, "email": "nobody@x.example", "password": PASSWORD})
        assert place.records(ledger)[-1]["about"] == {"email": "nobody@x.example"}, "where it was tried"
    assert (place.head(), place.head(None)) == (before + 3, system + 2)


@pytest.mark.security
@pytest.mark.req("SEC-L02", "SEC-V02")
def test_the_use_of_a_secret_is_on_record_with_its_purpose(place):
    place.call("secret.set", {"name": "used", "value": "canary-in-the-trail"}, place.token(Role.EDITOR))
    before = place.head()
    place.app.services.vault.use(place.scope("north"), "used", purpose="run 1")
    found = place.records(after=before)
    assert [(each["action"], each["result"], each["about"]) for each in found] == [
        ("secret.use", "ok", {"name": "used", "purpose": "run 1"})
    ]
    assert "canary-in-the-trail" not in str(place.records())


@pytest.mark.security
@pytest.mark.req("SEC-L02")
def test_what_is_asked_is_told_by_name_and_never_by_content(place):
    editor, admin, before = place.token(Role.EDITOR), place.token(Role.ADMINISTRATOR), place.head()
    place.call("definition.apply", {"source": FLOW + "description: a canary in the text\n"}, editor)
    made = place.call("user.create", {"email": "trail@north.example", "role": "viewer"}, admin)
    apply, create = [each["about"] for each in place.records(after=before) if each["result"] == "ok"]
    assert apply == {"items": ["flow/idle"]}
    assert create == {"email": "trail@north.example", "role": "viewer", "id": made.id}
    assert made.password not in str(place.records())
    assert "canary in the text" not in str(place.records())


def broken(monkeypatch, when):
    """Let the ledger fail, from its ``when``-th record on."""
    kept, count = Ledger.append, 0

    def append(self, body, chain):
        nonlocal count
        count += 1
        if count >= when:
            raise OSError("no space left on device")
        return kept(self, body, chain)

    monkeypatch.setattr(Ledger, "append", append)


@pytest.mark.security
@pytest.mark.req("SEC-L02")
@pytest.mark.parametrize("operation", AUDITED, ids=lambda each: each.name)
def test_what_cannot_be_put_on_record_is_not_done(place, monkeypatch, operation):
    role = Role.SUPERADMIN if operation.permission == "tenant:manage" else Role.ADMINISTRATOR
    token = place.token_for(operation.name, role)
    database = place.home / "store.db"
    with sqlite3.connect(database) as connection:
        before = dump(connection)
    connection.close()
    broken(monkeypatch, 1)
    with pytest.raises(Unavailable) as told:
        place.call(operation, ask_for(operation.name), token)
    assert told.value.status == 503
    assert "no space" not in str(told.value)
    with sqlite3.connect(database) as connection:
        assert dump(connection) == before
    connection.close()


def dump(connection):
    """Return all that is stored, but for tickets: one that was brought is used up, whatever came of it."""
    return [line for line in connection.iterdump() if not line.startswith('INSERT INTO "tickets"')]


@pytest.mark.security
@pytest.mark.req("SEC-L02")
def test_a_denial_that_cannot_be_put_on_record_is_no_answer_either(place, monkeypatch):
    token = place.token(Role.VIEWER)
    broken(monkeypatch, 1)
    with pytest.raises(Unavailable):
        place.call("user.list", {}, token)


@pytest.mark.security
@pytest.mark.req("SEC-L02")
def test_a_sign_in_that_cannot_be_put_on_record_gives_no_token(place, monkeypatch):
    broken(monkeypatch, 1)
    with pytest.raises(Unavailable):
        place.sign_in(place.people["north", Role.VIEWER])


@pytest.mark.security
@pytest.mark.req("SEC-L02", "SEC-V08")
def test_a_secret_whose_use_cannot_be_put_on_record_is_not_opened(place, monkeypatch):
    place.call("secret.set", {"name": "unused", "value": "x"}, place.token(Role.EDITOR))
    broken(monkeypatch, 1)
    with pytest.raises(Unavailable):
        place.app.services.vault.use(place.scope("north"), "unused", purpose="run 1")


@pytest.mark.security
@pytest.mark.req("SEC-L02")
def test_an_end_that_cannot_be_put_on_record_fails_the_call(place, monkeypatch):
    token = place.token(Role.EDITOR)
    broken(monkeypatch, 2)
    with pytest.raises(Unavailable, match="may have been done"):
        place.call("definition.apply", {"source": FLOW.replace("idle", "half-told")}, token)


@pytest.mark.security
@pytest.mark.req("SEC-L02", "SEC-Z07")
def test_an_unforeseen_fault_is_on_record_and_not_told(place, monkeypatch):
    def burst(*_args, **_more):
        raise RuntimeError("a canary of the inside")

    monkeypatch.setattr("sluicegate.store.definitions.Definitions.delete", burst)
    token, before = place.token(Role.EDITOR), place.head()
    answer = place.request("DELETE", "/api/v1/flows/idle", token)
    assert answer.status_code == 500
    assert "canary" not in answer.text
    assert "RuntimeError" not in answer.text
    assert [(each["action"], each["result"]) for each in place.records(after=before)] == [
        ("flow.delete", "asked"),
        ("flow.delete", "error"),
    ]


@pytest.mark.security
@pytest.mark.req("SEC-L01")
@pytest.mark.parametrize("change", ["edit", "delete", "reorder", "insert"])
def test_a_changed_trail_is_found_out_and_stops_the_start(fresh, change):
    for name in ("one", "two", "three", "four"):
        fresh.call("tenant.create", {"name": name}, fresh.token(Role.SUPERADMIN, None))
    assert fresh.app.services.audit.verify("") is None
    sql = {
        "edit": "update audit set body = replace(body, '\"two\"', '\"owt\"') where tenant_id = ''",
        "delete": "delete from audit where tenant_id = '' and seq = 4",
        "reorder": "update audit set body = (select body from audit as other where other.tenant_id = '' and other.seq = 9 - audit.seq)"
        " where tenant_id = '' and seq in (4, 5)",
        "insert": "insert into audit select tenant_id, 1000, at, action, who, body, link from audit where tenant_id = '' and seq = 4",
    }
    with sqlite3.connect(fresh.home / "store.db") as connection:
        for (trigger,) in connection.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            connection.execute(f"drop trigger {trigger}")
        assert connection.execute(sql[change]).rowcount >= 1
    connection.close()
    assert fresh.app.services.audit.verify("") is not None
    with pytest.raises(Corrupt, match="does not verify from record"):
        build(fresh.settings)


@pytest.mark.security
@pytest.mark.req("SEC-L01")
def test_the_trail_can_be_read_by_page_and_only_read(place):
    token = place.token(Role.ADMINISTRATOR)
    for _ in range(6):
        place.sign_in(place.people["north", Role.VIEWER])
    newest = place.call("audit.list", {"limit": 3}, token).items
    older = place.call("audit.list", {"limit": 3, "before": newest[-1].seq}, token).items
    assert [each.seq for each in (*newest, *older)] == list(range(newest[0].seq, newest[0].seq - 6, -1))
    only = place.call("audit.list", {"action": "session.login"}, token).items
    assert {each.action for each in only} == {"session.login"}
    assert [each.name for each in OPERATIONS if each.name.startswith("audit.")] == [
        "audit.export",
        "audit.list",
    ]
