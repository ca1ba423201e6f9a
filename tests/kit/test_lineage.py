"""Tags travel: no way of writing a flow takes one off a column, but for a mask."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.base.errors import Denied, Invalid
from sluicegate.kit import document, lineage
from sluicegate.kit.lineage import Fact, Facts
from sluicegate.kit.step import Step

CONNECTIONS = """kind: connection
name: shop
type: files
tags: { IBAN: [account], email: [personal] }
---
kind: connection
name: lake
type: files
refuses: [personal, card]
---
kind: connection
name: safe
type: files
accepts: [personal, card]
---
"""
HEAD = """kind: flow
name: f
steps:
  - read: { name: rows, connection: safe, item: in.csv, tags: { email: [personal], pan: [card] } }
"""
WRITE = "  - write: { name: out, from: last, connection: lake, item: out.csv }\n"
LAUNDRY = {
    "left as it is": "  - map: { name: last, from: rows }\n",
    "renamed": "  - map: { name: last, from: rows, columns: { x: email } }\n",
    "in other letters": "  - map: { name: last, from: rows, columns: { x: EMAIL } }\n",
    "quoted": "  - map: { name: last, from: rows, columns: { x: '\"email\"' } }\n",
    "under another's name": "  - map: { name: last, from: rows, columns: { id: email, email: id } }\n",
    "cast": "  - map: { name: last, from: rows, columns: { x: 'cast(email as text)' } }\n",
    "cast short": "  - map: { name: last, from: rows, columns: { x: 'email::text' } }\n",
    "glued": "  - map: { name: last, from: rows, columns: { x: \"id || ' ' || email\" } }\n",
    "in a case": "  - map: { name: last, from: rows, columns: { x: \"case when id > 1 then email else '' end\" } }\n",
    "asked of": "  - map: { name: last, from: rows, columns: { x: \"email = 'a@example.org'\" } }\n",
    "hashed by oneself": "  - map: { name: last, from: rows, columns: { x: 'md5(email)' } }\n",
    "in a list": "  - map: { name: last, from: rows, columns: { x: '[id, email]' } }\n",
    "a letter at a time": "  - map: { name: last, from: rows, columns: { x: 'email[1]' } }\n",
    "checked": "  - check: { name: last, from: rows, rules: [{ column: id, not_null: true }] }\n",
    "by two maps": (
        "  - map: { name: a, from: rows, columns: { x: email } }\n"
        "  - map: { name: last, from: a, columns: { y: 'upper(x)' } }\n"
    ),
    "joined": (
        "  - read: { name: more, connection: safe, item: more.csv }\n"
        "  - join: { name: last, left: more, right: rows, on: [id] }\n"
    ),
    "joined on": (
        "  - read: { name: more, connection: safe, item: more.csv }\n"
        "  - join: { name: j, left: more, right: rows, on: [email] }\n"
        "  - map: { name: last, from: j, columns: { email: email } }\n"
    ),
    "masked and shown": (
        "  - mask: { name: m, from: rows, key: k, rules: [{ columns: [email, pan], method: tokenize }] }\n"
        "  - map: { name: n, from: m, columns: { x: email } }\n"
        "  - mask: { name: last, from: n, key: k, rules: [{ columns: x, method: detokenize }] }\n"
    ),
    "another is masked": "  - mask: { name: last, from: rows, key: k, rules: [{ columns: id, method: hash }] }\n",
    "decrypted from outside": (
        "  - read: { name: other, connection: lake, item: in.csv }\n"
        "  - mask: { name: last, from: other, key: k, rules: [{ columns: x, method: decrypt }] }\n"
    ),
}


def checked(text, guarded=()):
    found = [each.definition for each in document.read(CONNECTIONS + text)]
    connections = {each.name: each for each in found if each.kind == "connection"}
    lineage.check(found[-1], connections.get, guarded)
    return lineage.trace(found[-1], connections.get)


@pytest.mark.security
@pytest.mark.req("SEC-B10")
@pytest.mark.parametrize("way", LAUNDRY)
def test_no_step_washes_a_tag_off(way):
    with pytest.raises(Denied, match=r"is tagged '(personal|card)', and the connection 'lake' refuses that") as caught:
        checked(HEAD + LAUNDRY[way] + WRITE)
    assert caught.value.where == "step out"


@pytest.mark.security
@pytest.mark.req("SEC-B10")
@pytest.mark.parametrize("method", ["redact", "hash", "tokenize", "encrypt"])
def test_a_mask_opens_the_way(method):
    rules = f"  - mask: {{ name: last, from: rows, key: k, rules: [{{ columns: [email, pan], method: {method} }}] }}\n"
    checked(HEAD + rules + WRITE)
    checked(HEAD + "  - map: { name: last, from: rows, columns: { x: id } }\n" + WRITE)


@pytest.mark.security
@pytest.mark.req("SEC-B10")
def test_what_the_policy_guards_goes_only_where_it_is_accepted():
    flow = HEAD + "  - map: { name: last, from: rows, columns: { x: pan } }\n" + WRITE.replace("lake", "shop")
    checked(flow)
    checked(flow.replace("connection: shop, item: out", "connection: safe, item: out"), ("card",))
    with pytest.raises(Denied, match="tagged 'card', and the policy guarded lets it only into connections that accept"):
        checked(flow, ("card",))


@pytest.mark.security
@pytest.mark.req("SEC-B10")
def test_an_archive_is_a_destination_too():
    archive = WRITE.replace("write", "archive").replace(" }", ", seal: { to: [NOBODY] } }").replace("NOBODY", "dpo")
    with pytest.raises(Denied, match="lake"):
        checked(HEAD + LAUNDRY["renamed"] + archive)


def test_a_connection_tells_what_its_columns_hold():
    read = "kind: flow\nname: f\nsteps:\n  - read: { name: rows, connection: shop, item: in.csv%s }\n"
    facts = checked(read % "")["rows"]
    assert (facts.get("iban").tags, facts.get("Email").tags, facts.get("id").tags) == ({"account"}, {"personal"}, set())
    assert list(facts.tagged()) == [], "whether there are such columns is not known"
    chosen = checked(read % ", columns: [id, Iban], tags: { id: [staff] }")["rows"]
    assert {name: fact.tags for name, fact in chosen.tagged()} == {"iban": {"account"}, "id": {"staff"}}
    assert chosen.get("email").tags == set(), "it is not read"


def test_types_are_known_where_the_flow_tells_them():
    flow = """kind: flow
