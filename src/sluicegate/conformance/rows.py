"""The conformance suite for connections that give and take rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from sluicegate.base.errors import Cancelled, DataError, Missing, SluiceError
from sluicegate.conformance.connection import chain
from sluicegate.conformance.loading import ANY, MERGE, LoadingSuite
from sluicegate.conformance.samples import NAMES, TEXTS, VALUES, column, rows, table
from sluicegate.kit.connection import FiltersRows, Read
from sluicegate.kit.mode import Append, Merge, Replace
from sluicegate.kit.rows import Marker
from sluicegate.kit.text import to_text
from sluicegate.kit.types import to_name
from sluicegate.kit.watermark import Bound

if TYPE_CHECKING:
    from sluicegate.conformance.connection import Given
    from sluicegate.kit.mode import Mode

HOSTILE = (
    'x"; drop table victim; --',
    "x'; drop table victim; --",
    'a".b',
    "x\\",
    "victim",
    "${jndi:x}",
    "\u202exet",
    "x]; y",
)
"""Names that are code to a careless connector (SEC-P01)."""


SINCE: dict[str, list[Any]] = {
    "int16": [-32768, 32767, 0, 7, 7],
    "int64": [-(1 << 63), (1 << 63) - 1, 0, 41, 42],
    "decimal(20,4)": [Decimal("-9999999999999999.9999"), Decimal("0.0001"), Decimal(7), Decimal("12.3400")],
    "date": [date(1970, 1, 1), date(1999, 12, 31), date(2024, 2, 29), date(9999, 12, 31)],
    "timestamp": [datetime(1970, 1, 2), datetime(2024, 1, 31, 23, 59, 59, 999999), datetime(2024, 2, 1)],  # noqa: DTZ001
    "timestamptz": [
        datetime(1970, 1, 2, tzinfo=UTC), datetime(2024, 1, 31, 23, 59, 59, 999999, UTC),
        datetime(2024, 2, 1, tzinfo=UTC),
    ],
}  # fmt: skip
"""Values of the types that a watermark can have, with neighbours, doubles and the ends of what all systems hold."""


class RowsSuite(LoadingSuite):
    """Holds for every connection that reads and writes rows."""

    changed: ClassVar[dict[str, str]] = {}
    """Types that come back as another, wider one, which the documentation names."""
    unsorted: ClassVar[frozenset[str]] = frozenset()
    """Types that the system does not sort as we do, so that it leaves out no row that is not new."""

    @pytest.mark.parametrize("kind", VALUES)
    def test_type_there_and_back(self, given: Given, kind: str) -> None:
        sent = table({"v": column(kind)})
        assert self.load(given, sent).rows == sent.num_rows
        found = self.read(given)
        expected = self.changed.get(kind, kind)
        assert to_name(found.schema.field("v").type) == expected
        if expected == kind:
            assert found.column("v").combine_chunks().equals(sent.column("v").combine_chunks())
        else:
            texts = [to_text(each.column("v").combine_chunks()).to_pylist() for each in (sent, found)]
            assert texts[0] == texts[1]

    def test_empty_text_is_not_null(self, given: Given) -> None:
        self.load(given, table({"a": ["", None, " "]}))
        assert self.read(given).column("a").to_pylist() == ["", None, " "]

    def test_empty_input_makes_an_empty_table(self, given: Given) -> None:
        sent = table({"a": column("int64", []), "b": column("text", [])})
        assert self.load(given, sent).rows == 0
        assert self.read(given).schema.names == ["a", "b"]
        assert self.read(given).num_rows == 0

    def test_odd_column_names(self, given: Given) -> None:
        sent = table({name: [place] for place, name in enumerate(NAMES)})
        self.load(given, sent)
        assert self.read(given).to_pydict() == sent.to_pydict()
        assert self.read(given, columns=(NAMES[1], NAMES[0])).to_pydict() == {NAMES[1]: [1], NAMES[0]: [0]}
        self.load(given, sent, Merge(keys=NAMES[:3]), item="merged", run="m1")
        self.load(given, sent, Merge(keys=NAMES[:3]), item="merged", run="m2")
        assert self.read(given, "merged").to_pydict() == sent.to_pydict()

    def test_many_rows(self, given: Given) -> None:
        sent = table({"k": list(range(100_000)), "v": [f"row {each}" for each in range(100_000)]})
        assert self.load(given, sent, MERGE).rows == 100_000
        with given.open() as session:
            batches = list(session.read(Read(item=given.item("t"))))
        assert sum(batch.num_rows for batch in batches) == 100_000
        assert max(batch.nbytes for batch in batches) < 8 << 20
        assert self.read(given, limit=7).num_rows == 7

    def test_append_adds(self, given: Given) -> None:
        self.load(given, table({"a": [1, 2]}), run="1")
        assert self.load(given, table({"a": [2, 3]}), run="2").rows == 2
        assert rows(self.read(given)) == [(1,), (2,), (2,), (3,)]

    def test_replace_swaps(self, given: Given) -> None:
        self.load(given, table({"a": [1, 2]}), run="1")
        assert self.load(given, table({"a": [3]}), Replace(), run="2").rows == 1
        assert rows(self.read(given)) == [(3,)]

    def test_replace_takes_other_columns(self, given: Given) -> None:
        self.load(given, table({"a": [1, 2]}), run="1")
        self.load(given, table({"b": ["x"]}), Replace(), run="2")
        assert self.read(given).to_pydict() == {"b": ["x"]}

    def test_merge_updates_and_inserts(self, given: Given) -> None:
        assert self.load(given, table({"k": [1, 2], "v": ["a", "b"]}), MERGE, run="1").rows == 2
        assert self.load(given, table({"v": ["B", "c"], "k": [2, 3]}), MERGE, run="2").rows == 2
        found = self.read(given, columns=("k", "v"))
        assert rows(found) == [(1, "a"), (2, "B"), (3, "c")]

    def test_merge_of_keys_alone(self, given: Given) -> None:
        self.load(given, table({"k": [1]}), MERGE, run="1")
        self.load(given, table({"k": [1, 2]}), MERGE, run="2")
        assert rows(self.read(given)) == [(1,), (2,)]

    def test_repeated_key_is_named(self, given: Given) -> None:
        self.load(given, table({"k": ["a"], "v": [0]}), MERGE, run="0")
        for run, item in (("1", "t"), ("2", "fresh")):
            with pytest.raises(DataError) as caught:
                self.load(
                    given, table({"k": ["a", "twice", "b", "twice"], "v": [1, 2, 3, 4]}), MERGE, item=item, run=run
                )
            assert "k = 'twice'" in str(caught.value)
        assert rows(self.read(given)) == [("a", 0)]
        with pytest.raises(DataError):
            self.load(given, table({"k": ["x", "x"]}), MERGE, item="keys", run="3")

    def test_last_of_repeated_keys(self, given: Given) -> None:
        mode = Merge(keys=("k",), duplicates="last", order_by=("o",))
        orders = column("decimal(9,2)", [None, *VALUES["decimal(9,2)"][:2], VALUES["decimal(9,2)"][2]])
        for run in ("1", "2"):
            self.load(given, table({"k": [1, 1, 1, 2], "o": orders, "v": ["n", "z", "m", "x"]}), mode, run=run)
            assert rows(self.read(given, columns=("k", "v"))) == [(1, "z"), (2, "x")]

    def test_null_in_a_key_is_named(self, given: Given) -> None:
        with pytest.raises(DataError, match="column k"):
            self.load(given, table({"k": [1, None]}), MERGE)

    def test_unknown_key_is_named(self, given: Given) -> None:
        with pytest.raises(DataError, match="'k'"):
            self.load(given, table({"a": [1]}), MERGE)

    def test_merge_needs_a_unique_index(self, given: Given) -> None:
        self.load(given, table({"k": [1]}), run="1")
        with pytest.raises(SluiceError, match="unique index on k"):
            self.load(given, table({"k": [1]}), MERGE, run="2")

    @pytest.mark.parametrize("mode", [Append(), Replace(), MERGE], ids=lambda mode: mode.type)
    def test_same_load_never_lands_twice(self, given: Given, mode: Mode) -> None:
        sent = table({"k": [1, 2]})
        first = self.load(given, sent, mode)
        again = self.load(given, sent, mode)
        assert (first.rows, first.repeated, again.rows, again.repeated) == (2, False, 2, True)
        assert rows(self.read(given)) == [(1,), (2,)]

    @pytest.mark.parametrize("mode", [Append(), Replace(), MERGE], ids=lambda mode: mode.type)
    def test_nothing_is_seen_before_commit(self, given: Given, mode: Mode) -> None:
        self.load(given, table({"k": [1]}), MERGE, run="1")
        more = table({"k": [2, 3]})
        with given.open() as session, session.stage(given.item("t"), more.schema, mode, Marker("2", "w"), ANY) as stage:
            for batch in more.to_batches():
                stage.write(batch)
            assert rows(self.read(given)) == [(1,)]
            stage.commit()
        assert (2,) in rows(self.read(given))

    @pytest.mark.parametrize("mode", [Append(), Replace(), MERGE], ids=lambda mode: mode.type)
    @pytest.mark.parametrize("way", ["leave", "raise", "close"])
    def test_abandoned_load_changes_nothing(self, given: Given, mode: Mode, way: str) -> None:
        self.load(given, table({"k": [1]}), MERGE, run="1")
        more = table({"k": [2, 3]})
        with given.open() as session:
            stage = session.stage(given.item("t"), more.schema, mode, Marker("2", "w"), ANY)
            if way == "close":
                stage.write(more.to_batches()[0])
            else:
                with pytest.raises(ZeroDivisionError) if way == "raise" else stage, stage:
                    stage.write(more.to_batches()[0])
                    if way == "raise":
                        raise ZeroDivisionError
        assert rows(self.read(given)) == [(1,)]
        assert self.load(given, more, mode, run="2").repeated is False

    def test_columns_must_match(self, given: Given) -> None:
        self.load(given, table({"a": [1], "b": ["x"]}), run="1")
        for run, wrong, told in (
            ("2", {"a": [1], "b": ["x"], "c": [1]}, "'c'"), ("3", {"a": [1]}, "'b'"),
            ("4", {"a": ["1"], "b": ["x"]}, "column a"),
        ):  # fmt: skip
            with pytest.raises(DataError, match=told):
                self.load(given, table(wrong), run=run)
        assert rows(self.read(given)) == [(1, "x")]

    def test_unknown_item_and_column_are_named(self, given: Given) -> None:
        with pytest.raises(Missing, match="gone"):
            self.read(given, "gone")
        self.load(given, table({"a": [1]}))
        with pytest.raises(DataError, match="nope"):
            self.read(given, columns=("nope",))

    def test_lists_its_tables_and_no_others(self, given: Given) -> None:
        self.load(given, table({"a": [1]}), item="b", run="1")
        self.load(given, table({"a": [1]}), item="a", run="2")
        with given.open() as session:
            assert [entry.name for entry in session.items()] == ["a", "b"]
            assert [entry.name for entry in session.items("b")] == ["b"]

    def test_cancel_ends_a_read(self, given: Given) -> None:
        values = [f"{each:0>100}" for each in range(50_000)]
        self.load(given, table({"v": values}))
        given.ctx = replace(given.ctx, cancelled=lambda: True)
        with pytest.raises(Cancelled):
            self.read(given)

    @pytest.mark.parametrize("kind", SINCE)
    def test_reads_what_is_new_and_leaves_out_no_row(self, given: Given, kind: str) -> None:
        odd, values = 'a"`%s?', [None, *SINCE[kind], *SINCE[kind]]
        self.load(given, table({"k": list(range(len(values))), odd: column(kind, values)}))
        for value in SINCE[kind]:
            text = str(value) if isinstance(value, int | Decimal) else value.isoformat()
            for inclusive, skip in ((True, False), (False, True)):
                bound = Bound(column=odd, value=text, inclusive=inclusive, nulls="skip" if skip else "read")
                found = self.read(given, since=bound)
                new = {
                    place
                    for place, each in enumerate(values)
                    if (each is None and not skip)
                    or (each is not None and (each > value or (inclusive and each == value)))
                }
                assert new <= set(found.column("k").to_pylist())
                if value == max(SINCE[kind]) and kind not in self.unsorted:
                    assert found.num_rows < len(values) - 1, "nothing was left out"
        with given.open() as session:
            assert isinstance(session, FiltersRows)
            assert session.filters(Read(item=given.item("t"), since=bound)) is (kind not in self.unsorted)
            assert session.filters(Read(item=given.item("t"))) is False

    @pytest.mark.security
    @pytest.mark.req("SEC-P01")
    @pytest.mark.parametrize("name", HOSTILE)
    def test_names_are_never_code(self, given: Given, name: str) -> None:
        self.load(given, table({"a": [1]}), item="victim", run="0")
        sent = table({name: [7], "v": [name]})
        for run, mode in (("1", Merge(keys=(name,))), ("2", Merge(keys=(name,))), ("3", Replace())):
            self.load(given, sent, mode, item=f"{name}!", run=run)
        last = Merge(keys=(name,), duplicates="last", order_by=("v",))
        self.load(given, sent, last, item="ordered", run="4")
        assert self.read(given, f"{name}!", columns=(name, "v")).to_pydict() == sent.to_pydict()
        assert self.read(given, "victim").to_pydict() == {"a": [1]}

    @pytest.mark.security
    @pytest.mark.req("SEC-P01")
    @pytest.mark.parametrize(
        "name", ["", "nul\0byte", "x" * 65_536, "\ud800"], ids=["empty", "nul", "long", "surrogate"]
    )
    def test_impossible_names_are_refused(self, given: Given, name: str) -> None:
        self.load(given, table({"a": [1]}), run="0")
        with pytest.raises((SluiceError, UnicodeEncodeError)):
            self.load(given, table({"a": [1]}), item=name)
        if name.isascii():
            with pytest.raises(SluiceError):
                self.load(given, table({name: [1]}), item="u")
        with given.open() as session:
            assert [entry.name for entry in session.items()] == ["t"]

    @pytest.mark.security
    @pytest.mark.req("SEC-P01")
    def test_values_are_never_code(self, given: Given) -> None:
        self.load(given, table({"a": [1]}), item="victim", run="0")
        sent = table({"k": list(TEXTS), "v": list(TEXTS)})
        self.load(given, sent, MERGE, run="1")
        self.load(given, sent, MERGE, run="2")
        assert rows(self.read(given)) == rows(sent)
        assert self.read(given, "victim").num_rows == 1

    @pytest.mark.security
    def test_errors_hold_no_rows(self, given: Given) -> None:
        """A constraint's message must name the constraint, never the row: errors are stored and shown."""
        sent = table({"k": ["private-key"], "v": ["private-value"]})
        self.load(given, sent, MERGE, run="1")
        with pytest.raises(SluiceError) as caught:
            self.load(given, sent, Append(), run="2")
        assert "private" not in repr(caught.value.problem()) + chain(caught.value)
        assert self.read(given).num_rows == 1
