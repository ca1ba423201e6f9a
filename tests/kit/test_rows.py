from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from sluicegate.kit.rows import BATCH_BYTES, Marker, Receipt, Reject, Stage


def test_a_batch_is_about_a_mebibyte():
    assert BATCH_BYTES == 1024 * 1024


def test_a_receipt_promises_the_most_and_says_what_it_counted():
    got = Receipt(rows=3)
    assert (got.rows, got.bytes, got.sha256, got.guarantee, got.repeated) == (3, 0, None, "exactly-once", False)


@pytest.mark.parametrize(
    "value",
    [{}, {"rows": None}, {"rows": "many"}, {"rows": 1.5}, {"rows": 1, "guarantee": "maybe"}, {"rows": 1, "more": 1}],
)
def test_a_receipt_that_says_nothing_sure_is_none(value):
    with pytest.raises(ValidationError):
        Receipt.model_validate(value)


def test_a_receipt_goes_over_a_pipe_and_comes_back():
    sent = Receipt(rows=1 << 40, bytes=7, sha256="ab", guarantee="at-least-once", repeated=True)
    assert Receipt.model_validate_json(sent.model_dump_json()) == sent


def test_a_marker_tells_runs_and_segments_apart():
    assert Marker("r1", "a") == Marker("r1", "a")
    assert len({Marker("r1", "a"), Marker("r1", "b"), Marker("r2", "a")}) == 3


def test_a_reject_holds_what_is_needed_to_find_and_mend_the_row():
    assert Reject._fields == ("line", "column", "reason", "raw", "row")


@pytest.mark.parametrize(
    ("reject", "place"),
    [
        (Reject(3, "a", "odd", "x"), "line 3, column a"),
        (Reject(None, "a", "odd", "x", 7), "row 7, column a"),
        (Reject(None, None, "odd", "x"), ""),
    ],
)
def test_a_reject_is_placed_by_the_line_when_it_is_known_and_else_by_the_row(reject, place):
    assert reject.place() == place


def test_a_stage_is_told_by_what_it_has():
    class Whole:
        done = None

        def write(self, batch): ...
        def commit(self): ...
        def __enter__(self): ...
        def __exit__(self, *_): ...

    class Open:
        done = None

        def write(self, batch): ...
        def commit(self): ...

    assert isinstance(Whole(), Stage)
    assert not isinstance(Open(), Stage), "a stage that cannot be left does not abort"


@pytest.mark.security
def test_the_kit_loads_no_arrow_by_itself():
    code = "import sys\nfrom sluicegate.kit import rows, connection, format, step, context\nprint('pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
