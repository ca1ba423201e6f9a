"""SELECTs of people: parsed, checked against an allowlist, and written out again over the inputs of a step alone.

What ``expression`` is for one value, this is for a query. Functions and operators are the same, with aggregates and
windows. A table is an input or a common table expression that stands before; there is no other way to name one, and
what looks like a table can be a function, a file or a catalogue in DuckDB. Of an input only the columns that the text
names are there at all, so what an output can come of is what the text names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sluicegate.base.errors import Invalid, UnknownColumn
from sluicegate.kit import calls, expression
from sluicegate.kit.columns import quote
from sluicegate.kit.dialect import duckdb

if TYPE_CHECKING:
    from sqlglot import exp

    from sluicegate.kit.columns import Columns

_ENDS = ("order", "limit", "offset", "with_")
_QUERY: dict[str, frozenset[str]] = {
    "Select": frozenset({"expressions", "distinct", "from_", "joins", "where", "group", "having", "qualify", *_ENDS}),
    "Subquery": frozenset({"this", "alias"}),
    "Table": frozenset({"this", "alias"}),
    "TableAlias": frozenset({"this", "columns"}),
    "Join": frozenset({"this", "on", "using", "side", "kind"}),
    "With": frozenset({"expressions"}),
    "CTE": frozenset({"this", "alias"}),
    "Union": frozenset({"this", "expression", "distinct", *_ENDS}),
    "Except": frozenset({"this", "expression", "distinct", *_ENDS}),
    "Intersect": frozenset({"this", "expression", "distinct", *_ENDS}),
    "Group": frozenset({"expressions", "all"}),
    "Distinct": frozenset({"expressions"}),
    "Alias": frozenset({"this", "alias"}),
    "Window": frozenset({"this", "partition_by", "order", "spec", "over"}),
}  # fmt: skip
"""Nodes of which only these parts may be there."""

NODES = expression.NODES | expression.AGGREGATES | expression.WITHIN | frozenset(
    """
    From Having Limit Offset Exists Qualify WindowSpec RowNumber Rank DenseRank PercentRank CumeDist Ntile Lag Lead
    FirstValue LastValue NthValue
    """.split()  # noqa: SIM905 - a list of words reads best as words
)  # fmt: skip
"""sqlglot node classes that may stand in a query, beside those of which parts are counted up."""

_NAMED = frozenset({"Column", "Table", "TableAlias", "Alias", "Join"})
_REFUSED = "is not allowed in a query"


class Statement:
    """One checked SELECT."""

    def __init__(self, tree: exp.Query) -> None:
        """Hold a tree that has passed the allowlist."""
        self._tree = tree

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the parameters it uses (``:name``)."""
        from sqlglot import exp

        return tuple(dict.fromkeys(each.name for each in self._tree.find_all(exp.Placeholder)))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the columns it gives."""
        return tuple(each.alias_or_name for each in self._tree.selects)

    @property
    def columns(self) -> frozenset[str]:
        """Names of columns that it mentions, in small letters; some may be its own."""
        return frozenset(each.lower() for each in _mentioned(self._tree))

    def check_tables(self, inputs: Sequence[str]) -> None:
        """Raise ``Invalid`` for the first table that is none of ``inputs`` and was not made in the query before."""
        from sqlglot import exp

        known = {each.lower() for each in inputs}
        top = self._tree.args.get("with_")
        for each in top.expressions if top else ():
            _check_tables(each.this, known, inputs)
            if each.alias.lower() in known:
                raise Invalid(f"there are two tables {each.alias[:64]!r}")
            known.add(each.alias.lower())
        within = {id(table) for each in (top.expressions if top else ()) for table in each.find_all(exp.Table)}
        _check_tables(self._tree, known, inputs, within)

    def sql(self, inputs: Mapping[str, Columns]) -> str:
        """Return DuckDB SQL of one SELECT; ``UnknownColumn`` names the first column that no input has.

        Raises ``Invalid`` when an input has two columns that the text can mean.
        """
        from sqlglot import exp
        from sqlglot.errors import ErrorLevel, UnsupportedError

        self._require(inputs)
        tree = self._tree.copy()
        for name in list(tree.find_all(exp.Identifier)):
            if not isinstance(name.parent, exp.Dot):
                name.set("quoted", True)  # noqa: FBT003 - the library's own way
        for place in list(tree.find_all(exp.Placeholder)):
            place.replace(exp.Parameter(this=exp.Var(this=place.name)))
        own = tree.args.pop("with_", None)
        parts = [*self._exposed(inputs)]
        try:
            parts += [
                each.sql(dialect=duckdb(), unsupported_level=ErrorLevel.RAISE, comments=False)
                for each in (own or exp.With()).expressions
            ]
            body = tree.sql(dialect=duckdb(), unsupported_level=ErrorLevel.RAISE, comments=False)
        except UnsupportedError as fault:
            raise Invalid(f"this cannot be written so: {fault}") from None
        except RecursionError:  # writing takes a deeper stack than reading
            raise Invalid("the query is nested too deeply") from None
        names = ", ".join(quote(f"o{place}") for place in range(len(self.outputs)))
        before = f"WITH {', '.join(parts)} " if parts else ""
        return f'SELECT {names} FROM ({before}{body}) AS "q"({names})'  # noqa: S608 - checked, and quoted

    def _exposed(self, inputs: Mapping[str, Columns]) -> Iterator[str]:
        """Yield each input as a common table expression with the columns that the text names."""
        from sqlglot import exp

        used = [each.name.lower() for each in self._tree.find_all(exp.Table)]
        own = {each.alias.lower() for each in self._tree.find_all(exp.CTE)}
        again = any(used.count(each) > 1 for each in own)
        for step, known in inputs.items():
            if step.lower() not in used:
                continue
            there = [name for name in known if name.lower() in self.columns]
            for place, name in enumerate(there):
                if name.lower() in [each.lower() for each in there[:place]]:
                    raise Invalid(
                        f"{step!r} has two columns {name!r} that differ in case only",
                        hint="SQL cannot tell them apart: rename one in a select step before.",
                    )
            names = ", ".join(map(quote, there)) or quote("row")
            shown = ", ".join(map(known.sql, there)) or "true"
            held = "MATERIALIZED " if again or used.count(step.lower()) > 1 else ""  # a stream is read once
            yield f"{quote(step)}({names}) AS {held}(SELECT {shown} FROM {known.table})"  # noqa: S608 - quoted names

    def _require(self, inputs: Mapping[str, Columns]) -> None:
        from sqlglot import exp

        own = {each.alias.lower() for each in self._tree.find_all(exp.Alias)}
        own |= {
            name.name.lower() for each in self._tree.find_all(exp.TableAlias) for name in each.args.get("columns") or ()
        }
        there = {name.lower() for known in inputs.values() for name in known}
        for name in _mentioned(self._tree):
            if name.lower() not in own | there:
                known = ", ".join(dict.fromkeys(name for known in inputs.values() for name in known))
                raise UnknownColumn(f"there is no column {name[:64]!r}", hint=f"There are: {known[:500]}.")


@lru_cache(maxsize=512)
def parse(text: str) -> Statement:
    """Return the checked SELECT; ``Invalid`` says what is not allowed. Nothing of it has been run."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    if len(text) > expression.LENGTH_MAX:
        raise Invalid(f"a query has at most {expression.LENGTH_MAX} characters")
    if expression.nesting(text) > expression.DEPTH_MAX or text.count("[") > expression.DEPTH_MAX:
        raise Invalid("the query is nested too deeply")
    try:
        found: list[Any] = [each for each in sqlglot.parse(text, dialect=duckdb()) if each is not None]
    except SqlglotError as fault:
        said = (getattr(fault, "errors", None) or [{}])[0]
        place = f" near {said['highlight']!r}" if said.get("highlight") else ""
        raise Invalid(f"this is not an SQL query{place}") from None
    except RecursionError:
        raise Invalid("the query is nested too deeply") from None
    tree = found[0] if len(found) == 1 else None
    if not isinstance(tree, exp.Select | exp.SetOperation):
        raise Invalid("one SELECT is expected")
    for alias in list(tree.find_all(exp.Alias)):
        if not alias.alias:  # what sqlglot makes of a leading ":name"
            alias.replace(alias.this)
    try:
        _check(tree)
    except RecursionError:
        raise Invalid("the query is nested too deeply") from None
    calls.check(text)
    _check_joins(tree, text)
    _check_outputs([each.alias_or_name for each in tree.selects])
    return Statement(tree)


