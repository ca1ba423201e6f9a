"""The suite sees a connection that loses, repeats or shows rows: SQLite with one fault at a time."""

from __future__ import annotations

import uuid

import pytest

from sluicegate.base.errors import SluiceError
from sluicegate.conformance.connection import Given
from sluicegate.conformance.loading import MERGE
from sluicegate.conformance.rows import RowsSuite
from sluicegate.connectors.sqlite import Sqlite
from sluicegate.connectors.sqlite import stage as staging
from sluicegate.kit.context import Context
from sluicegate.kit.mode import Append
from sluicegate.kit.net import Egress, Net
from sluicegate.kit.paths import Root


@pytest.fixture
def given(tmp_path):
    with Root(tmp_path) as root:
        yield Given(Sqlite(name="x", path="x.db"), Context(net=Net(Egress()), files=root))


def forget_marker(patch):
    patch.setattr(staging.SqliteStage, "_close", staging.SqliteStage._close)
    real = staging.SqliteStage.begin

    def begin(self):
        self._marker = (self._marker[0] + uuid.uuid4().hex, "w")
        real(self)

    patch.setattr(staging.SqliteStage, "begin", begin)


def commit_on_abort(patch):
    real = staging.SqliteStage._close

    def abort(self):
        if self._open and self._link.in_transaction:
            self._link.execute("commit")
        real(self)

    patch.setattr(staging.SqliteStage, "abort", abort)


def nulls_become_empty(patch):
    real = staging.to_storage
    patch.setattr(staging, "to_storage", lambda each: ["" if value is None else value for value in real(each)])


def quote_nothing(patch):
    for module in ("sluicegate.connectors.sqlite.stage", "sluicegate.connectors.sqlite.types"):
        patch.setattr(f"{module}.quoted", lambda name: f'"{name}"')
    patch.setattr("sluicegate.connectors.sqlite.quoted", lambda name: f'"{name}"')


@pytest.mark.parametrize(
    ("fault", "case", "args"),
    [
        (forget_marker, "test_same_load_never_lands_twice", (Append(),)),
        (commit_on_abort, "test_abandoned_load_changes_nothing", (Append(), "leave")),
        (commit_on_abort, "test_abandoned_load_changes_nothing", (MERGE, "close")),
        (nulls_become_empty, "test_empty_text_is_not_null", ()),
        (nulls_become_empty, "test_type_there_and_back", ("text",)),
    ],
)
def test_suite_sees_the_fault(given, fault, case, args):
    with pytest.MonkeyPatch.context() as patch:
        fault(patch)
        with pytest.raises((AssertionError, SluiceError)):
            getattr(RowsSuite(), case)(given, *args)


@pytest.mark.security
def test_suite_sees_missing_quotes(given):
    with pytest.MonkeyPatch.context() as patch:
        quote_nothing(patch)
        with pytest.raises((AssertionError, SluiceError)):
            RowsSuite().test_names_are_never_code(given, 'x"; drop table victim; --')
