"""A tenant's policy and the secrets of seals, when a run is about to start."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Denied, Failed
from sluicegate.base.secret import Secret
from sluicegate.engine.worker import _days
from tests.fixtures.flow import READ, WRITE, put_flow

SEAL = {"type": "zip", "passphrase": {"secret": "phrase"}}
SEALED = {"write": {**WRITE["write"], "seal": SEAL}}


def flow(*steps):
    return {"kind": "flow", "name": "f", "steps": list(steps)}


@pytest.mark.security
@pytest.mark.req("SEC-F04")
def test_a_flow_saved_before_the_policy_does_not_run_nor_show_rows(fresh):
    builder = fresh.app.worker._builder
    scope, _ = put_flow(fresh)
    builder.run(scope, "run-1", flow(READ, WRITE), {})
    fresh.set_policy(files_sealed=True)
    with pytest.raises(Denied, match="files_sealed") as told:
        builder.run(scope, "run-1", flow(READ, WRITE), {})
    assert told.value.where.startswith("step ")
    with pytest.raises(Denied, match="files_sealed"):
        builder.preview(scope, {"flow": "f", "params": {}, "step": "a", "limit": 5})


@pytest.mark.security
def test_the_secret_of_a_seal_is_given_its_use_on_record(fresh):
    builder = fresh.app.worker._builder
    scope, _ = put_flow(fresh)
    with pytest.raises(Failed, match="'phrase' is not set") as told:
        builder.run(scope, "run-1", flow(READ, SEALED), {})
    assert "seal" in told.value.where
    fresh.app.services.vault.put(scope, "phrase", Secret("canary"))
    seen = fresh.head()
    job = builder.run(scope, "run-1", flow(READ, SEALED), {})
    assert job.secrets["phrase"].reveal() == "canary"
    uses = [(each["action"], each["about"]["name"]) for each in fresh.records(after=seen)]
    assert uses == [("secret.use", "phrase")]
    assert "canary" not in repr(job)


@pytest.mark.security
def test_quarantined_rows_are_kept_as_long_as_the_tenant_says(fresh):
    rules = fresh.app.services.rules
    assert _days(rules, fresh.tenants["north"]) == 30
    fresh.set_policy(quarantine_days=5)
    assert _days(rules, fresh.tenants["north"]) == 5
    assert _days(rules, fresh.tenants["south"]) == 30
    assert _days(rules, "a-tenant-that-is-gone") == 30