def _check_joins(tree: exp.Query, text: str) -> None:
    """Refuse ``join`` without ``on``: DuckDB does, too, but the library makes ``cross join`` of it."""
    import sqlglot
    from sqlglot import TokenType, exp

    words = sum(token.token_type is TokenType.JOIN for token in sqlglot.tokenize(text, read=duckdb()))
    joins = [each for each in tree.find_all(exp.Join) if each.args.get("on") or each.args.get("using")]
    if words != len(joins) + sum(each.kind == "CROSS" for each in tree.find_all(exp.Join)):
        raise Invalid("a join needs 'on' or 'using'", hint="Say 'cross join' when all rows go with all.")


def _check_outputs(names: Sequence[str]) -> None:
    if not names:
        raise Invalid("a SELECT names its columns")
    for place, name in enumerate(names):
        if not name:
            raise Invalid(f"the column {place + 1} has no name", hint="Write: expression as name.")
        if name in names[:place]:
            raise Invalid(f"two columns are called {name[:64]!r}", hint="Give one of them another name with 'as'.")


def _mentioned(tree: exp.Query) -> Iterator[str]:
    from sqlglot import exp

    yield from (each.name for each in tree.find_all(exp.Column))
    yield from (each.name for join in tree.find_all(exp.Join) for each in join.args.get("using") or ())


