"""What the listener serves: sealed, then open; one that opens by itself tries again while its service is away."""

from __future__ import annotations

import asyncio

import pytest

from sluicegate.app import make_home, make_seal
from sluicegate.base.errors import Invalid, Unavailable
from sluicegate.base.principal import Peer
from sluicegate.base.settings import Settings
from sluicegate.guard.sealfile import KEY_FILE
from sluicegate.web import front as fronts
from sluicegate.web.front import Front


def front(home, kind):
    make_home(home, (), None, None, keyed=False)
    made = make_seal(home, kind)
    return Front(Settings(home=home)), made.shares


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(fronts, "PAUSES", (0.0, 0.0, 0.0))


@pytest.mark.security
@pytest.mark.req("SEC-V06")
@pytest.mark.slow
def test_nothing_is_wired_before_people_have_opened_it(tmp_path):
    made, shares = front(tmp_path / "home", "shamir")
    told = []
    made.on_open = told.append
    made.open()
    try:
        shut = made._inner
        assert made.app is None
        for each in shares[:3]:
            made._gate.give(each, Peer("192.0.2.1"))
        assert (made.app is not None, made._inner is not shut, told) == (True, True, [made.app])
        ledger = made.app.services.system.ledger()
        assert [body["result"] for _, body, _ in ledger.all() if body["action"] == "seal.open"] == [
            "given",
            "given",
            "opened",
        ]
        stopped = []
        made.on_close = lambda: stopped.append(1)
        made.app.services.sealing.close()
        assert (made.again, stopped) == (True, [1])
    finally:
        made.close()


def test_a_key_file_opens_by_itself(tmp_path):
    made, _ = front(tmp_path / "home", "file")
    with pytest.raises(Unavailable):
        asyncio.run(made({}, None, None))
    made.open()
    try:
        assert made.app is not None
    finally:
        made.close()


@pytest.mark.security
@pytest.mark.req("SEC-V06")
def test_a_service_that_is_away_is_asked_again_and_in_the_end_nothing_is_open(tmp_path, monkeypatch, quick, capfd):
    made, _ = front(tmp_path / "home", "file")
    asked = []

    def away(*_given):
        asked.append(1)
        raise Unavailable("The transit engine cannot be asked.")

    monkeypatch.setattr(fronts, "build", away)
    with pytest.raises(Unavailable, match="transit engine"):
        made.open()
    assert (len(asked), made.app) == (4, None)
    assert capfd.readouterr().err.count("tried again") == 3


@pytest.mark.security
def test_what_will_not_get_better_is_not_tried_again(tmp_path, quick, capfd):
    made, _ = front(tmp_path / "home", "file")
    (tmp_path / "home" / KEY_FILE).unlink()
    with pytest.raises(Invalid, match="no root key"):
        made.open()
    assert "tried again" not in capfd.readouterr().err
