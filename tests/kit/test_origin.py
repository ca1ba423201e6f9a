from __future__ import annotations

import pytest

from sluicegate.base.errors import Invalid
from sluicegate.kit import document

TWO = """kind: connection
name: here
type: files
---

# the flow
kind: flow
name: f
steps:
  - read: { name: rows, connection: here, item: in.csv }
  - map:
      name: m
      from: rows
      columns:
        a: id
        b: upper(name)
  - check:
      name: c
      from: m
      rules:
        - { column: a, not_null: true }
        - column: b
          matches: "[a-z]+"
  - write:
      from: c
      connection: here
      item: out.csv
params:
  day: { type: date }
"""


def test_the_text_itself_is_sound():
    found = document.read(TWO, where="a.yaml")
    assert [each.where for each in found] == ["a.yaml:1", "a.yaml:7"]
    assert found[1].place(("steps", 1, "map", "columns", "b")) == "a.yaml:16"
    assert found[1].place(("steps", 2, "check", "rules", 1, "matches")) == "a.yaml:23"
    assert found[1].place(("steps", 0, "nowhere", 5)) == "a.yaml:10"
    assert document.read(TWO)[1].place(("name",)) == "line 8"


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("steps:\n", "stepz:\n", 9, "stepz: unknown key"),
        ("name: f\n", "name: F!\n", 8, "name: is not a name"),
        ("type: files", "type: filez", 3, "unknown connection type"),
        ("kind: flow", "kind: flowers", 7, "unknown kind"),
        ("- map:", "- mop:", 11, "step 2: unknown step type 'mop'"),
        ("from: rows", "frum: rows", 13, "step m, frum: unknown key"),
        ("from: m\n", "from: z\n", 19, "step c, from: no step is called 'z'"),
        ("b: upper(name)", "b: read_csv(name)", 16, "step m, columns.b: 'read_csv' is not allowed"),
        ("b: upper(name)", "b: name = :nope", 16, "step m, columns.b: the flow has no parameter 'nope'"),
        ('"[a-z]+"', '"("', 23, "step c, rules[1].matches: this is not a regular expression: a parenthesis is not"),
        ("not_null: true", "not_null: maybe", 21, "step c, rules[0].not_null: must be true or false"),
        ("item: out.csv", "item: out-{dya}.csv", 27, "step write-4, item: the flow has no parameter 'dya'"),
        ("item: out.csv", "item: out-{.csv", 27, "step write-4, item: its braces hold no parameter"),
        ("{ type: date }", "{ type: date, default: soon }", 29, "params.day.default: must be a date"),
        ("name: c\n", "name: m\n", 18, "two steps are called 'm'"),
    ],
)
def test_the_line_of_the_key_is_named(old, new, line, says):
    with pytest.raises(Invalid) as caught:
        document.read(TWO.replace(old, new, 1), where="a.yaml")
    assert caught.value.where.partition(",")[0] == f"a.yaml:{line}"
    assert says in caught.value.message


def test_more_flaws_tell_their_own_lines():
    wrong = TWO.replace("stepz", "steps").replace("from: rows", "frum: rows").replace("item: out.csv", "itm: out.csv")
    with pytest.raises(Invalid) as caught:
        document.read(wrong, where="a.yaml")
    assert caught.value.where.startswith("a.yaml:13")
    assert "line 27: step write-4, itm: unknown key" in caught.value.message


def test_json_has_lines_too():
    with pytest.raises(Invalid) as caught:
        document.read('{\n "kind": "flow",\n "name": "f",\n "stepz": []\n}', where="a.json")
    assert caught.value.where == "a.json:4, flow f"