def _check_tables(
    tree: exp.Expr, known: set[str], inputs: Sequence[str], seen: set[int] | frozenset[int] = frozenset()
) -> None:
    from sqlglot import exp

    for each in tree.find_all(exp.Table):
        if id(each) not in seen and each.name.lower() not in known:
            raise Invalid(
                f"there is no input {each.name[:64]!r}",
                hint=f"Tables are the steps named in 'from': {', '.join(inputs)}; and what 'with' has made before.",
            )


def _check(root: exp.Query) -> None:  # noqa: C901, PLR0912 - one branch for each sort of node, in one place
    from sqlglot import exp

    for count, node in enumerate(root.walk()):
        kind = type(node).__name__
        if count > expression.NODES_MAX:
            raise Invalid("the query is too long")
        if isinstance(node, exp.With) and node.parent is not root:
            raise Invalid(f"'with' inside of a query {_REFUSED}", hint="Put it at the beginning.")
        if isinstance(node, exp.Identifier):
            _check_name(node)
        else:
            expression.check_bare(node)
        if kind in _QUERY:
            _check_parts(node, kind)
        elif isinstance(node, exp.Star):
            if not expression.is_counted(node):
                raise Invalid(f"'*' {_REFUSED}; name each column")
        elif isinstance(node, exp.Column):
            if node.args.get("db") or node.args.get("catalog"):
                raise Invalid("columns are named by themselves, or by table and name")
        elif isinstance(node, exp.Placeholder):
            if not node.name.isidentifier():
                raise Invalid("parameters are written :name")
        elif isinstance(node, exp.Parameter):
            raise Invalid("parameters are written :name")
        elif isinstance(node, exp.Anonymous) or kind not in NODES:
            word = (
                node.name
                if isinstance(node, exp.Anonymous)
                else node.sql_name().lower()
                if isinstance(node, exp.Func)
                else kind
            )
            if word.lower() not in expression.FUNCTIONS:
                raise Invalid(f"{word[:64]!r} {_REFUSED}")


def _check_parts(node: exp.Expr, kind: str) -> None:
    from sqlglot import exp

    more = sorted(key for key, value in node.args.items() if value and key not in _QUERY[kind])
    if more:
        raise Invalid(f"{kind.lower()} with {more[0].rstrip('_')!r} {_REFUSED}")
    if isinstance(node, exp.Table) and not isinstance(node.this, exp.Identifier):
        raise Invalid(f"a function in place of a table {_REFUSED}")
    if isinstance(node, exp.TableAlias) and isinstance(node.parent, exp.Table) and node.args.get("columns"):
        # they go by place, and of a table only what is named is there
        raise Invalid(f"other names for the columns of a table {_REFUSED}", hint="Write: select k as x from …")


def _check_name(node: exp.Identifier) -> None:
    """Let names stand where they are written out in quotes."""
    from sqlglot import exp

    if type(node.parent).__name__ in _NAMED:
        return
    expression.check_bare(node)
    if not isinstance(node.parent, exp.Dot):
        raise Invalid(f"a name that is no column {_REFUSED}")
