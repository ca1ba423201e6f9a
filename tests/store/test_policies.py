from __future__ import annotations

import pytest

from sluicegate.store.grants import Kind


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_the_rules_of_a_tenant_are_replaced_and_every_node_is_told(ours, theirs, system):
    assert ours.policies().get() == {}
    ours.policies().put({"key_days": 3})
    ours.policies().put({"addresses": ["10.0.0.0/8"]})
    assert ours.policies().get() == {"addresses": ["10.0.0.0/8"]}
    assert theirs.policies().get() == {}
    told = [(mark.kind, mark.subject) for mark in system.marks().since(0)]
    assert told == [(Kind.RULES, ours.tenant)] * 2
