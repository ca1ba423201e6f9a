"""The conformance suite for the ways rows get into a table: modes, schema modes, and what needs to be allowed."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from sluicegate.base.errors import Constraint, DataError, Invalid, Missing, SluiceError
from sluicegate.conformance.connection import ConnectionSuite
from sluicegate.conformance.samples import column, rows, table
from sluicegate.kit.connection import Read, ReadsRows, TellsKeys, WritesRows
from sluicegate.kit.mode import Append, Delete, InsertMissing, Merge, Replace, Truncate, Update
from sluicegate.kit.rows import Marker
from sluicegate.kit.target import PLAIN, WORDS, Keys, Table, Target
from sluicegate.kit.types import to_name

if TYPE_CHECKING:
    import pyarrow as pa

    from sluicegate.conformance.connection import Given
    from sluicegate.kit.mode import Mode
    from sluicegate.kit.rows import Receipt

ANY = Target(allow=WORDS)
"""Nothing is forbidden."""
MERGE = Merge(keys=("k",))
ROUNDS = 14
"""Loads one after the other into one table, compared with the oracle after each."""
_KEYED: tuple[type[Merge | Update | InsertMissing | Delete], ...] = (Merge, Update, InsertMissing, Delete)


def choose(**choices: Any) -> Target:
    """Return a target with these choices for its table, and nothing forbidden."""
    return Target(Table(**choices), WORDS)


class Oracle:
    """What a table must hold, told by a dictionary from key to value."""

    def __init__(self) -> None:
        """Begin empty."""
        self.held: dict[tuple[int, str], str | None] = {}

    def load(self, mode: Mode, sent: list[tuple[int, str, int, str | None]]) -> dict[str, int]:
        """Take rows (both keys, order, value); return the counts of a receipt."""
        last = {(one, two): value for one, two, _, value in sorted(sent, key=lambda row: row[2])}
        there = {key for key in last if key in self.held}
        counts = {"rows": len(sent)}
        if isinstance(mode, Replace | Truncate):
            self.held = last
            return counts | {"inserted": len(last)}
        if isinstance(mode, Delete):
            self.held = {key: value for key, value in self.held.items() if key not in there}
            return counts | {"deleted": len(there)}
        if isinstance(mode, Merge | Update):
            self.held |= {key: last[key] for key in there}
            counts["updated"] = len(there)
        if isinstance(mode, Merge | InsertMissing | Append):
            self.held |= {key: value for key, value in last.items() if key not in there}
            counts["inserted"] = len(last) - len(there)
        return counts


class LoadingSuite(ConnectionSuite):
    """Holds for every connection with tables."""

    abilities: ClassVar[set[type]] = {ReadsRows, WritesRows, TellsKeys}
    tells_indexes: ClassVar[bool] = True
    """Whether indexes are told that are no constraints."""
    widens: ClassVar[bool] = True
    """Whether the database can change the type of a column."""

    def load(
        self, given: Given, found: pa.Table, mode: Mode | None = None, *, item: str = "t", run: str = "r",
        target: Target = ANY,
    ) -> Receipt:  # fmt: skip
        """Load a table in one run."""
        with (
            given.open() as session,
            session.stage(given.item(item), found.schema, mode or Append(), Marker(run, "w"), target) as stage,
        ):
            receipt: Receipt | None = stage.done
            if receipt is None:
                for batch in found.to_batches():
                    stage.write(batch)
                receipt = stage.commit()
            return receipt

    def read(self, given: Given, item: str = "t", **ask: Any) -> pa.Table:
        """Read an item."""
        with given.open() as session:
            return session.read(Read(item=given.item(item), **ask)).read_all()

    @pytest.mark.parametrize("seed", range(2))
    def test_modes_agree_with_an_oracle(self, given: Given, seed: int) -> None:
        """Random rows by random modes, one load after the other: the table and the counts are those of a dictionary."""
        chance, oracle = random.Random(seed), Oracle()  # noqa: S311 - a seed is asked for
        self.load(given, _table([]), Merge(keys=("k", "l")), run="0")
        for place in range(ROUNDS):
            many = chance.random() < 0.5
            mode = _mode(chance, many=many)
            keys = [(each, letter) for each in range(8) for letter in ("a", "A", " ")]
            took = chance.choices(keys, k=chance.randrange(20)) if many else chance.sample(keys, chance.randrange(20))
            if isinstance(mode, Append):
                took = [key for key in dict.fromkeys(took) if key not in oracle.held]
            values = chance.choices(["", None, "x", "it's", "ünï"], k=len(took))
            orders = chance.sample(range(100), len(took))
            sent = [(*key, order, value) for key, order, value in zip(took, orders, values, strict=True)]
            receipt = self.load(given, _table(sent), mode, run=f"{place + 1}")
            expected = oracle.load(mode, sent)
            told = {name: getattr(receipt, name) for name in expected}
            assert (place, mode.type, told) == (place, mode.type, expected)
            found = self.read(given, columns=("k", "l", "v"))
            assert rows(found) == sorted(((*key, value) for key, value in oracle.held.items()), key=repr), mode

    @pytest.mark.security
    @pytest.mark.parametrize("mode", [Replace(), Truncate(), Delete(keys=("k",))], ids=lambda mode: mode.type)
    def test_what_takes_rows_away_must_be_allowed(self, given: Given, mode: Mode) -> None:
        self.load(given, table({"k": [1, 2]}), MERGE, run="1")
        for target in (PLAIN, Target(allow=WORDS - mode.needs)):
            with pytest.raises(Invalid, match=rf"allow: \[.*{mode.type}") as caught:
                self.load(given, table({"k": [1]}), mode, run="2", target=target)
            assert "not allow" in caught.value.message
        assert rows(self.read(given)) == [(1,), (2,)]
        assert self.load(given, table({"k": [1]}), mode, run="2", target=Target(allow=mode.needs)).rows == 1

    @pytest.mark.security
    def test_a_table_is_only_dropped_when_that_is_allowed(self, given: Given) -> None:
        self.load(given, table({"a": [1, 2]}), run="1")
        with pytest.raises(Invalid, match=r"allow: \[drop, replace\]"):
            self.load(given, table({"b": ["x"]}), Replace(), run="2", target=Target(allow=frozenset({"replace"})))
        with pytest.raises(DataError, match="'b'"):
            self.load(given, table({"b": ["x"]}), Truncate(), run="3")
        assert self.read(given).to_pydict() == {"a": [1, 2]}

    @pytest.mark.parametrize("kind", _KEYED, ids=lambda kind: kind.__name__.lower())
    def test_keyed_modes_refuse_what_a_merge_refuses(self, given: Given, kind: type[Merge]) -> None:
        mode = kind(keys=("k",))
        self.load(given, table({"k": ["a"], "v": [0]}), MERGE, run="0")
        self.load(given, table({"k": ["a"], "v": [0]}), item="bare", run="1")
        for told, sent, item in (
            ("k = 'twice'", {"k": ["a", "twice", "twice"], "v": [1, 2, 3]}, "t"),
            ("NULL", {"k": [None, "a"], "v": [1, 2]}, "t"),
            ("'k' is not a column", {"v": [1]}, "t"), ("unique index on k", {"k": ["a"], "v": [1]}, "bare"),
        ):  # fmt: skip
            with pytest.raises(SluiceError, match=told):
                self.load(given, table(sent), mode, item=item, run="2")
        assert rows(self.read(given)) == rows(self.read(given, "bare")) == [("a", 0)]

    @pytest.mark.parametrize("mode", [Update(keys=("k",)), Delete(keys=("k",))], ids=lambda mode: mode.type)
    def test_no_table_is_made_for_rows_to_be_changed(self, given: Given, mode: Mode) -> None:
        with pytest.raises(Missing, match="no such table"):
            self.load(given, table({"k": [1], "v": [1]}), mode)

    def test_some_columns_are_enough_to_change_rows(self, given: Given) -> None:
        self.load(given, table({"k": [1, 2], "v": ["a", "b"], "w": [0.5, 1.5]}), MERGE, run="1")
        assert self.load(given, table({"k": [2, 3], "v": ["B", "C"]}), Update(keys=("k",)), run="2").updated == 1
        assert self.load(given, table({"k": [1], "x": ["?"]}), Delete(keys=("k",)), run="3").deleted == 1
        assert self.read(given).to_pydict() == {"k": [2], "v": ["B"], "w": [1.5]}

    @pytest.mark.parametrize(
        "mode", [Append(), Replace(), Truncate(), MERGE, Update(keys=("k",)), InsertMissing(keys=("k",))],
        ids=lambda mode: mode.type,
    )  # fmt: skip
    def test_a_row_that_the_target_refuses_undoes_the_whole_load(self, given: Given, mode: Mode) -> None:
        assert given.execute is not None
        given.execute("create table t (k bigint primary key, v integer not null check (v < 10))")
        given.execute("insert into t values (1, 1), (2, 2)")
        sent = table({"k": [1, 2, 3], "v": column("int32", [3, 50, 60])})
        with pytest.raises(Constraint):
            self.load(given, sent, mode)
        assert rows(self.read(given)) == [(1, 1), (2, 2)]

    def test_a_row_that_others_need_is_not_deleted(self, given: Given) -> None:
        assert given.execute is not None
        given.execute("create table t (k bigint primary key)")
        given.execute("create table more (k bigint, foreign key (k) references t (k))")
        given.execute("insert into t values (1), (2)")
        given.execute("insert into more values (2)")
        with pytest.raises(Constraint):
            self.load(given, table({"k": [1, 2]}), Delete(keys=("k",)))
        assert rows(self.read(given)) == [(1,), (2,)]

    @pytest.mark.parametrize("mode", [Truncate(), *(kind(keys=("k",)) for kind in _KEYED)], ids=lambda mode: mode.type)
    def test_a_load_that_is_left_or_repeated_changes_nothing(self, given: Given, mode: Mode) -> None:
        self.load(given, table({"k": [1, 2], "v": ["a", "b"]}), MERGE, run="1")
        more = table({"k": [2, 3], "v": ["B", "C"]})
        with (
            given.open() as session,
            session.stage(given.item("t"), more.schema, mode, Marker("2", "w"), ANY) as stage,
        ):
            stage.write(more.to_batches()[0])
            assert rows(self.read(given)) == [(1, "a"), (2, "b")]
        assert rows(self.read(given)) == [(1, "a"), (2, "b")]
        assert self.load(given, more, mode, run="2").repeated is False
        after = rows(self.read(given))
        assert self.load(given, more, mode, run="2").repeated is True
        assert rows(self.read(given)) == after

    def test_matching_columns_are_written(self, given: Given) -> None:
        self.load(given, table({"k": [1], "a": ["x"], "b": [1]}), MERGE, run="1")
        sent, match = table({"new": [0.5], "k": [2], "a": ["y"]}), choose(columns="match")
        assert self.load(given, sent, MERGE, run="2", target=match).inserted == 1
        assert rows(self.read(given, columns=("k", "a", "b"))) == [(1, "x", 1), (2, "y", None)]
        with pytest.raises(DataError, match="none of the rows' columns"):
            self.load(given, table({"z": [1]}), run="3", target=match)
        with pytest.raises(DataError, match="no column 'q'"):
            self.load(given, table({"q": [1], "k": [1]}), Merge(keys=("q",)), run="3", target=match)

    def test_columns_as_they_are(self, given: Given) -> None:
        self.load(given, table({"a": ["x"], "b": [1]}), run="1")
        self.load(given, table({"a": ["y"]}), run="2", target=choose(columns="as_is"))
        assert rows(self.read(given)) == [("x", 1), ("y", None)]
        with pytest.raises(DataError, match="no column 'c'"):
            self.load(given, table({"c": ["y"]}), run="3", target=choose(columns="as_is"))

    def test_strict_takes_the_same_columns_and_types_alone(self, given: Given) -> None:
        self.load(given, table({"a": ["x"], "b": column("int64", [1])}), run="1")
        strict = choose(columns="strict")
        self.load(given, table({"b": column("int64", [2]), "a": ["y"]}), run="2", target=strict)
        for told, sent in (
            ("column b", {"a": ["z"], "b": column("int16", [3])}), ("'b'", {"a": ["z"]}),
            ("'c'", {"a": ["z"], "b": column("int64", [3]), "c": [1]}),
        ):  # fmt: skip
            with pytest.raises(DataError, match=told):
                self.load(given, table(sent), run="3", target=strict)
        assert rows(self.read(given)) == [("x", 1), ("y", 2)]

    @pytest.mark.parametrize("mode", [Append(), MERGE], ids=lambda mode: mode.type)
    def test_alter_adds_columns(self, given: Given, mode: Mode) -> None:
        self.load(given, table({"k": [1], "v": ["a"]}), MERGE, run="1")
        more = table({"k": [2], 'it"s new; --': column("decimal(9,2)", [Decimal("1.10")]), "v": ["b"]})
        self.load(given, more, mode, run="2", target=choose(columns="alter"))
        self.load(given, table({"k": [3]}), mode, run="3", target=choose(columns="alter"))
        found = self.read(given, columns=("k", 'it"s new; --', "v"))
        assert rows(found) == [(1, None, "a"), (2, Decimal("1.10"), "b"), (3, None, None)]

    def test_alter_widens_numbers_and_nothing_else(self, given: Given) -> None:
        alter = choose(columns="alter")
        self.load(given, table({"n": column("int16", [7]), "d": column("decimal(5,2)", [Decimal("1.10")])}), run="1")
        more = table({"n": column("int64", [1 << 40]), "d": column("decimal(12,4)", [Decimal("12345678.1234")])})
        if not self.widens:
            with pytest.raises(DataError, match="column n"):
                self.load(given, more, run="2", target=alter)
            return
        self.load(given, more, run="2", target=alter)
        found = self.read(given)
        assert rows(found) == [(1 << 40, Decimal("12345678.1234")), (7, Decimal("1.1000"))]
        assert [to_name(each.type) for each in found.schema] == ["int64", "decimal(12,4)"]
        with pytest.raises(DataError, match="column n"):
            self.load(given, table({"n": ["x"]}), run="3", target=alter)

    def test_types_can_be_said(self, given: Given) -> None:
        sent = table({"k": column("int64", [1]), "d": column("decimal(5,2)", [Decimal("1.10")])})
        self.load(given, sent, MERGE, run="1", target=choose(types={"d": "decimal(12,4)"}))
        found = self.read(given)
        assert (to_name(found.schema.field("d").type), rows(found)) == ("decimal(12,4)", [(1, Decimal("1.1000"))])
        with pytest.raises(DataError, match="'x'"):
            self.load(given, sent, run="2", item="u", target=choose(types={"x": "decimal(12,4)"}))
        with pytest.raises(DataError, match="column k"):  # it would not hold the rows as they are
            self.load(given, sent, run="2", item="u", target=choose(types={"k": "date"}))

    @pytest.mark.parametrize("mode", [Append(), Replace()], ids=lambda mode: mode.type)
    def test_keys_and_indexes_are_copied(self, given: Given, mode: Mode) -> None:
        assert given.execute is not None
        given.execute("create table s (a bigint not null, b bigint not null, c bigint, primary key (b, a), unique (c))")
        if self.tells_indexes:
            given.execute("create index i on s (c, a)")
        with given.open() as session:
            keys = session.keys(given.item("s"))
        plain = {(("c", "a"), False)} if self.tells_indexes else set()
        assert (keys.primary, set(keys.indexes)) == (("b", "a"), {(("c",), True), *plain})
        self.load(given, table({"x": [1]}), run="1") if mode.needs else None
        sent = table({"a": [1, 2], "b": [1, 1], "c": [5, None]})
        copied = choose(copies=("keys", "indexes"))._replace(keys=keys)
        with pytest.raises(Constraint):
            self.load(given, table({"a": [1, 2], "b": [1, 1], "c": [5, 5]}), mode, run="2", target=copied)
        self.load(given, sent, mode, run="2", target=copied)
        with given.open() as session:
            found = session.keys(given.item("t"))
        assert (found.primary, set(found.indexes)) == (("b", "a"), set(keys.indexes))
        self.load(given, sent.select(["a"]), item="u", run="3", target=copied)
        with given.open() as session:
            assert session.keys(given.item("u")) == Keys()

    @pytest.mark.security
    @pytest.mark.req("SEC-P01")
    @pytest.mark.parametrize("said", ["no such type", "int) default (1", "serial", "regclass"])
    def test_a_type_is_one_of_the_database(self, given: Given, said: str) -> None:
        with pytest.raises(Invalid, match="no type of the connection"):
            self.load(given, table({"k": [1]}), target=Target(Table.model_construct(types={"k": said}), WORDS))

    @pytest.mark.security
    @pytest.mark.req("SEC-P01")
    def test_an_option_is_one_of_the_database(self, given: Given) -> None:
        ddl = type(given.connection).ddl
        for said in ({"nope": 1}, *({name: 'x"; drop table t'} for name in ddl.options)):
            with pytest.raises(Invalid, match="makes no table with"):
                self.load(given, table({"k": [1]}), target=choose(options=said))

    @pytest.mark.parametrize("mode", [Append(), Replace(), MERGE], ids=lambda mode: mode.type)
    def test_no_table_is_made_when_the_step_says_so(self, given: Given, mode: Mode) -> None:
        self.load(given, table({"k": [1]}), item="other", run="1")
        with pytest.raises(Missing, match="create: false"):
            self.load(given, table({"k": [1]}), mode, run="2", target=choose(create=False))
        with given.open() as session:
            assert [entry.name for entry in session.items()] == ["other"]


def _mode(chance: random.Random, *, many: bool) -> Mode:
    """Return a mode that fits rows with (``many``) or without repeated keys."""
    if not many and chance.random() < 0.3:
        plain: list[Mode] = [Append(), Replace(), Truncate()]
        return chance.choice(plain)
    kind = chance.choice(_KEYED)
    return kind(keys=("k", "l"), duplicates="last", order_by=("o",)) if many else kind(keys=("k", "l"))


def _table(sent: list[tuple[int, str, int, str | None]]) -> pa.Table:
    one, two, orders, values = ([row[place] for row in sent] for place in range(4))
    return table(
        {"k": column("int64", one), "o": column("int64", orders), "l": column("text", two), "v": column("text", values)}
    )
