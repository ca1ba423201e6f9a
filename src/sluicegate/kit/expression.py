"""SQL expressions of people: parsed, checked against an allowlist, and written out again from the tree.

The dialect is DuckDB's. The allowlist is over the sqlglot tree: a node or function that is not listed is refused, so a
new syntax or function is closed until someone opens it. This is the first wall; the jail is the second.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sluicegate.base.errors import Invalid
from sluicegate.kit import calls
from sluicegate.kit.dialect import duckdb

if TYPE_CHECKING:
    from sqlglot import exp

    from sluicegate.kit.columns import Columns

LENGTH_MAX = 10_000
NODES_MAX = 2_000
DEPTH_MAX = 100

NODES = frozenset(
    """
    Abs Add And Anonymous Array Between Boolean Bracket Case Cast Ceil Coalesce Column Concat ConcatWs
    Contains CurrentDate CurrentTimestamp DataType DataTypeParam Date DateDiff DatePart DateTrunc Day DayOfMonth
    DayOfWeek DayOfYear Div Distance Dot EQ Exp Extract False Floor From GT GTE Greatest Hex Hour ILike
    Identifier If In Initcap IntDiv Interval Is JSONExtract JSONExtractScalar JSONPath JSONPathKey JSONPathRoot
    JSONPathSubscript LT LTE Least Left Length Like List Literal Ln Log Lower MD5 Map Minute Mod Month Mul NEQ
    Neg Not Null NullIf Or Pad Paren Placeholder Parameter Pow Quarter RegexpExtract RegexpILike RegexpLike
    RegexpReplace Replace Reverse Right Round SHA SHA2 SafeDivide Second Sign SplitPart Sqrt StartsWith EndsWith
    StrPosition StrToDate StrToTime Sub Substring TimeToStr TimestampTrunc Trim True TryCast TsOrDsToDate Upper
    Var Week Xor Year DateFromParts TimeFromParts TimestampFromParts DPipe SafeDPipe BitwiseAnd BitwiseOr
    BitwiseXor BitwiseNot BitwiseLeftShift BitwiseRightShift AtTimeZone DateAdd DateSub Ascii Chr Unicode
    Translate Split IntervalSpan NullSafeEQ NullSafeNEQ Pi IsNan IsInf Cbrt Cos Sin Tan Acos Asin Atan Atan2
    Degrees Radians Trunc Escape RPad LPad ToBase64 FromBase64 Unhex MD5Digest SHA1Digest SHA2Digest
    DayOfWeekIso WeekOfYear LastDay UnixToTime TimeToUnix
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
"""sqlglot node classes that may stand in an expression."""

