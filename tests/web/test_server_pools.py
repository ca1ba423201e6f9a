"""Threads behind the gate: nothing waits for another kind of work, and strangers cost nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import threading
import time

import pytest

from sluicegate.base.errors import Throttled
from sluicegate.base.principal import Role
from sluicegate.base.settings import Server
from sluicegate.guard.operation import Http, Nothing, Operation
from sluicegate.operations import OPERATIONS
from sluicegate.web.server import Pool, Pools, build
from tests.fixtures.server import BY_NAME

CANARY = "canary-5f3b9a"


def operation(method="POST", name="a.b", **more):
    more = {"audited": True, **more}
    return Operation(name, BY_NAME["run.get"].permission, Http(method, "/a"), Nothing, Nothing, len, **more)


KINDS = {
    "read": operation("GET", audited=False), "hash": operation(hashes=True), "ask": operation(asks=True), "work": operation(),
    "abroad": operation(abroad=True),
}  # fmt: skip


@pytest.mark.security
@pytest.mark.req("SEC-D06", "SEC-A02")
@pytest.mark.parametrize("held", KINDS)
def test_no_kind_of_work_waits_for_another(held):
    pools, release = Pools(1), threading.Event()

    async def all_at_once():
        busy = [asyncio.create_task(pools.of(KINDS[held]).run(lambda: release.wait(10))) for _ in range(16)]
        await asyncio.sleep(0.05)
        others = [pools.of(each) for name, each in KINDS.items() if name != held]
        done = await asyncio.wait_for(asyncio.gather(*(each.run(lambda: "done") for each in others)), 5)
        release.set()
        await asyncio.gather(*busy)
        return done

    assert asyncio.run(all_at_once()) == ["done"] * 4


@pytest.mark.security
@pytest.mark.req("SEC-D06", "SEC-A02")
def test_the_queue_before_the_threads_is_not_endless():
    pool, release = Pool("a", 1, 3), threading.Event()

    async def crowd():
        tries = [asyncio.create_task(pool.run(lambda: release.wait(10))) for _ in range(5)]
        await asyncio.sleep(0.05)
        release.set()
        return await asyncio.gather(*tries, return_exceptions=True)

    told = asyncio.run(crowd())
    assert [type(each) for each in told] == [bool, bool, bool, Throttled, Throttled]
    assert asyncio.run(pool.run(lambda: 1)) == 1


@pytest.mark.security
@pytest.mark.req("SEC-A02")
def test_who_is_sent_away_is_told_how_long_the_queue_takes():
    pool = Pool("a", 2, 6)

    async def crowd():
        for _ in range(40):  # it learns how long one takes
            await pool.run(lambda: time.sleep(0.02))
        tries = [asyncio.create_task(pool.run(lambda: time.sleep(0.02))) for _ in range(7)]
        return await asyncio.gather(*tries, return_exceptions=True)

    told = asyncio.run(crowd())[-1]
    assert isinstance(told, Throttled)
    assert 0.05 < told.after < 0.5, "six at 0.02 s, two at a time"


@pytest.mark.security
@pytest.mark.req("SEC-A02")
def test_whatever_hashes_a_password_waits_with_its_like_and_nothing_else_does():
    pools = Pools(1)
    hashing = {each.name for each in OPERATIONS if pools.of(each) is pools._hashes}
    assert hashing == {
        "session.login", "session.bootstrap", "session.prove", "session.password", "user.create", "superadmin.create",
        "invitation.accept", "password.reset",
    }  # fmt: skip
    assert not any(pools.door(each) in (pools._hashes, pools._abroad) for each in OPERATIONS)
    abroad = {each.name for each in OPERATIONS if pools.of(each) is pools._abroad}
    assert abroad == {"sso.begin", "sso.finish", "sso.prove", "sso.confirm", "sso.test"}


@pytest.mark.security
@pytest.mark.req("SEC-D02")
@pytest.mark.parametrize("token", [None, "garbage"])
def test_the_body_of_a_stranger_is_not_read(place, token):
    read = []

    async def body():
        read.append(1)
        yield b"{"

    assert place.request("POST", "/api/v1/definitions", token, content=body()).status_code == 401
    assert read == []


@pytest.mark.security
@pytest.mark.req("SEC-D06")
def test_one_tenant_cannot_hold_all_that_asks_a_task(place, monkeypatch):
    entered, release = threading.Barrier(3), threading.Event()

    def _held(*_):
        entered.wait(10)
        release.wait(10)
        return "fine"

    monkeypatch.setattr(type(place.app.worker), "ask", _held)
    tokens = {tenant: place.token(Role.OPERATOR, tenant) for tenant in ("north", "south")}
    ask = {"name": "c"}
    threads = [threading.Thread(target=lambda: place.call("connection.test", ask, tokens["north"])) for _ in range(2)]
    for each in threads:
        each.start()
    entered.wait(10)
    with pytest.raises(Throttled, match="Your tenant"):
        place.call("connection.test", ask, tokens["north"])
    release.set()
    for each in threads:
        each.join(10)


@pytest.mark.security
@pytest.mark.req("SEC-L04", "SEC-T19")
def test_each_request_is_logged_without_what_was_in_it(fresh, capsys, monkeypatch):
    web = build(dataclasses.replace(fresh.app, settings=fresh.settings.model_copy(update={"server": Server()})))
    monkeypatch.setattr(fresh, "web", web)
    token = fresh.token(Role.EDITOR)
    fresh.request("PUT", "/api/v1/secrets/a", token, json={"value": CANARY})
    fresh.request("GET", "/api/v1/flows?limit=" + CANARY, "garbage")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if '"request"' in line]
    assert [(each["event.action"], each["http.response.status_code"]) for each in lines] == [
        ("secret.set", 200),
        ("flow.list", 401),
    ]
    assert all(each["event.duration"] >= 0 and each["http.request.id"] for each in lines)
    assert CANARY not in str(lines)
    assert token not in str(lines)


def test_what_reaches_out_of_the_process_is_no_quick_read():
    quick = {each.name for each in OPERATIONS if each.http.method == "GET" and not each.audited}
    assert quick.isdisjoint({"connection.test", "connection.items", "flow.preview", "run.rejects"})
