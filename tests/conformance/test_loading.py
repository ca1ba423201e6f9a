"""The suite sees a connection that takes away what nobody allowed, counts wrong, or leaves half a load: one fault each."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from sluicegate.base.errors import SluiceError
from sluicegate.conformance.connection import Given
from sluicegate.conformance.loading import LoadingSuite
from sluicegate.connectors.sqlite import Sqlite
from sluicegate.connectors.sqlite.stage import SqliteStage
from sluicegate.kit import loading
from sluicegate.kit.context import Context
from sluicegate.kit.mode import Delete, Replace, Update
from sluicegate.kit.net import Egress, Net
from sluicegate.kit.paths import Root
from sluicegate.kit.target import Target


@pytest.fixture
def given(tmp_path):
    with Root(tmp_path) as root, closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as db:
        yield Given(Sqlite(name="x", path="x.db"), Context(net=Net(Egress()), files=root), execute=db.execute)


def allow_all(patch):
    patch.setattr(Target, "require", lambda *_: None)


def update_all(patch):
    patch.setattr(loading.Load, "_same", lambda _: "true")


def forget_updates(patch):
    patch.setattr(loading.Load, "_update", lambda _self, table, *_: f"delete from {table} where false")


def commit_on_abort(patch):
    real = SqliteStage._close

    def abort(self):
        if self._open and self._link.in_transaction:
            self._link.execute("commit")
        real(self)

    patch.setattr(SqliteStage, "abort", abort)


@pytest.mark.security
@pytest.mark.parametrize(
    ("fault", "case", "args"),
    [
        (allow_all, "test_what_takes_rows_away_must_be_allowed", (Replace(),)),
        (allow_all, "test_a_table_is_only_dropped_when_that_is_allowed", ()),
        (update_all, "test_some_columns_are_enough_to_change_rows", ()),
        (forget_updates, "test_modes_agree_with_an_oracle", (0,)),
        (commit_on_abort, "test_a_load_that_is_left_or_repeated_changes_nothing", (Update(keys=("k",)),)),
        (commit_on_abort, "test_a_row_that_the_target_refuses_undoes_the_whole_load", (Replace(),)),
    ],
)
def test_suite_sees_the_fault(given, fault, case, args):
    with pytest.MonkeyPatch.context() as patch:
        fault(patch)
        with pytest.raises((AssertionError, SluiceError, pytest.fail.Exception)):
            getattr(LoadingSuite(), case)(given, *args)


def test_suite_passes_without_a_fault(given):
    LoadingSuite().test_what_takes_rows_away_must_be_allowed(given, Delete(keys=("k",)))