AGGREGATES = frozenset(
    """
    Count CountIf Sum Avg Min Max Median Mode Stddev StddevSamp StddevPop Variance VariancePop AnyValue First Last
    GroupConcat ArrayAgg ArgMax ArgMin PercentileCont PercentileDisc LogicalAnd LogicalOr Corr CovarPop CovarSamp
    BitwiseAndAgg BitwiseOrAgg BitwiseXorAgg
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
"""sqlglot node classes of the aggregate functions."""

WITHIN = frozenset({"Filter", "Where", "Distinct", "Order", "Ordered", "IgnoreNulls"})
"""What may stand in and behind an aggregate function: ``filter (where …)``, ``distinct``, ``order by``."""

FUNCTIONS = frozenset(
    """
    make_date make_time make_timestamp date_part date_trunc strftime strptime try_strptime epoch epoch_ms
    to_timestamp regexp_full_match regexp_matches regexp_extract regexp_replace lpad rpad ltrim rtrim trim
    strip_accents left right printf format nullif ifnull isnan isinf isfinite even gcd lcm trunc round_even
    bround bar prefix suffix starts_with ends_with contains instr strpos position levenshtein hamming jaccard
    jaro_winkler_similarity damerau_levenshtein list_value array_length len list_contains list_extract
    array_extract hash md5 sha1 sha256 hex unhex base64 from_base64 to_base64 monthname dayname isodow isoyear
    weekday weekofyear yearweek century decade millennium era julian last_day json_extract json_extract_string
    json_array_length json_valid json_type concat_ws concat upper lower ucase lcase reverse replace translate
    split_part string_split ascii chr unicode make_timestamptz to_days to_hours to_minutes to_seconds
    to_milliseconds to_months to_years age date_diff date_sub datediff datesub abs ceil ceiling floor round sign
    sqrt cbrt ln log log2 log10 exp pow power greatest least coalesce bit_count xor mod fmod divide try_cast
    initcap length strlen char_length character_length octet_length bit_length substring substr typeof
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
"""Functions by name that sqlglot has no class of its own for."""

UNITS = frozenset(
    """
    year years quarter quarters month months week weeks day days hour hours minute minutes second seconds millisecond
    milliseconds microsecond microseconds ms us decade decades century centuries millennium millennia epoch era
    julian dow dayofweek weekday doy dayofyear dayofmonth isodow isoyear weekofyear yearweek timezone timezone_hour
    timezone_minute
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
"""Words that may stand where a unit of time does."""

_KINDS = {
    "BOOLEAN": "bool", "TINYINT": "int8", "SMALLINT": "int16", "INT": "int32", "BIGINT": "int64", "FLOAT": "float32",
    "DOUBLE": "float64", "TEXT": "text", "VARCHAR": "text", "DATE": "date", "TIMESTAMP": "timestamp",
    "TIMESTAMPTZ": "timestamptz", "UUID": "uuid", "VARBINARY": "bytes",
}  # fmt: skip

_REFUSED = "is not allowed in an expression"
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class Expression:
    """One checked expression."""

    def __init__(self, tree: exp.Expression) -> None:
        """Hold a tree that has passed the allowlist."""
        self._tree = tree

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns it reads."""
        from sqlglot import exp

        return tuple(dict.fromkeys(each.name for each in self._tree.find_all(exp.Column)))

    @property
    def plain(self) -> str:
        """Name of the column that it is, when it is nothing but one."""
        from sqlglot import exp

        tree = self._tree.unnest()
        return str(tree.name) if isinstance(tree, exp.Column) else ""

    @property
    def path(self) -> tuple[str, ...]:
        """Names of a column and of fields below it (``a['b']['c']``) when it is nothing but these; else empty."""
        from sqlglot import exp

        tree, fields = self._tree.unnest(), list[str]()
        while isinstance(tree, exp.Bracket):
            keys = tree.expressions
            if len(keys) != 1 or not isinstance(keys[0], exp.Literal) or not keys[0].is_string:
                return ()
            fields.insert(0, str(keys[0].this))
            tree = tree.this.unnest()
        return (str(tree.name), *fields) if isinstance(tree, exp.Column) and not tree.table else ()

    @property
    def ungrouped(self) -> tuple[str, ...]:
        """Names of the columns it reads outside of aggregate functions and their filters."""
        from sqlglot import exp

        found = (each for each in self._tree.find_all(exp.Column) if not each.find_ancestor(exp.AggFunc, exp.Filter))
        return tuple(dict.fromkeys(each.name for each in found))

    @property
    def cast(self) -> str:
        """Name of the type that it is cast to, when it is a cast to one of the usual types."""
        from sqlglot import exp

        tree = self._tree.unnest()
        if not isinstance(tree, exp.Cast) or tree.to.expressions:
            return ""
        return _KINDS.get(str(tree.to.this.value), "")

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the parameters it uses (``:name``)."""
        from sqlglot import exp

        return tuple(dict.fromkeys(each.name for each in self._tree.find_all(exp.Placeholder)))

    def sql(self, known: Columns) -> str:
        """Return DuckDB SQL over the names the query uses; ``UnknownColumn`` names the first that is not ``known``.

        A name in double quotes is matched exactly. Any other is matched exactly first, then without regard to case when
        only one column fits. Raises ``Invalid`` for a function that is given columns it has no place for.
        """
        from sqlglot import exp
        from sqlglot.errors import ErrorLevel, SqlglotError, UnsupportedError

        tree = exp.Paren(this=self._tree.copy())  # a root, so that every node can be replaced
        names: dict[str, str] = {}
        for column in list(tree.find_all(exp.Column)):
            exact = bool(column.this.args.get("quoted"))
            inner = known.inner(known.find(column.name, exact=exact))
            names[inner] = column.name
            column.replace(exp.column(exp.to_identifier(inner, quoted=True)))
        for place in list(tree.find_all(exp.Placeholder)):
            place.replace(exp.Parameter(this=exp.Var(this=place.name)))
        try:
            written = str(tree.sql(dialect=duckdb(), unsupported_level=ErrorLevel.RAISE))
        except UnsupportedError as fault:
            raise Invalid(f"this cannot be written so: {fault}") from None
        except SqlglotError:  # such as for date(): the library finds out late that something is missing
            raise Invalid("a function is given too little or too much") from None
        except RecursionError:  # writing takes a deeper stack than reading
            raise Invalid("the expression is nested too deeply") from None
        for inner, name in names.items():
            if f'"{inner}"' not in written:  # the library leaves out what it has no place for
                raise Invalid(
                    f"the column {name!r} has no place there: a function is given too much, or in another order"
                )
        return written


@lru_cache(maxsize=4096)
def parse(text: str, *, aggregates: bool = False) -> Expression:
    """Return the checked expression; ``Invalid`` says what is not allowed. Nothing of it has been run.

    ``aggregates``: whether aggregate functions may stand in it.
    """
    if len(text) > LENGTH_MAX:
        raise Invalid(f"an expression has at most {LENGTH_MAX} characters")
    if nesting(text) > DEPTH_MAX or text.count("[") > DEPTH_MAX:  # a[1][1]… nests, too
        raise Invalid("the expression is nested too deeply")
    try:
        root = _read(text)
        _check(root, AGGREGATES | WITHIN if aggregates else frozenset())
    except RecursionError:
        raise Invalid("the expression is nested too deeply") from None
    calls.check(text)
    return Expression(root)


def _read(text: str) -> exp.Expression:
    """Return the tree of one expression, whatever is in it."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        # In parentheses: nothing in the text can end the expression and begin something else.
        found: list[Any] = sqlglot.parse(f"SELECT ({text}\n)", dialect=duckdb())
    except SqlglotError as fault:
        said = (getattr(fault, "errors", None) or [{}])[0]
        place = f" near {said['highlight']!r}" if said.get("highlight") else ""
        raise Invalid(f"this is not an SQL expression{place}") from None
    except IndexError:  # the library misses a value that a function needs
        raise Invalid("a function is given too little") from None
    tree = found[0] if len(found) == 1 else None
    if not isinstance(tree, exp.Select) or len(tree.expressions) != 1:
        raise Invalid("one expression is expected")
    if any(value for key, value in tree.args.items() if key not in {"expressions", "kind", "hint"} and value):
        raise Invalid("one expression is expected, not a query")
    for alias in list(tree.find_all(exp.Alias)):
        if not alias.alias:  # what sqlglot makes of a leading ":name"
            alias.replace(alias.this)
    outer = tree.expressions[0]
    if not isinstance(outer, exp.Paren):
        raise Invalid("one expression is expected")
    root: exp.Expression = outer.this
    return root


def nesting(text: str) -> int:
    """Return how deep the brackets of a text go."""
    depth = deepest = 0
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        deepest = max(deepest, depth)
    return deepest


def _check(root: exp.Expression, more: frozenset[str]) -> None:  # noqa: C901, PLR0912 - one branch for each sort of node, in one place
    from sqlglot import exp

    for count, node in enumerate(root.walk()):
        if count > NODES_MAX:
            raise Invalid("the expression is too long")
        kind = type(node).__name__
        check_bare(node)
        if kind in more or (more and isinstance(node, exp.Star) and is_counted(node)):
            continue
        if isinstance(node, exp.Anonymous):
            if node.name.lower() not in FUNCTIONS:
                raise Invalid(f"the function {node.name[:64]!r} {_REFUSED}")
        elif isinstance(node, exp.Column):
            if node.table:
                raise Invalid("columns are named without a table")
        elif isinstance(node, exp.Placeholder):
            if not node.name.isidentifier():
                raise Invalid("parameters are written :name")
        elif isinstance(node, exp.Parameter):
            raise Invalid("parameters are written :name")
        elif isinstance(node, exp.Alias):
            raise Invalid(f"'as' {_REFUSED}; the key is the column's name")
        elif isinstance(node, exp.Star):
            raise Invalid(f"'*' {_REFUSED}; name each column")
        elif isinstance(node, exp.AggFunc | exp.Window):
            raise Invalid(
                f"the aggregate or window function {node.sql_name() if isinstance(node, exp.Func) else ''} {_REFUSED}"
            )
        elif isinstance(node, exp.Query | exp.Subquery):
            raise Invalid(f"a query {_REFUSED}")
        elif kind not in NODES:
            word = node.sql_name().lower() if isinstance(node, exp.Func) else kind
            if word not in FUNCTIONS:
                raise Invalid(f"{word!r} {_REFUSED}")


def is_counted(star: exp.Star) -> bool:
    """Tell whether this is the star of ``count(*)``."""
    from sqlglot import exp

    return isinstance(star.parent, exp.Count) and not any(star.args.values())


def check_bare(node: exp.Expr) -> None:
    """Refuse what would be written out without quotes and is more than a word: it could be anything there."""
    from sqlglot import exp

    if isinstance(node, exp.DataType):
        known = isinstance(node.this, exp.DataType.Type) and node.this is not exp.DataType.Type.USERDEFINED
        if not known or node.args.get("kind"):
            raise Invalid(f"this type {_REFUSED}", hint="The types are listed in docs/reference/formats.md.")
    elif isinstance(node, exp.DataTypeParam):
        if not (isinstance(node.this, exp.Literal) and not node.this.is_string and node.this.name.isdigit()):
            raise Invalid("the size of a type is a number")
    elif isinstance(node, exp.Var):
        if node.name.lower() not in UNITS:  # it is written out without quotes: it could be a name there
            raise Invalid(f"{node.name[:64]!r} is no unit of time")
    elif isinstance(node, exp.Dot):
        # x.f() is f(x), and there x would be a name that nobody has looked at
        if isinstance(node.this, exp.Identifier) or not isinstance(node.expression, exp.Identifier):
            raise Invalid(f"a function behind a dot {_REFUSED}", hint="Write upper(name) instead of name.upper().")
    elif isinstance(node, exp.Identifier):
        if not isinstance(node.parent, exp.Column | exp.Dot):
            raise Invalid(f"a name that is no column {_REFUSED}")
        if isinstance(node.parent, exp.Dot) and not _WORD.fullmatch(node.name):
            raise Invalid(f"a quoted name that is no column {_REFUSED}")
