from __future__ import annotations

import time

import pytest

from sluicegate.base.errors import Invalid, Missing
from sluicegate.base.principal import Role
from sluicegate.store.definitions import Definitions

FILES = "kind: connection\nname: {name}\ntype: files\nroot: .\n"
COPY = """\
kind: flow
name: {name}
steps:
  - read: {{ name: rows, connection: {source}, item: in.csv }}
  - write: {{ from: rows, connection: {target}, item: out.csv }}
"""
RECIPIENT = "kind: recipient\nname: {name}\nrecipient: age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p\n"
ARCHIVE = """\
kind: flow
name: {name}
steps:
  - read: {{ name: rows, connection: {source}, item: in.csv }}
  - archive: {{ from: rows, connection: {source}, item: out.parquet, seal: {{ to: [{to}] }} }}
"""


@pytest.fixture
def editor(place):
    return place.token(Role.EDITOR)


def apply(place, token, *sources):
    return place.call("definition.apply", {"source": "---\n".join(sources)}, token).items


def test_documents_are_saved_in_their_order_and_may_refer_to_each_other(place, editor):
    done = apply(
        place, editor, COPY.format(name="def-a", source="def-here", target="def-here"), FILES.format(name="def-here")
    )
    assert [(each.kind, each.name, each.version, each.changed) for each in done] == [
        ("flow", "def-a", 1, True),
        ("connection", "def-here", 1, True),
    ]


def test_the_same_again_is_no_new_version_and_a_change_is(place, editor):
    apply(place, editor, FILES.format(name="def-b"))
    (again,) = apply(place, editor, "# a comment\n" + FILES.format(name="def-b"))
    (changed,) = apply(place, editor, FILES.format(name="def-b") + "description: other\n")
    assert (again.version, again.changed) == (1, False)
    assert (changed.version, changed.changed) == (2, True)
    versions = place.call("connection.versions", {"name": "def-b"}, editor).items
    assert [each.version for each in versions] == [2, 1]
    assert len({each.digest for each in versions}) == 2


def test_each_version_can_be_shown_as_it_was_written(place, editor):
    first = FILES.format(name="def-c") + "description: 'first'  # in their own words\n"
    apply(place, editor, first)
    apply(place, editor, FILES.format(name="def-c"))
    newest = place.call("connection.get", {"name": "def-c"}, editor)
    older = place.call("connection.get", {"name": "def-c", "version": 1}, editor)
    assert (newest.version, newest.body.get("description")) == (2, None)
    assert (older.version, older.source, older.body["description"]) == (1, first, "first")
    assert older.author == place.people["north", Role.EDITOR].id
    with pytest.raises(Missing):
        place.call("connection.get", {"name": "def-c", "version": 3}, editor)


def test_one_wrong_document_saves_none(place, editor):
    with pytest.raises(Invalid) as told:
        apply(place, editor, FILES.format(name="def-d"), "kind: flow\nname: def-wrong\nsteps: 7\n")
    assert "flow def-wrong" in told.value.where
    with pytest.raises(Missing):
        place.call("connection.get", {"name": "def-d"}, editor)


@pytest.mark.parametrize("source", ["", "---\n---\n", "# nothing\n"])
def test_a_text_without_documents_is_refused(place, editor, source):
    with pytest.raises(Invalid, match="no document"):
        place.call("definition.apply", {"source": source}, editor)


def test_what_a_document_refers_to_must_be_there(place, editor):
    for source, kind in (
        (COPY.format(name="def-e", source="def-nowhere", target="def-nowhere"), "connection 'def-nowhere'"),
        (FILES.format(name="def-safe") + "---\n" + ARCHIVE.format(name="def-e", source="def-safe", to="def-nobody"), "recipient 'def-nobody'"),
    ):  # fmt: skip
        with pytest.raises(Invalid, match=f"there is no {kind}") as told:
            apply(place, editor, source)
        assert told.value.where.startswith("line ")
        assert "Apply it first" in told.value.hint


def test_checking_saves_nothing_and_says_the_digest_that_saving_will(place, editor):
    source = FILES.format(name="def-f")
    (checked,) = place.call("definition.validate", {"source": source}, editor).items
    with pytest.raises(Missing):
        place.call("connection.get", {"name": "def-f"}, editor)
    apply(place, editor, source)
    assert place.call("connection.get", {"name": "def-f"}, editor).digest == checked.digest


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_checking_finds_what_saving_would_refuse_and_clears_nothing(place, editor):
    kept = (
        "kind: connection\nname: def-g\ntype: postgres\nhost: {}\ndatabase: d\nuser: u\npassword: {{ secret: def-g }}\n"
    )
    place.call("secret.set", {"name": "def-g", "value": "a value"}, editor)
    apply(place, editor, kept.format("db.example.org"))
    place.call("definition.validate", {"source": kept.format("evil.example")}, editor)
    assert "def-g" in {each.name for each in place.call("secret.list", {}, editor).items}
    stolen = kept.format("evil.example").replace("name: def-g", "name: def-thief")
    with pytest.raises(Invalid, match="belongs to the connection 'def-g'"):
        place.call("definition.validate", {"source": stolen}, editor)


