from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import Invalid, SluiceError
from sluicegate.kit import document

FLOW = "kind: flow\nname: f\nsteps: []\n"


def test_several_documents_in_one_text():
    found = document.read(f"{FLOW}---\nkind: recipient\nname: dpo\nrecipient: age1abc\n---\n", where="x.yaml")
    assert [(each.definition.kind, each.where) for each in found] == [("flow", "x.yaml:1"), ("recipient", "x.yaml:5")]
    assert found[0].source.startswith("kind: flow")


def test_json_is_yaml():
    assert document.read('{"kind": "flow", "name": "f", "steps": []}')[0].definition.name == "f"


def test_a_body_gives_the_same_definition():
    found = document.read("kind: connection\nname: here\ntype: files\nroot: data\n")[0]
    assert document.parse_definition(found.body) == found.definition


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("kind: flow\nname: f\nsteps: []\nbogus: 1\n", "f.yaml:4, flow f", ": bogus: unknown key$"),
        ("kind: flow\nname: f\nname: g\nsteps: []\n", "f.yaml:3", "stands twice"),
        ("kind: zap\nname: f\n", "f.yaml:1", "unknown kind"),
        ("kind: flow\nname: NOT OK\nsteps: []\n", "f.yaml:2", ": name: is not a name"),
        ("kind: connection\nname: c\ntype: zap\n", "f.yaml:3, connection c", "unknown connection type"),
        ("kind: connection\nname: c\n", "f.yaml:1", "type: is required"),
        ("a: [1\n", "f.yaml:2", "not YAML"),
        ("just text\n", "f.yaml:1", "a document is a map"),
        (f"{FLOW}---\n{FLOW}", "f.yaml:6", "stands twice"),
        ("kind: recipient\nname: r\nrecipient: AGE-SECRET-KEY-1QQQ\n", "f.yaml:3, recipient r", "secret half"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text, place, message):
    with pytest.raises(Invalid, match=message) as caught:
        document.read(text, where="f.yaml")
    assert caught.value.where.startswith(place)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("2013-02-30", "no date or moment that there is"),
        ("2001-12-14 21:59:43 +99:99", "no date or moment that there is"),
        ("!!timestamp soon", "no date or moment that there is"),
        ("!!bool maybe", "no boolean that there is"),
        ("!!int many", "no number that there is"),
        ("!!float much", "no number that there is"),
        ("9" * 5000, "no number that there is"),
        ("0012", "another base"),
        ("-07", "another base"),
        ("12:30:45", "another base"),
        ("1:30.5", "another base"),
    ],
)
def test_what_yaml_would_read_as_something_else_is_told_with_its_line(value, message):
    text = f"kind: connection\nname: c\ntype: postgres\nhost: h\ndatabase: {value}\nuser: u\n"
    with pytest.raises(Invalid, match=message) as caught:
        document.read(text, where="f.yaml")
    assert caught.value.where == "f.yaml:5"
    quoted = text.replace(value, f"'{value.rpartition(' ')[2][:60]}'")
    assert document.read(quoted)[0].definition.database == value.rpartition(" ")[2][:60]


@pytest.mark.parametrize("value", ["0", "10", "-3", "0.5", "1e3", "0x1F", "2013-02-28"])
def test_plain_numbers_and_dates_are_what_they_look_like(value):
    text = f"kind: flow\nname: f\nparams: {{ p: {{ default: '{value}' }} }}\nsteps: []\n"
    assert document.read(text)[0].definition.params["p"].default == value
    kind = "date" if value.count("-") == 2 else "float64"
    found = document.read(text.replace(f"'{value}'", f"{value}, type: {kind}"))[0].definition.params["p"]
    assert str(found.read(found.default)) == (
        value if kind == "date" else str(float(int(value, 0) if "x" in value else value))
    )


@pytest.mark.parametrize("value", ["no", "12", "0.5", "2024-03-01"])
def test_what_must_be_text_is_to_stand_in_quotes(value):
    with pytest.raises(Invalid, match="name: must be text in quotes"):
        document.read(f"kind: flow\nname: {value}\nsteps: []\n")
    with pytest.raises(Invalid, match="name: must be text$"):
        document.read(f"kind: flow\nname: [{value}]\nsteps: []\n")


@pytest.mark.security
@pytest.mark.req("SEC-P06")
@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['id']",
        "kind: !!python/name:os.system\n",
        "a: &a [x, x]\nb: [*a, *a]\n",
        "<<: {kind: flow}\nname: f\n",
        "[" * 100 + "]" * 100,
        "kind: !!binary aGVsbG8=\n",
        "? [a]\n: b\n",
    ],
)
def test_yaml_brings_nothing_but_plain_values(text):
    with pytest.raises(Invalid):
        document.read(text)


@pytest.mark.security
@pytest.mark.req("SEC-D02")
def test_bombs_end_quickly():
    with pytest.raises(Invalid, match="at most"):
        document.read("a" * (document.BYTES_MAX + 1))
    with pytest.raises(Invalid):
        document.read(
            "---\n".join(FLOW.replace("name: f", f"name: f{each}") for each in range(document.DOCUMENTS_MAX + 2))
        )


@pytest.mark.security
@pytest.mark.req("SEC-D02")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: [" + "a," * 500_000 + "]", "too many keys and values for one file"),
        ("steps:\n" + "- a\n" * 250_000, "too many keys and values for one file"),
        ("".join(f"k{each}: 1\n" for each in range(90_000)), "too many keys and values for one file"),
        ("{a: " * 20_000 + "1" + "}" * 20_000, "nested too deeply"),
        ("[" * 500_000, "nested too deeply"),
        ("? " * 400_000, "nested too deeply"),
    ],
)
def test_a_file_costs_what_its_bytes_tell(text, message):
    began = time.process_time()
    with pytest.raises(Invalid, match=message) as told:
        document.read(f"kind: flow\nname: f\n{text}" if text.startswith(("steps", "k")) else text, where="f.yaml")
    assert told.value.where.startswith("f.yaml:")
    assert time.process_time() - began < 1  # each took 5 to 20 s


@pytest.mark.security
def test_rejected_values_are_not_echoed():
    with pytest.raises(Invalid) as caught:
        document.read(
            "kind: connection\nname: c\ntype: postgres\nhost: h\ndatabase: d\nuser: u\npassword: hunter2-canary\n"
        )
    assert "hunter2-canary" not in str(caught.value)


@pytest.mark.security
@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_any_text_gives_documents_or_one_clear_error(text):
    try:
        document.read(text)
    except SluiceError as fault:
        assert fault.message


def test_names_used_are_connections_and_recipients():
    text = (
        "kind: flow\nname: f\nsteps:\n- read: {name: a, connection: c, item: x.csv}\n"
        "- archive:\n    from: a\n    connection: d\n    item: x.parquet\n    seal: {to: [dpo, age1xyz]}\n"
    )
    found = document.read(text, where="x")
    assert list(document.names_used(found)) == [
        ("connection", "c", "x:4"),
        ("connection", "d", "x:7"),
        ("recipient", "dpo", "x:9"),
    ]
