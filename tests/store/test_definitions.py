"""Definitions and their versions."""

from __future__ import annotations

import threading

import pytest

from sluicegate.base.errors import Missing
from sluicegate.store.definitions import Brief, Definition, Draft, Last
from tests.store.rows import a_run


@pytest.fixture
def definitions(ours):
    return ours.definitions()


def test_a_definition_comes_back_as_it_was_put(definitions, ours, clock):
    body = {"kind": "flow", "b": [1, None, 0.1, "ü"], "a": {"z": 1, "y": 2}}
    assert definitions.put("flow", "f", body, "kind: flow  # ü\n", "d1") == (1, True)
    found = definitions.get("flow", "f")
    assert found == Definition("flow", "f", 1, "d1", body, "kind: flow  # ü\n", "admin-of-ours", clock.now)
    assert list(found.body) == ["kind", "b", "a"]


def test_the_same_digest_is_no_new_version(definitions):
    assert definitions.put("flow", "f", {"a": 1}, "", "d1") == (1, True)
    assert definitions.put("flow", "f", {"a": 1}, "other text", "d1") == (1, False)
    assert definitions.put("flow", "f", {"a": 2}, "", "d2") == (2, True)
    assert definitions.put("flow", "f", {"a": 1}, "", "d1") == (3, True)  # back to what it was is a change, too
    assert [brief.version for brief in definitions.versions("flow", "f")] == [3, 2, 1]
    assert definitions.get("flow", "f", 2).body == {"a": 2}


def test_a_version_that_is_missing_is_told_apart_from_a_name_that_is(definitions):
    for digest in ("d1", "d2"):
        definitions.put("flow", "f", {}, "", digest)
    with pytest.raises(Missing, match="The flow f has no version 9.") as told:
        definitions.get("flow", "f", 9)
    assert told.value.hint == "The newest is 2."
    with pytest.raises(Missing, match="There is no flow named g."):
        definitions.get("flow", "g", 9)


def test_a_list_of_flows_holds_the_newest_run_of_each(ours, definitions, clock):
    for flow in "hgf":
        definitions.put("flow", flow, {}, "", flow)
    definitions.delete("flow", "h")
    for number, flow in enumerate("fgfhx"):
        ours.runs().add(a_run(id=f"{number:03}", flow=flow))
    assert list(definitions.list_flows()) == [
        (Brief("flow", flow, 1, flow, "admin-of-ours", clock.now), Last(run, "queued", 1.0))
        for flow, run in (("f", "002"), ("g", "001"))
    ]


def test_lists_hold_the_newest_of_each(definitions, clock):
    for name, digest in (("b", "1"), ("a", "1"), ("b", "2")):
        definitions.put("flow", name, {}, "", digest)
    definitions.put("connection", "c", {}, "", "1")
    assert definitions.list("flow") == [
        Brief("flow", "a", 1, "1", "admin-of-ours", clock.now),
        Brief("flow", "b", 2, "2", "admin-of-ours", clock.now),
    ]
    assert [(brief.kind, brief.name) for brief in definitions.list()] == [
        ("connection", "c"), ("flow", "a"), ("flow", "b"),
    ]  # fmt: skip
    assert definitions.list("schedule") == []


def test_a_deleted_definition_is_gone_but_its_versions_stay(definitions):
    definitions.put("flow", "f", {"a": 1}, "", "d1")
    definitions.delete("flow", "f")
    assert definitions.list("flow") == []
    for gone in (lambda: definitions.get("flow", "f"), lambda: definitions.delete("flow", "f")):
        with pytest.raises(Missing):
            gone()
    assert definitions.get("flow", "f", 1).body == {"a": 1}  # a run that used it can still be explained
    assert definitions.put("flow", "f", {"a": 1}, "", "d1") == (2, True)
    assert definitions.get("flow", "f").version == 2


def test_what_was_never_there_is_missing(definitions):
    definitions.put("flow", "f", {}, "", "d")
    for ask in (
        lambda: definitions.get("flow", "g"),
        lambda: definitions.get("connection", "f"),
        lambda: definitions.get("flow", "f", 2),
        lambda: definitions.versions("flow", "g"),
        lambda: definitions.delete("flow", "g"),
    ):
        with pytest.raises(Missing):
            ask()


def test_many_are_put_together_or_not_at_all(definitions):
    drafts = [Draft("flow", "f", {}, "", "1"), ("flow", "g", {}, "", "1"), Draft("flow", "f", {}, "", "1")]
    assert definitions.put_many(drafts) == [(1, True), (1, True), (1, False)]
    with pytest.raises(ValueError):  # NaN is not JSON
        definitions.put_many([Draft("flow", "h", {}, "", "1"), Draft("flow", "i", {"a": float("nan")}, "", "1")])
    assert [brief.name for brief in definitions.list("flow")] == ["f", "g"]


def test_versions_of_many_writers_have_no_gaps_and_no_doubles(definitions):
    told = []

    def work(number):
        told.extend(definitions.put("flow", "f", {}, "", f"{number}-{turn}")[0] for turn in range(5))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == list(range(1, 51))
    assert definitions.get("flow", "f").version == 50


def test_the_newest_versions_that_name_something_are_found_by_their_text(definitions):
    for name, body in (("a", {"x": "n_1"}), ("b", {"x": ["q", {"y": "n_1"}]}), ("c", {"x": "n_1-longer"}),
                       ("d", {"x": "nx1"}), ("e", {"x": "n_1"}), ("f", {"x": "n_1"})):  # fmt: skip
        definitions.put("flow", name, body, "", name)
    definitions.put("connection", "g", {"x": "n_1"}, "", "g")
    definitions.put("flow", "e", {"x": "other"}, "", "e2")
    definitions.delete("flow", "f")
    assert [each.name for each in definitions.current("flow", "n_1")] == ["a", "b"]
    assert [(each.name, each.version) for each in definitions.current("flow")] == [
        ("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 2)
    ]  # fmt: skip
    assert [each.name for each in definitions.current("flow", "%")] == []