@pytest.mark.parametrize(
    ("kind", "name", "source"),
    [
        ("connection", "def-h", COPY.format(name="def-uses-h", source="def-h", target="def-h")),
        ("recipient", "def-i", FILES.format(name="def-vault") + "---\n" + ARCHIVE.format(name="def-uses-i", source="def-vault", to="def-i")),
    ],
)  # fmt: skip
def test_what_a_flow_uses_is_not_deleted_before_the_flow(place, editor, kind, name, source):
    apply(place, editor, {"connection": FILES, "recipient": RECIPIENT}[kind].format(name=name), source)
    flow = source.split("name: def-uses-")[1][0]
    with pytest.raises(Invalid, match=f"the flow 'def-uses-{flow}' uses it") as told:
        place.call(f"{kind}.delete", {"name": name}, editor)
    assert told.value.where == f"{kind} {name}"
    place.call("flow.delete", {"name": f"def-uses-{flow}"}, editor)
    place.call(f"{kind}.delete", {"name": name}, editor)
    assert name not in {each.name for each in place.call(f"{kind}.list", {}, editor).items}


def test_a_flow_that_does_not_name_it_is_not_even_read(place, editor):
    """One that an older release has written, and this one does not take, stands in the way of no other's deleting."""
    scope = place.scope("north")
    scope.definitions().put("flow", "def-older", {"kind": "flow", "name": "def-older", "steps": "?"}, "", "older")
    apply(place, editor, FILES.format(name="def-k"))
    place.call("connection.delete", {"name": "def-k"}, editor)
    scope.definitions().delete("flow", "def-older")


def test_saving_reads_the_history_of_connections_once(place, editor, monkeypatch):
    read, real = [], Definitions.history
    monkeypatch.setattr(Definitions, "history", lambda self, kind: read.append(kind) or real(self, kind))
    apply(place, editor, FILES.format(name="def-l"))
    assert read == ["connection"]
    place.call("definition.validate", {"source": FILES.format(name="def-l")}, editor)
    assert read == ["connection"] * 2
    apply(place, editor, COPY.format(name="def-uses-l", source="def-l", target="def-l"))
    assert read == ["connection"] * 2, "and not for what is no connection"


def test_what_was_deleted_is_missing_and_goes_on_counting_when_it_comes_back(place, editor):
    apply(place, editor, FILES.format(name="def-j"))
    place.call("connection.delete", {"name": "def-j"}, editor)
    with pytest.raises(Missing):
        place.call("connection.get", {"name": "def-j"}, editor)
    with pytest.raises(Missing):
        place.call("connection.delete", {"name": "def-j"}, editor)
    (back,) = apply(place, editor, FILES.format(name="def-j"))
    assert back.changed
    assert back.version == 2, "a run names a version for good"


def test_the_list_of_flows_says_how_the_last_run_went(place, editor):
    apply(place, editor, "kind: flow\nname: def-k\nsteps: []\n", "kind: flow\nname: def-l\nsteps: []\n")
    place.a_run("north", "def-k")
    time.sleep(0.002)  # runs of one millisecond have no order
    newest = place.a_run("north", "def-k")
    listed = {each.name: each for each in place.call("flow.list", {}, editor).items}
    assert (listed["def-k"].last_run.id, listed["def-k"].last_run.state) == (newest, "queued")
    assert listed["def-l"].last_run is None


@pytest.mark.security
@pytest.mark.req("SEC-D02")
def test_a_text_has_a_largest_size(place, editor):
    with pytest.raises(Invalid, match="source"):
        place.call("definition.apply", {"source": "#" * ((1 << 20) + 1)}, editor)


@pytest.mark.security
@pytest.mark.req("SEC-V01")
def test_a_secret_in_the_clear_is_refused_and_not_repeated(place, editor):
    source = "kind: connection\nname: def-m\ntype: postgres\nhost: h\ndatabase: d\nuser: u\npassword: canary-hunter2\n"
    for operation in ("definition.apply", "definition.validate"):
        with pytest.raises(Invalid, match="password") as told:
            place.call(operation, {"source": source}, editor)
        assert "canary" not in str(told.value)
