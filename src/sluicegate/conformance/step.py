"""The conformance suites for every step, one for each of the five sorts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from pydantic import ValidationError

from sluicegate.base.errors import Failed, Invalid, UnknownColumn, from_validation
from sluicegate.kit.columns import Columns
from sluicegate.kit.lineage import Fact, Facts
from sluicegate.kit.masks import Keys
from sluicegate.kit.step import ITEM_MAX, Check, Masking, Reading, Step, Transform, Writing

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

_SORTS = (Reading, Transform, Check, Masking, Writing)
_HOSTILE = ('x"; drop table victim; --', "x' or '1'='1", "a.b", "x\\", "*", "s0")
"""Names of columns that are code to a careless transform (SEC-P01)."""
_ODD_NAMES = ("", "No", "a b", "a;b", "../a", "x" * 65, 5, None, ["a"])
_CANARY = "canary-7f3a9c-do-not-show"


def columns(table: str, *names: str, first: int = 0) -> Columns:
    """Return an input's columns as a query sees them; ``first``: the number that its inner names begin at."""
    return Columns(table, {name: f"c{place}" for place, name in enumerate(names, first)})


def origins(tree: Any, known: Mapping[str, set[str]]) -> list[set[str]]:
    """Return, for each column of a query, what it is computed from; ``known`` says so for the columns it reads.

    Queries within it give their columns names of their own, of which those in ``known`` take precedence.
    """
    from sqlglot import exp

    if isinstance(tree, exp.SetOperation):
        return [a | b for a, b in zip(origins(tree.left, known), origins(tree.right, known), strict=True)]
    if isinstance(tree, exp.Subquery):
        return origins(tree.this, known)
    within: dict[str, set[str]] = {}
    for each in tree.find_all(exp.Subquery, exp.CTE):
        if isinstance(each.this, exp.Query):
            names = each.alias_column_names or [one.alias_or_name for one in each.this.selects]
            for name, read in zip(names, origins(each.this, known), strict=True):
                within[name] = within.get(name, set()) | read
    both = {**within, **known}
    return [
        {tag for column in one.find_all(exp.Column) for tag in both.get(column.name, set())} for one in tree.selects
    ]


class StepSuite:
    """Holds for every step. A subclass says what a whole one looks like and names the class."""

    plugin: ClassVar[type[Step]]
    whole: ClassVar[dict[str, Any]]
    """A document of such a step: all that is required, and ``name``."""

    def make(self, **more: Any) -> Step:
        """Return a step, changed by ``more``; a field that is ``...`` is left out."""
        given = {**self.whole, **more}
        return self.plugin.model_validate({key: value for key, value in given.items() if value is not ...})

    def test_is_of_one_sort_and_called_after_its_file(self) -> None:
        assert len([sort for sort in _SORTS if issubclass(self.plugin, sort)]) == 1
        assert self.plugin.__module__.rpartition(".")[2] == self.plugin.type

    def test_every_field_has_help(self) -> None:
        fields = self.plugin.model_json_schema(by_alias=True)["properties"]
        assert [name for name, about in fields.items() if not about.get("description")] == []

    def test_document_goes_there_and_back(self) -> None:
        made = self.make()
        written = made.model_dump(mode="json", by_alias=True, exclude_unset=True)
        assert self.plugin.model_validate(written) == made

    def test_inputs_are_told(self) -> None:
        made = self.make()
        assert all(isinstance(each, str) for each in made.inputs)
        assert len(set(made.inputs)) == len(made.inputs)
        assert bool(made.inputs) != isinstance(made, Reading)

    def test_a_sound_text_passes(self) -> None:
        self.make().check_text()

    @pytest.mark.security
    def test_unknown_keys_are_refused(self) -> None:
        with pytest.raises(ValidationError) as caught:
            self.make(**{"no-such-key": _CANARY})
        told = from_validation(caught.value)
        assert told.path == ("no-such-key",)
        assert _CANARY not in str(told)

    @pytest.mark.security
    @pytest.mark.parametrize("name", _ODD_NAMES, ids=repr)
    def test_names_are_names(self, name: Any) -> None:
        """A step's name ends up in queries, errors and markers."""
        if name is None and self.plugin.model_fields["name"].default is None:
            return
        with pytest.raises(ValidationError):
            self.make(name=name)

    @pytest.mark.security
    def test_values_that_do_not_fit_are_not_shown(self) -> None:
        for key in self.whole:
            for wrong in ({_CANARY: {"x": [_CANARY]}}, [[{"y": _CANARY}]]):
                try:
                    self.make(**{key: wrong})
                except ValidationError as fault:
                    told = from_validation(fault, given={key: wrong})
                    assert f"'{_CANARY}'" not in str(told)
                    assert "Input should" not in str(told)


