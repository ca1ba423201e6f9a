from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import DataError, Invalid, UnknownColumn
from sluicegate.conformance.step import TransformSuite
from sluicegate.kit.columns import Columns
from sluicegate.kit.lineage import Fact, Facts
from sluicegate.steps.join import Join
from tests.fixtures.transform import run


class TestJoin(TransformSuite):
    plugin = Join
    whole = {"name": "j", "left": "l", "right": "r", "on": ["k"], "how": "full"}
    schemas = {"l": ("k", "a"), "r": ("k", "A")}


class TestSemiJoin(TransformSuite):
    plugin = Join
    whole = {"name": "j", "left": "l", "right": "r", "on": [{"left": "k", "right": "id"}, "a"], "how": "semi"}
    schemas = {"l": ("k", "a"), "r": ("id", "a", "b")}


class TestCrossJoin(TransformSuite):
    plugin = Join
    whole = {"name": "j", "left": "l", "right": "r", "how": "cross"}
    schemas = {"l": ("k",), "r": ("a",)}

    def test_a_lost_column_is_told_with_its_step(self) -> None:
        """It names none, but both sides must differ."""
        super().test_a_lost_column_is_told_with_its_step()


def join(**fields: object) -> Join:
    return Join.model_validate({"name": "j", "left": "l", "right": "r", "on": ["k"], **fields})


def inputs(left: tuple[str, ...], right: tuple[str, ...]) -> dict[str, Columns]:
    return {
        "l": Columns("s0", {name: f"c{place}" for place, name in enumerate(left)}),
        "r": Columns("s1", {name: f"c{place}" for place, name in enumerate(right, len(left))}),
    }


INPUTS = inputs(("k", "a"), ("k", "b"))


@pytest.mark.parametrize(
    ("how", "key"), [("inner", '"c0"'), ("left", '"c0"'), ("right", '"c2"'), ("full", 'coalesce("c0", "c2")')]
)
def test_join_columns_come_out_once(how, key):
    found = join(how=how)
    assert found.outputs(INPUTS) == ("k", "a", "b")
    assert found.query(INPUTS) == f'SELECT {key}, "c1", "c3" FROM "s0" {how.upper()} JOIN "s1" ON "c0" = "c2"'


def test_a_lost_join_column_is_told():
    with pytest.raises(UnknownColumn, match="no column 'k'"):
        join().query(inputs(("a",), ("k",)))


def test_a_name_on_both_sides_is_told():
    with pytest.raises(Invalid, match="both inputs have a column 'a'"):
        join().query(inputs(("k", "a"), ("k", "a")))


@pytest.mark.security
@pytest.mark.req("SEC-P01")
def test_names_of_columns_never_reach_the_query():
    evil = 'k") ; drop table x; --'
    assert "drop" not in join(on=[evil]).query(inputs((evil, "V"), (evil, "v")))


PAIRS = st.lists(st.tuples(st.sampled_from([None, 1, 2, 3]), st.integers(0, 2)), max_size=7)
KINDS = ["inner", "left", "right", "full", "semi", "anti"]


def oracle(left, right, how):
    """Return what a join gives, from nested loops."""
    found, met = [], set()
    for k, a in left:
        partners = [place for place, (other, _) in enumerate(right) if k is not None and other == k]
        met.update(partners)
        if how in {"semi", "anti"}:
            found += [(k, a)] if bool(partners) == (how == "semi") else []
            continue
        found += [(k, a, right[place][1]) for place in partners]
        found += [(k, a, None)] if not partners and how in {"left", "full"} else []
    if how in {"right", "full"}:
        found += [(k, None, b) for place, (k, b) in enumerate(right) if place not in met]
    return Counter(found)


@settings(max_examples=40)
@given(left=PAIRS, right=PAIRS, how=st.sampled_from(KINDS))
def test_every_kind_gives_what_nested_loops_give(left, right, how):
    def table(rows, name, key):
        keys = pa.array([k for k, _ in rows], pa.int64())
        return pa.table({key: keys, name: pa.array([v for _, v in rows], pa.int64())})

    made = join(on=[{"left": "k", "right": "id"}], how=how)
    found = run(made, l=table(left, "a", "k"), r=table(right, "b", "id"))
    assert found.schema.names == (["k", "a"] if how in {"semi", "anti"} else ["k", "a", "b"])
    assert Counter(tuple(row.values()) for row in found.to_pylist()) == oracle(left, right, how)


def test_keys_of_types_that_do_not_meet_are_told_before_any_row():
    one, other = pa.table({"k": pa.array([], pa.int64())}), pa.table({"k": pa.array([], pa.float64())})
    with pytest.raises(Invalid, match="'k' is int64 in 'l' and float64 in 'r'") as caught:
        run(join(), l=one, r=other)
    assert caught.value.where == "step j, on"


def test_a_cross_join_is_bounded():
    left = pa.table({"a": [1, 2]})
    made = join(on=[], how="cross")
    assert run(made, l=left, r=pa.table({"b": [3, 4]})).num_rows == 4
    with pytest.raises(DataError, match="right side of a cross join has more than 10000 rows"):
        run(made, l=left, r=pa.table({"b": range(10_001)}))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"on": []}, "a join needs 'on'"),
        ({"how": "cross"}, "a cross join has no 'on'"),
        ({"right": "l"}, "two different inputs"),
    ],
)
def test_misuse_is_told(fields, says):
    with pytest.raises(Invalid, match=says):
        join(**fields).check_text()


def test_all_names_that_clash_are_told():
    with pytest.raises(Invalid, match=r"both inputs have a column 'a' \(and 1 more: b\)") as caught:
        join().query(inputs(("k", "a", "b"), ("k", "a", "b")))
    assert "select" in caught.value.hint


@pytest.mark.security
@pytest.mark.req("SEC-B10")
def test_a_join_column_has_the_tags_of_both_sides():
    known = {
        "l": Facts.listed([("k", Fact(sure=True))]),
        "r": Facts.listed([("id", Fact(frozenset({"personal"}), sure=True))]),
    }
    found = join(on=[{"left": "k", "right": "id"}], how="full").trace(known)
    assert found.get("K").tags == {"personal"}


@pytest.mark.security
@pytest.mark.req("SEC-B10")
@pytest.mark.parametrize("how", ["semi", "anti"])
def test_what_is_sifted_by_a_tagged_column_has_its_tags(how):
    known = {
        "l": Facts.listed([("k", Fact(kind="text", sure=True)), ("a", Fact(frozenset({"health"}), sure=True))]),
        "r": Facts.listed([("id", Fact(frozenset({"personal"}), sure=True)), ("b", Fact(frozenset({"card"})))]),
    }
    found = join(on=[{"left": "k", "right": "id"}], how=how).trace(known)
    assert (found.get("k").tags, found.get("a").tags) == ({"personal"}, {"health"})
    assert (found.get("k").kind, found.get("b").tags) == ("text", frozenset())
