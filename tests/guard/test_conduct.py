"""What a policy asks of flows: refused with the step's name, when they are saved and when they run (SEC-F04)."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Denied
from sluicegate.base.settings import Files, Settings, Tls
from sluicegate.guard.conduct import check
from sluicegate.guard.tenancy import Bounds
from sluicegate.kit import document

CONNECTIONS = """kind: connection
name: here
type: files
---
kind: connection
name: abroad
type: files
root: abroad
residency: us
---
kind: connection
name: warehouse
type: postgres
host: 203.0.113.7
database: d
user: u
tls: require
residency: eu
---
"""
FLOW = """kind: flow
name: out
steps:
  - read: { name: rows, connection: here, item: in.csv }
  - write: { name: copy, from: rows, connection: here, item: out.parquet }
"""
SEALED = FLOW.replace("out.parquet }", "out.parquet, seal: { type: zip, passphrase: { secret: p } } }")


def checked(text, weakest="verify-full", **files):
    found = [each.definition for each in document.read(CONNECTIONS + text)]
    connections = {each.name: each for each in found if each.kind == "connection"}
    policy = Bounds(Settings(files=Files(**files), tls=Tls(weakest=weakest))).base
    check(found[-1], connections.get, policy)


def test_without_a_policy_all_is_allowed_but_weak_tls():
    checked(FLOW)
    checked(SEALED)
    checked(FLOW.replace("connection: here, item: out.parquet", "connection: warehouse, item: t"), weakest="require")


@pytest.mark.security
@pytest.mark.req("SEC-F04")
@pytest.mark.parametrize(
    ("text", "policy", "said"),
    [
        (FLOW, {"sealed": True}, "files_sealed asks"),
        (SEALED, {"seals": ("age", "openpgp")}, "type 'zip', and the policy seals allows only: age, openpgp"),
        (FLOW, {"formats": ("csv",)}, "format is 'parquet', and the policy formats"),
        (FLOW.replace("out.parquet", '"out.{p}"').replace("steps:", "params: { p: { default: csv } }\nsteps:"), {"formats": ("csv",)}, "not named"),
        (FLOW, {"residency": ("eu",)}, "'here' does not say where it lies, and the policy residency"),
        (FLOW.replace("connection: here, item: out", "connection: abroad, item: out"), {"residency": ("us", "eu", "de")}, "does not say"),
        (FLOW.replace("connection: here", "connection: abroad"), {"residency": ("eu",)}, "'abroad' lies in 'us'"),
    ],
)  # fmt: skip
def test_a_step_that_is_not_allowed_is_named(text, policy, said):
    with pytest.raises(Denied, match=said) as told:
        checked(text, **policy)
    assert told.value.where in ("step copy", "step rows")


@pytest.mark.security
@pytest.mark.req("SEC-F04")
def test_what_fits_is_allowed():
    checked(SEALED, sealed=True, seals=("zip",), formats=("csv", "parquet"))
    checked(SEALED.replace("here", "abroad"), residency=("us",))
    checked(
        FLOW.replace("connection: here, item: out.parquet", "connection: warehouse, item: t"),
        weakest="require",
        sealed=True,
    )


@pytest.mark.security
@pytest.mark.req("SEC-N03")
def test_a_plain_protocol_is_refused_unless_it_is_allowed():
    text = FLOW.replace("connection: here, item: out.parquet", "connection: warehouse, item: t")
    with pytest.raises(Denied, match="tls: require is weaker"):
        checked(text)
