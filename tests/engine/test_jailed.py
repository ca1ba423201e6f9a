"""The program inside the jail, part by part; ``test_jail….py`` runs it where it belongs."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest

from sluicegate.engine import confine, jailed


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("Conversion Error: Could not convert string 'x' to INT32\n\nLINE 1: SELECT …", "data", "Could not convert string 'x' to INT32"),
        ("Out of Range Error: 300 is too big!", "data", "300 is too big"),
        ("Out of Memory Error: could not allocate", "memory", "needs more than the 64 MB of memory it may use"),
        ("std::bad_alloc", "memory", "needs more than the 64 MB of memory it may use"),
        ('Binder Error: Referenced column "a""b" not found in FROM clause!\nCandidate bindings: "secret"', "unknown_column", 'there is no column "a""b"'),
        ("Permission Error: Cannot", "failed", "not allowed here: Cannot"),
        ("Binder Error: file system operations are disabled by configuration", "failed", "not allowed here: file system operations are disabled by configuration"),
        ("Invalid Error: ArrowArrayStream: get_next failed", "failed", "an input is read twice; rows on their way can be read once only"),
        ('Parser Error: syntax error at or near "SELEC"\n\nLINE 1: SELEC 1\n        ^', "failed", 'syntax error at or near "SELEC"'),
        ("", "failed", "the query failed"),
    ],
)  # fmt: skip
def test_what_duckdb_said_becomes_one_sentence(text, kind, said):
    assert jailed.explain(text, 64) == (kind, said)


@pytest.mark.security
def test_an_explanation_shows_no_query_no_candidates_and_has_an_end():
    told = jailed.explain(
        "Binder Error: no such thing\nLINE 1: SELECT 'canary'\nCandidate functions: canary()" + "x" * 9000, 1
    )[1]
    assert told == "no such thing"
    assert len(jailed.explain("Parser Error: " + "x" * 9000, 1)[1]) == 500


def kinds(*names):
    return [SimpleNamespace(id=name) for name in names]


def test_rows_are_asked_for_by_their_width():
    assert jailed._batch_rows(kinds("bigint", "double")) == 65536
    assert jailed._batch_rows(kinds(*["bigint"] * 500)) == 2048
    for unknown in ("varchar", "blob", "list", "struct"):
        assert jailed._batch_rows(kinds("bigint", unknown)) == 2048, "a vector: their width is not known"


@pytest.mark.parametrize(
    "widths", [[10], [3000] * 10, [10, 700_000, 10, 3_000_000, 10, 10], [600_000] * 5, [5] * 2000, []]
)
def test_batches_are_cut_and_gathered_in_order(widths):
    batches = [
        pa.record_batch({"n": [place, -place], "s": ["x" * (width // 2)] * 2}) for place, width in enumerate(widths)
    ]
    sized = list(jailed._sized(iter(batches), pa))
    schema = pa.schema([("n", pa.int64()), ("s", pa.string())])
    assert pa.Table.from_batches(sized, schema).equals(pa.Table.from_batches(batches, schema))
    assert all(batch.nbytes <= 2 * jailed.BATCH_BYTES or batch.num_rows == 1 for batch in sized)
    assert all(batch.nbytes >= jailed.BATCH_BYTES // 2 or len(widths) < 20 for batch in sized[:-1])


@pytest.mark.parametrize("name", sorted(jailed._NOT_CARRIED))
def test_a_type_that_would_change_is_refused_at_any_depth(name):
    leaf = SimpleNamespace(id=name)
    inner = type("Kind", (), {"id": "struct", "children": [("x", leaf)], "__str__": lambda self: "STRUCT"})()
    nested = SimpleNamespace(id="array", children=[("child", inner), ("size", 3)])
    for kind in (leaf, inner, nested):
        with pytest.raises(jailed.Refused, match='the column "c" is of type .* cannot be carried exactly; cast it'):
            jailed._check_kind("c", kind)


@pytest.mark.security
def test_an_attempt_counts_as_refused_only_when_it_was_refused():
    def raising(number):
        def attempt():
            raise OSError(number, "")

        return attempt

    assert [jailed._attempt(raising(number)) for number in (1, 13, 2, 38, 30)] == [True] * 5
    assert [jailed._attempt(raising(number)) for number in (14, 22, 3, 9)] == [False] * 4, "it got past the wall"
    assert jailed._attempt(lambda: None) is False


@pytest.mark.security
@pytest.mark.parametrize("module", [jailed, confine])
def test_what_runs_in_the_jail_knows_nothing_of_the_product(module):
    tree = ast.parse(Path(module.__file__).read_text())
    found = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    found |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    allowed = {"pyarrow", "_duckdb", "confine"} if module is jailed else set()
    assert {name.partition(".")[0] for name in found} <= set(sys.stdlib_module_names) | allowed
