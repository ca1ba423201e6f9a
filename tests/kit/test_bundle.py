from __future__ import annotations

import pytest

from sluicegate.base.errors import Denied, Invalid
from sluicegate.kit import bundle, document

CONNECTIONS = """kind: connection
name: here
type: files
root: data
---
kind: connection
name: shop
type: sqlite
path: shop.db
---
kind: recipient
name: dpo
recipient: age1abc
---
"""
FLOW = """kind: flow
name: f
steps:
  - read: { name: rows, connection: here, item: in.csv }
  - write:
      from: rows
      connection: shop
      item: t
      mode: { type: merge, keys: [id] }
  - archive:
      from: rows
      connection: here
      item: x.parquet
      seal:
        to: [dpo]
"""


def read(text):
    return document.read(text, where="a.yaml")


def check(text, beside=""):
    found = read(text)
    bundle.check(found, bundle.finder([*read(beside), *found] if beside else found), hint="Put it there.")


def test_what_goes_together_passes():
    check(CONNECTIONS + FLOW)
    check(FLOW, CONNECTIONS)
    assert bundle.lacking(read(FLOW), bundle.finder([])) == {
        ("connection", "here"), ("connection", "shop"), ("recipient", "dpo")
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("name: rows, connection: here", "name: rows, connection: nope", 4, "there is no connection 'nope'"),
        ("to: [dpo]", "to: [nope]", 15, "there is no recipient 'nope'"),
        ("connection: shop", "connection: here", 9, "step write-2: a file cannot be written with mode 'merge'"),
        ("    from: rows\n      connection: here", "    from: rows\n      connection: shop", 12, "does not take files"),
        ("connection: shop", "connection: dpo", 7, "there is no connection 'dpo'"),
    ],
)
def test_what_can_never_run_is_told_with_its_line(old, new, line, says):
    with pytest.raises(Invalid) as caught:
        check(FLOW.replace(old, new, 1), CONNECTIONS)
    assert caught.value.where == f"a.yaml:{line}"
    assert says in caught.value.message


KEYED = "mode: { type: merge, keys: [id] }"


@pytest.mark.security
@pytest.mark.parametrize(
    ("mode", "word"),
    [("replace", "replace"), ("truncate", "truncate"), ("{ type: delete, keys: [id] }", "delete")],
)
def test_what_takes_rows_away_is_said_in_the_flow(mode, word):
    with pytest.raises(Invalid) as caught:
        check(FLOW.replace(KEYED, f"mode: {mode}"), CONNECTIONS)
    assert caught.value.where == "a.yaml:9"
    assert caught.value.message.startswith("step write-2: ")
    assert caught.value.hint == f"Add this to the writing step: allow: [{word}]"
    check(FLOW.replace(KEYED, f"mode: {mode}\n      allow: [{word}]"), CONNECTIONS)


@pytest.mark.parametrize("said", ["allow: [replace]", "table: { create: false }"])
def test_a_file_is_no_table(said):
    with pytest.raises(Invalid, match="said of tables"):
        check(FLOW.replace("connection: shop", "connection: here").replace(KEYED, said), CONNECTIONS)


@pytest.mark.security
@pytest.mark.req("SEC-F06")
@pytest.mark.parametrize(
    "root", ["/", "/etc", "../..", "../../", "a/../../b", "./../x", "..", "C:/", "a\\\\..", "/etc/", "%2e%2e/x"]
)
@pytest.mark.parametrize(("type_", "field"), [("files", "root"), ("sqlite", "path")])
def test_a_path_that_leads_out_of_the_tenants_directory_is_refused(root, type_, field):
    found = read(f'kind: connection\nname: c\ntype: {type_}\n{field}: "{root}"\n')
    with pytest.raises((Denied, Invalid), match="beneath the tenant's own directory") as caught:
        bundle.check_paths(found)
    assert caught.value.where == "a.yaml:4"


@pytest.mark.parametrize("root", [".", "./", "data", "./data", "a/b", "data/"])
def test_a_path_beneath_it_passes(root):
    bundle.check_paths(read(f'kind: connection\nname: c\ntype: files\nroot: "{root}"\n'))


@pytest.mark.security
@pytest.mark.parametrize(("source", "target"), [("keeper", "here"), ("here", "keeper")])
def test_no_flow_reads_or_writes_what_keeps_secrets(source, target):
    keeper = "kind: connection\nname: keeper\ntype: openbao\nurl: https://bao.example.org\ntoken: { secret: t }\n---\n"
    steps = f"[{{ read: {{ name: a, connection: {source}, item: a.csv }} }}, {{ write: {{ from: a, connection: {target}, item: b.csv }} }}]"
    found = document.read(f"{keeper}{CONNECTIONS}kind: flow\nname: f\nsteps: {steps}\n")
    with pytest.raises(Invalid, match="keeps secrets: no flow reads or writes it"):
        bundle.check(found, bundle.finder(found), hint="")