class _ConnectedSuite(StepSuite):
    @pytest.mark.security
    @pytest.mark.req("SEC-P01")
    @pytest.mark.parametrize(
        "wrong", [{"connection": "../c"}, {"connection": ...}, {"item": ""}, {"item": ...}], ids=repr
    )
    def test_connection_and_item_have_a_form(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            self.make(**wrong)

    @pytest.mark.security
    def test_an_item_has_a_largest_size(self) -> None:
        self.make(item="x" * ITEM_MAX)
        with pytest.raises(ValidationError):
            self.make(item="x" * (ITEM_MAX + 1))


class ReadingSuite(_ConnectedSuite):
    """Holds for every step that brings rows in."""

    def test_takes_no_rows(self) -> None:
        assert self.make().inputs == ()


class WritingSuite(_ConnectedSuite):
    """Holds for every step that lets rows out."""

    def test_takes_the_rows_of_one_step(self) -> None:
        assert self.make(**{"from": "rows"}).inputs == ("rows",)
        with pytest.raises(ValidationError):
            self.make(**{"from": ...})


class TransformSuite(StepSuite):
    """Holds for every transform."""

    schemas: ClassVar[dict[str, tuple[str, ...]]]
    """The columns of each input of ``whole``, by the input's name, in such a way that it has a query."""

    def inputs(self, schemas: Mapping[str, tuple[str, ...]]) -> dict[str, Columns]:
        """Return inputs as the engine hands them over: no two columns share an inner name."""
        made: dict[str, Columns] = {}
        for number, (step, names) in enumerate(schemas.items()):
            made[step] = columns(f"s{number}", *names, first=sum(map(len, made.values())))
        return made

    def query(self, made: Step, inputs: Mapping[str, Columns]) -> Any:
        """Return the query's tree."""
        import sqlglot

        assert isinstance(made, Transform)
        found = sqlglot.parse(made.query(inputs), dialect="duckdb")
        assert len(found) == 1
        return found[0]

    def test_query_is_one_select_of_the_columns_it_tells(self) -> None:
        from sqlglot import exp

        made, inputs = self.make(), self.inputs(self.schemas)
        tree = self.query(made, inputs)
        assert isinstance(tree, exp.Select)
        assert isinstance(made, Transform)
        outputs = made.outputs(inputs)
        assert len(tree.expressions) == len(outputs) == len(set(outputs))
        assert all(isinstance(star.parent, exp.Count) for star in tree.find_all(exp.Star))

    @pytest.mark.security
    @pytest.mark.req("SEC-P01")
    def test_query_reads_its_inputs_and_nothing_else(self) -> None:
        from sqlglot import exp

        inputs = self.inputs(self.schemas)
        tree = self.query(self.make(), inputs)
        inner = {each.inner(name) for each in inputs.values() for name in each}
        within = {each.alias for each in tree.find_all(exp.Alias, exp.CTE)}
        within |= {name for each in tree.find_all(exp.Subquery, exp.CTE) for name in each.alias_column_names}
        tables = {f"s{number}" for number in range(len(inputs))} | {each.alias for each in tree.find_all(exp.CTE)}
        assert {each.name for each in tree.find_all(exp.Table)} <= tables
        assert {each.name for each in tree.find_all(exp.Column)} <= inner | within

    @pytest.mark.security
    @pytest.mark.req("SEC-B10")
    def test_no_tag_is_lost_on_the_way(self) -> None:
        """Whatever the query computes a column from, the column has its tags; a name in other letters is no way out."""
        made, inputs = self.make(), self.inputs(self.schemas)
        assert isinstance(made, Transform)
        owner = {each.inner(name): f"{step}-{name}" for step, each in inputs.items() for name in each}
        known = {
            step: Facts.listed((name.swapcase(), Fact(frozenset({f"{step}-{name}"}), sure=True)) for name in names)
            for step, names in self.schemas.items()
        }
        traced = made.trace(known)
        found = origins(self.query(made, inputs), {name: {tag} for name, tag in owner.items()})
        for name, read in zip(made.outputs(inputs), found, strict=True):
            assert read <= traced.get(name).tags

    @pytest.mark.security
    @pytest.mark.req("SEC-P01")
    @pytest.mark.parametrize("evil", _HOSTILE)
    def test_names_of_columns_never_reach_the_query(self, evil: str) -> None:
        """Names come from files and tables of others; and DuckDB would take two that differ in case for one."""
        made = self.make()
        assert isinstance(made, Transform)
        first = next(iter(self.schemas))
        more = {**self.schemas, first: (*self.schemas[first], evil, evil.upper() + "É", evil.upper() + "é")}
        text = made.query(self.inputs(more))
        assert self.query(made, self.inputs(more))
        assert evil not in text or evil in made.query(self.inputs(self.schemas))
        assert "É" not in text

    def test_a_lost_column_is_told_with_its_step(self) -> None:
        made = self.make()
        assert isinstance(made, Transform)
        with pytest.raises((UnknownColumn, Invalid)) as caught:
            made.query(self.inputs(dict.fromkeys(self.schemas, ("zap",))))
        assert caught.value.where.startswith(f"step {made.name}")


class CheckSuite(StepSuite):
    """Holds for every check."""

    def batch(self) -> pa.RecordBatch:
        """Return rows of which some pass the check in ``whole`` and some do not."""
        raise NotImplementedError

    def test_every_row_passes_or_is_rejected(self) -> None:
        made, batch = self.make(), self.batch()
        assert isinstance(made, Check)
        good, bad = made.split(batch, 101)
        assert 0 < good.num_rows < batch.num_rows
        assert good.schema == batch.schema
        gone = {each.row - 101 for each in bad}
        assert good.to_pylist() == [row for place, row in enumerate(batch.to_pylist()) if place not in gone]
        assert len(gone) == len(bad) == batch.num_rows - good.num_rows

    def test_a_reject_counts_rows_and_claims_no_line(self) -> None:
        made = self.make()
        assert isinstance(made, Check)
        _, bad = made.split(self.batch(), 1)
        assert all(each.line is None and each.row and each.reason and each.raw for each in bad)

    def test_no_rows_are_no_rejects(self) -> None:
        made = self.make()
        assert isinstance(made, Check)
        good, bad = made.split(self.batch().slice(0, 0), 1)
        assert (good.num_rows, bad) == (0, [])

    def test_a_lost_column_is_told_with_its_step(self) -> None:
        made = self.make()
        assert isinstance(made, Check)
        made.check_columns(self.batch().schema.names)
        with pytest.raises(UnknownColumn) as caught:
            made.check_columns([name.swapcase() for name in self.batch().schema.names])
        assert caught.value.where.startswith(f"step {made.name}")

    @pytest.mark.security
    def test_what_is_kept_of_a_row_is_bounded(self) -> None:
        import pyarrow as pa

        made, batch = self.make(), self.batch()
        assert isinstance(made, Check)
        long = batch.append_column("zz_long", pa.array(["x" * 1_000_000] * batch.num_rows))
        _, bad = made.split(long, 1)
        assert max(len(each.raw) for each in bad) <= 1 << 13


class MaskingSuite(StepSuite):
    """Holds for every step that masks."""

    def batch(self) -> pa.RecordBatch:
        """Return rows that the step in ``whole`` masks, one of them but all NULL."""
        raise NotImplementedError

    def keys(self) -> Keys:
        """Return the keys that it names."""
        raise NotImplementedError

    def test_rows_keep_their_number_order_and_nulls(self) -> None:
        made, batch = self.make(), self.batch()
        assert isinstance(made, Masking)
        masker = made.start(batch.schema, self.keys())
        good, bad = masker.mask(batch, 1)
        assert bad == []
        assert good.schema == masker.schema
        assert good.schema.names == batch.schema.names
        for before, after in zip(batch.columns, good.columns, strict=True):
            assert [each is None for each in before.to_pylist()] <= [each is None for each in after.to_pylist()]

    def test_a_lost_column_is_told_with_its_step(self) -> None:
        import pyarrow as pa

        made = self.make()
        assert isinstance(made, Masking)
        with pytest.raises(UnknownColumn) as caught:
            made.start(pa.schema([("zap", pa.string())]), self.keys())
        assert caught.value.where.startswith(f"step {made.name}")

    @pytest.mark.security
    def test_without_its_key_it_does_nothing(self) -> None:
        made = self.make()
        assert isinstance(made, Masking)
        for name, _ in made.key_names():
            with pytest.raises(Failed, match=name):
                made.start(self.batch().schema, Keys({}, ""))
