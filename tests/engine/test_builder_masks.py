"""Masking keys and the right to take masks off, when a run is about to start."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Denied, Failed
from sluicegate.base.principal import Principal, Role, Via
from sluicegate.crypto.masking import new_masking_key
from sluicegate.guard.vault import MASKING
from sluicegate.store.scope import Scope
from tests.fixtures.flow import HERE, READ, put_flow


def flow(method, connection="here"):
    rules = [{"columns": "v", "method": method}]
    mask = {"mask": {"name": "m", "from": "a", "key": "k", "rules": rules}}
    write = {"write": {"from": "m", "connection": connection, "item": "out.csv"}}
    return {"kind": "flow", "name": "f", "steps": [READ, mask, write]}


def change(scope, **more):
    """Save the connection anew, past the API."""
    scope.definitions().put("connection", "here", {**HERE, **more}, "", f"digest {more}")


@pytest.mark.security
@pytest.mark.req("SEC-V02")
def test_a_key_is_given_by_its_name_its_use_on_record_and_as_no_secret(fresh):
    builder = fresh.app.worker._builder
    scope, _ = put_flow(fresh)
    with pytest.raises(Failed, match="no masking key 'k'") as caught:
        builder.run(scope, "run-1", flow("hash"), {})
    assert caught.value.where == "step m, key"
    made = new_masking_key()
    fresh.app.services.vault.put(scope, MASKING + "k", made)
    seen = fresh.head()
    job = builder.run(scope, "run-1", flow("hash"), {})
    assert {name: each.reveal() for name, each in job.keys.items()} == {"k": made.reveal()}
    assert job.secrets == {}
    assert job.tenant == fresh.tenants["north"]
    assert made.reveal() not in repr(job)
    uses = [(each["action"], each["about"]["name"]) for each in fresh.records(after=seen)]
    assert uses == [("secret.use", MASKING + "k")]
    assert builder.run(scope, "run-1", flow("redact"), {}).keys == {}


@pytest.mark.security
@pytest.mark.req("SEC-B10")
@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.EDITOR, Role.OPERATOR])
def test_masks_come_off_for_whom_may_see_under_them(fresh, role):
    builder = fresh.app.worker._builder
    scope, _ = put_flow(fresh, *flow("detokenize")["steps"])
    fresh.app.services.vault.put(scope, MASKING + "k", new_masking_key())
    who = Scope(scope.database, scope.tenant, Principal(fresh.people["north", role].id, scope.tenant, role, Via.SYSTEM))
    ask = {"flow": "f", "params": {}, "step": "m", "limit": 5}
    seen = fresh.head()
    if role is Role.ADMINISTRATOR:
        assert builder.run(who, "run-1", flow("decrypt"), {}).keys
        assert builder.preview(who, ask).keys
        return
    with pytest.raises(Denied, match="needs data:reveal") as caught:
        builder.run(who, "run-1", flow("decrypt"), {})
    assert caught.value.where == "step m"
    with pytest.raises(Denied, match="needs data:reveal"):
        builder.preview(who, ask)
    assert fresh.records(after=seen) == [], "nothing was decrypted for it"
    assert builder.run(who, "run-1", flow("hash"), {}).keys


@pytest.mark.security
@pytest.mark.req("SEC-B10")
def test_a_flow_saved_before_its_destination_refused_or_the_policy_guarded_does_not_run(fresh):
    builder = fresh.app.worker._builder
    scope, _ = put_flow(fresh)
    copy = flow("redact")
    copy["steps"][0] = {"read": {**READ["read"], "tags": {"id": ["card"]}}}
    assert builder.run(scope, "run-1", copy, {}).guarded == ()
    change(scope, refuses=["card"])
    with pytest.raises(Denied, match="'here' refuses that"):
        builder.run(scope, "run-1", copy, {})
    change(scope)
    fresh.set_policy(guarded=("card",))
    with pytest.raises(Denied, match="policy guarded"):
        builder.run(scope, "run-1", copy, {})
    change(scope, accepts=["card"])
    assert builder.run(scope, "run-1", copy, {}).guarded == ("card",)
