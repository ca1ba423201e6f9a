from __future__ import annotations

import pytest

from sluicegate.base.sources import Source
from sluicegate.cli import canaries


@pytest.mark.security
def test_canaries_are_all_different_and_stand_nowhere_else():
    made = {canaries.random_word() for _ in range(1000)}
    assert len(made) == 1000
    assert min(len(each) for each in made) >= 30


class Told:
    """Somebody who is asked for links, and keeps what was asked."""

    def __init__(self):
        self.asked = []

    def call(self, operation, ask):
        self.asked.append((operation.name, ask))


@pytest.mark.security
def test_what_the_operator_has_not_opened_is_said_not_to_be_covered(tmp_path):
    planted, admin = canaries.Canaries(Told(), tmp_path), Told()
    planted.link(admin, None, {"ANY_VARIABLE": "of the command's own"})
    assert [each.partition(":")[0] for each in planted.missing] == ["link to a file", "link to a variable"]
    assert admin.asked == []
    planted.link(
        admin,
        Source(tenant="t", prefix="SLUICE_SECRET_P_"),
        {"SLUICE_SECRET_OTHER": "x" * 20, "SLUICE_SECRET_P_A": "short"},
    )
    assert len(planted.missing) == 4
    assert set(planted.words) == {"rows"}


@pytest.mark.security
def test_a_file_that_is_there_is_neither_used_nor_replaced(tmp_path):
    (tmp_path / canaries.FILE).write_text("somebody's own")
    planted = canaries.Canaries(Told(), tmp_path)
    planted.link(Told(), Source(tenant="t", folder=tmp_path), {})
    assert planted.missing[0].startswith("link to a file: ")
    assert planted.file is None
    assert (tmp_path / canaries.FILE).read_text() == "somebody's own"