name: f
steps:
  - read: { name: rows, connection: shop, item: in.csv, format: { type: csv, columns: { a: float64, b: date } } }
  - map: { name: m, from: rows, columns: { x: a, y: "cast(b as varchar)", z: "a + 1", u: "(b)" } }
"""
    facts = checked(flow)["m"]
    assert {name: facts.get(name).kind for name in "xyzu"} == {"x": "float64", "y": "text", "z": "", "u": "date"}
    with pytest.raises(Invalid, match="hash does not fit a column of type float64"):
        checked(flow + "  - mask: { name: k, from: m, key: k, rules: [{ columns: x, method: hash }] }\n")


@pytest.mark.security
@pytest.mark.req("SEC-B10")
def test_the_run_looks_at_the_columns_that_there_are():
    found = {each.definition.name: each.definition for each in document.read(CONNECTIONS)}
    facts = Facts({"email": Fact(frozenset({"personal"}))})
    lineage.check_rows(facts, ["id"], found["lake"], ())
    lineage.check_rows(facts, ["id", "email"], found["safe"], ("personal",))
    with pytest.raises(Denied, match="'EMail' is tagged 'personal'"):
        lineage.check_rows(facts, ["id", "EMail"], found["lake"], ())


@pytest.mark.security
@pytest.mark.req("SEC-B10")
def test_a_step_that_tells_nothing_passes_every_tag_to_every_column():
    """So is a step of tomorrow: what it does not say, is not believed to be clean."""
    known = {
        "a": Facts({"x": Fact(frozenset({"card"}), sure=True)}),
        "b": Facts({"y": Fact(under=frozenset({"personal"}))}),
    }
    facts = Step().trace(known)
    assert facts.get("whatever").tags == {"card"}
    assert facts.get("whatever").under == {"personal"}
    sure = Step().trace({"a": known["a"]})
    assert [name for name, _ in sure.tagged()] == ["*"]
    with pytest.raises(Denied, match="Each column is tagged 'card'"):
        found = {each.definition.name: each.definition for each in document.read(CONNECTIONS)}
        lineage.admit("*", sure.rest, found["lake"], (), "")


names = st.sampled_from(["a", "A", "b", "c"])
facts = st.builds(
    Facts,
    st.dictionaries(st.sampled_from("abc"), st.builds(Fact, st.frozensets(st.sampled_from("xyz")), sure=st.booleans())),
    st.builds(Fact, st.frozensets(st.sampled_from("xyz"))),
)


@pytest.mark.security
@given(st.lists(facts, min_size=1, max_size=3), st.lists(names))
def test_putting_together_never_takes_away(inputs, read):
    merged, smeared = Facts.merged(inputs), Facts.smeared(inputs)
    for each in inputs:
        for name in "abcd":
            assert each.get(name).tags <= smeared.get(name).tags
            assert name not in each.named or each.get(name).tags <= merged.get(name).tags
    assert merged.of(read).tags == {tag for name in read for tag in merged.get(name).tags}
