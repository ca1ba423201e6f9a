from __future__ import annotations

import pytest

from sluicegate.base.errors import Denied, Failed, Missing, SluiceError
from sluicegate.base.model import new_id
from sluicegate.base.principal import Principal, Role, Via
from sluicegate.base.secret import Secret
from sluicegate.crypto import seal
from sluicegate.engine.builder import read_flow
from tests.fixtures.flow import HERE, READ, WRITE, put, put_flow

DB = {
    "kind": "connection", "name": "db", "type": "postgres", "host": "db.example.org", "database": "shop", "user": "u",
    "password": {"secret": "db-password"},
}  # fmt: skip
FROM_DB = {"read": {"name": "a", "connection": "db", "item": "t"}}


@pytest.fixture
def builder(fresh):
    return fresh.app.worker._builder


def flow(*steps):
    return {"kind": "flow", "name": "f", "steps": list(steps or (READ, WRITE))}


def test_a_job_holds_what_the_flow_names(fresh, builder):
    scope, folder = put_flow(fresh)
    job = builder.run(scope, "run-1", flow(), {"p": 1})
    assert (job.what, job.run, job.root, job.connections, job.params) == (
        "run",
        "run-1",
        folder,
        {"here": HERE},
        {"p": 1},
    )
    assert (job.secrets, job.quarantine, job.quarantine_folder, job.local) == ({}, "", None, False)


@pytest.mark.security
def test_only_the_secrets_it_names_each_use_on_record(fresh, builder):
    scope = put(fresh, HERE, DB)
    vault = fresh.app.services.vault
    for name in ("db-password", "another"):
        vault.put(scope, name, Secret(f"canary {name}"))
    seen = fresh.head()
    job = builder.run(scope, "run-1", flow(FROM_DB, WRITE), {})
    assert {name: value.reveal() for name, value in job.secrets.items()} == {"db-password": "canary db-password"}
    uses = [(each["action"], each["about"]["name"], each["about"]["purpose"]) for each in fresh.records(after=seen)]
    assert uses == [("secret.use", "db-password", "run run-1")]
    assert "canary" not in repr(job)


def test_a_secret_that_is_not_set_is_named(fresh, builder):
    scope = put(fresh, HERE, DB)
    with pytest.raises(Failed, match="The secret 'db-password' is not set") as caught:
        builder.explore(scope, "test", {"connection": "db"})
    assert caught.value.where == "connection db"


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
def test_what_was_checked_is_what_is_used_whoever_saves_another_version_meanwhile(fresh, builder, monkeypatch):
    """Else a SuperAdmin could say where the rows go, between the look at who wrote it and its use."""

    def scope(role):
        id_ = fresh.tenants["north"]
        return fresh.app.services.scope(id_, Principal(fresh.people["north", role].id, id_, role, Via.SYSTEM))

    ours, theirs = (seal.new_identity()[1] for _ in range(2))
    dpo = {"kind": "recipient", "name": "dpo", "recipient": ours}
    changed = {"connection": {**HERE, "description": "elsewhere"}, "recipient": {**dpo, "recipient": theirs}}
    editor, root = scope(Role.EDITOR), scope(Role.SUPERADMIN)
    for each in (HERE, dpo):
        editor.definitions().put(each["kind"], each["name"], each, "", "digest")
    store = type(root.definitions())
    get = store.get

    def late(self, kind, name, version=None):
        found = get(self, kind, name, version)
        root.definitions().put(kind, name, changed[kind], "", new_id())
        return found

    archive = {"archive": {"from": "a", "connection": "here", "item": "x.csv.age", "seal": {"to": ["dpo"]}}}
    with monkeypatch.context() as patch:
        patch.setattr(store, "get", late)
        job = builder.run(root, "r", flow(READ, archive), {})
    assert (job.connections, job.recipients) == ({"here": HERE}, {"dpo": ours})
    with pytest.raises(Denied, match="SuperAdmin wrote"):
        builder.run(root, "r", flow(READ, archive), {})


@pytest.mark.security
def test_another_tenant_s_connection_and_folder_are_out_of_reach(fresh, builder):
    put(fresh, HERE, DB)
    south = fresh.scope("south")
    with pytest.raises(Missing):
        builder.run(south, "run-1", flow(), {})
    scope, _ = put_flow(fresh, tenant="south")
    assert builder.run(scope, "run-1", flow(), {}).root.name == fresh.tenants["south"]


@pytest.mark.security
def test_the_tenant_s_folder_is_for_its_owner(fresh, builder):
    scope = put(fresh, HERE)
    assert builder.explore(scope, "items", {"connection": "here"}).root.stat().st_mode & 0o077 == 0


def test_named_recipients_are_looked_up(fresh, builder):
    _, recipient = seal.new_identity()
    scope = put(fresh, HERE, {"kind": "recipient", "name": "dpo", "recipient": recipient})
    archive = {"archive": {"from": "a", "connection": "here", "item": "x.csv.age", "seal": {"to": ["dpo", recipient]}}}
    assert builder.run(scope, "r", flow(READ, archive), {}).recipients == {"dpo": recipient}


@pytest.mark.security
def test_quarantine_is_sealed_for_the_tenant_from_the_start(fresh, builder):
    scope = put(fresh, HERE)
    read = {"read": {**READ["read"], "on_reject": "quarantine"}}
    job = builder.run(scope, new_id(), flow(read, WRITE), {})
    assert job.quarantine.startswith("age1")
    assert job.quarantine_folder.name == scope.tenant


@pytest.mark.security
@pytest.mark.req("SEC-B01")
def test_what_a_preview_rejects_has_nowhere_to_lie(fresh, builder):
    scope, _ = put_flow(fresh, {"read": {**READ["read"], "on_reject": "quarantine"}}, WRITE)
    job = builder.preview(scope, {"flow": "f", "step": "a", "params": {}, "limit": 5})
    assert (job.quarantine, job.quarantine_folder) == ("", None)
    assert not (fresh.home / "quarantine" / scope.tenant).exists()


def test_a_preview_checks_parameters_before_any_task_starts(fresh, builder):
    scope, _ = put_flow(fresh)
    with pytest.raises(SluiceError, match="nope"):
        builder.preview(scope, {"flow": "f", "params": {"nope": 1}, "step": "a", "limit": 5})
    assert builder.preview(scope, {"flow": "f", "params": {}, "step": "a", "limit": 5}).ask["limit"] == 5


def test_a_document_that_is_no_flow_is_told():
    with pytest.raises(Failed, match="not a flow"):
        read_flow(HERE)
