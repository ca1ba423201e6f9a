from __future__ import annotations

import pyarrow as pa
import pytest

from sluicegate.base.errors import Invalid, Missing
from sluicegate.kit.loading import foretell, repeated
from sluicegate.kit.mode import Append, Replace, Update
from sluicegate.kit.target import PLAIN, Table, Target
from sluicegate.kit.types import to_arrow

ROWS = pa.schema([("a", pa.int64()), ("b", pa.string())])
ALTER, MATCH = (Target(Table(columns=rule)) for rule in ("alter", "match"))


@pytest.mark.parametrize(
    ("there", "mode", "target", "told"),
    [
        (None, Append(), PLAIN, "the table is made"),
        ({"a": "int64", "b": "text"}, Append(), PLAIN, "the table stays as it is"),
        ({"a": "int32"}, Append(), ALTER, "columns are added: b; widened: a to int64"),
        ({"a": "int64", "b": "text"}, Append(), ALTER, "the table stays as it is"),
        ({"a": "int64"}, Append(), MATCH, "the table stays as it is; left out: b"),
        ({"a": "int64"}, Replace(), Target(allow=frozenset({"replace", "drop"})), "the table is dropped and made anew"),
    ],
)
def test_what_becomes_of_the_table_is_told(there, mode, target, told):
    kinds = None if there is None else {name: to_arrow(kind) for name, kind in there.items()}
    assert foretell(ROWS, kinds, mode, target).startswith(told)


@pytest.mark.security
def test_what_the_run_would_refuse_is_refused():
    with pytest.raises(Invalid, match=r"allow: \[replace\]"):
        foretell(ROWS, None, Replace(), PLAIN)
    with pytest.raises(Invalid, match=r"allow: \[drop, replace\]"):
        foretell(ROWS, {"a": pa.int64()}, Replace(), Target(allow=frozenset({"replace"})))
    with pytest.raises(Missing):
        foretell(ROWS, None, Update(keys=("a",)), PLAIN)
    with pytest.raises(Missing):
        foretell(ROWS, None, Append(), Target(Table(create=False)))


@pytest.mark.security
def test_a_repeated_key_is_shown_shortened():
    told = repeated(("k", "l"), (1, "x" * 5000), "db: t")
    assert "k = '1', l = 'xxx" in told.message
    assert len(told.message) < 500
