"""A run that takes masks off, whose person loses the right to it on the way."""

from __future__ import annotations

import json

import pytest

from sluicegate.base.principal import Role
from sluicegate.crypto.masking import MaskingKey, new_masking_key
from sluicegate.guard.vault import MASKING
from tests.fixtures.flow import READ, add_run, put_flow

pytestmark = pytest.mark.slow

SHOW = {"mask": {"name": "m", "from": "a", "key": "k", "rules": [{"columns": "t", "method": "detokenize"}]}}
FIRST = {"write": {"name": "first", "from": "m", "connection": "here", "item": "first.csv"}}
SECOND = {"check": {"name": "b", "from": "m", "rules": [{"column": "id", "not_null": True}]}}
LAST = {"write": {"name": "last", "from": "b", "connection": "here", "item": "last.csv"}}


@pytest.mark.security
@pytest.mark.req("SEC-Z09")
def test_who_may_not_see_under_masks_any_more_sees_no_further_segment(fresh):
    key = new_masking_key()
    scope, folder = put_flow(fresh, READ, SHOW, FIRST, SECOND, LAST)
    fresh.app.services.vault.put(scope, MASKING + "k", key)
    token = MaskingKey(key, scope.tenant).tokens("")(b"canary")
    (folder / "in.csv").write_text(f"id,t\n1,{token}\n")
    run = add_run(fresh, scope, role=Role.ADMINISTRATOR)
    runner = fresh.app.worker._runner
    runner.arrive()

    def step(name, do):
        done = do()
        if name == "first":
            scope.people().set_role(fresh.people["north", Role.ADMINISTRATOR].id, Role.EDITOR)
        return done

    try:
        runner.execute(run, scope.tenant, step)
    finally:
        runner.leave()
    found = scope.runs().get(run)
    assert (found.state, found.error["code"]) == ("failed", "denied")
    assert "Landed before that: first" in found.error["title"]
    assert (folder / "first.csv").read_text() == "id,t\n1,canary\n"
    assert not (folder / "last.csv").exists()
    told = json.dumps([each.body for each in scope.runs().events(run)])
    assert "canary" not in told
    assert key.reveal() not in told
