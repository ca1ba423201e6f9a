"""A tenant's policy, when definitions are saved."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Denied, Invalid
from sluicegate.base.principal import Role

HERE = "kind: connection\nname: here\ntype: files\n---\n"
FLOW = """kind: flow
name: out
steps:
  - read: { name: rows, connection: here, item: in.csv }
  - write: { name: copy, from: rows, connection: here, item: out.csv%s }
"""
SEALED = ", seal: { type: zip, passphrase: { secret: %s } }"


@pytest.mark.security
@pytest.mark.req("SEC-F04")
def test_a_flow_that_writes_a_clear_file_is_not_saved_once_the_policy_asks_for_seals(fresh):
    fresh.call("definition.apply", {"source": HERE + FLOW % ""}, fresh.token(Role.EDITOR))
    fresh.set_policy(files_sealed=True)
    editor = fresh.token(Role.EDITOR)
    for operation in ("definition.validate", "definition.apply"):
        with pytest.raises(Denied, match="files_sealed") as told:
            fresh.call(operation, {"source": FLOW % "" + "description: again\n"}, editor)
        assert told.value.where == "step copy"
    assert fresh.call("flow.get", {"name": "out"}, editor).version == 1
    fresh.call("definition.apply", {"source": FLOW % (SEALED % "phrase")}, editor)


@pytest.mark.security
def test_a_seal_never_names_a_secret_of_the_product(fresh):
    source = HERE + FLOW % (SEALED % "sluicegate-quarantine")
    with pytest.raises(Invalid, match="the product's own") as told:
        fresh.call("definition.apply", {"source": source}, fresh.token(Role.EDITOR))
    assert told.value.where == "step copy, seal"
