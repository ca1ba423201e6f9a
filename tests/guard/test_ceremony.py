from __future__ import annotations

import pytest

from sluicegate.base.errors import Invalid
from sluicegate.crypto import shares
from sluicegate.guard import ceremony
from sluicegate.guard.ceremony import rehearse


@pytest.mark.security
@pytest.mark.req("SEC-B09")
def test_each_three_of_five_open_and_no_two_do():
    found = rehearse(5, 3)
    assert (len(set(found.shares)), found.opened, found.shut) == (5, 10, 10)
    assert found.shares[0] not in repr(found)


def test_many_ways_are_tried_up_to_a_number(monkeypatch):
    monkeypatch.setattr(ceremony, "MOST", 4)
    found = rehearse(6, 3)
    assert (found.opened, found.shut) == (4, 4)


@pytest.mark.security
def test_what_does_not_hold_is_told(monkeypatch):
    with pytest.raises(Invalid, match="threshold"):
        rehearse(2, 3)
    real = shares.combine
    with monkeypatch.context() as patch:
        patch.setattr("sluicegate.guard.seals.shamir.combine", lambda given: real((*given, *given)[: len(given)]))
        rehearse(3, 2)
    made = []

    def leaky(given):
        made.append(real(given) if len(given) > 1 else made[0])
        return made[-1]

    monkeypatch.setattr("sluicegate.guard.seals.shamir.combine", leaky)
    with pytest.raises(Invalid, match="too few"):
        rehearse(2, 2)
