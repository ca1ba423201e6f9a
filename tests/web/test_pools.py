"""Threads behind the gate: nothing waits for another kind of work, and strangers cost nothing."""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest

from sluicegate.base.errors import Throttled
from sluicegate.guard.operation import Http, Nothing, Operation
from sluicegate.operations import OPERATIONS
from sluicegate.web.pools import Pool, Pools
from tests.fixtures.server import BY_NAME


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
    assert 0.05 < told.after < 5, "six at 0.02 s, two at a time, and what a loaded machine adds"


@pytest.mark.security
@pytest.mark.req("SEC-A02")
def test_whatever_hashes_a_password_waits_with_its_like_and_nothing_else_does():
    pools = Pools(1)
    hashing = {each.name for each in OPERATIONS if pools.of(each) is pools._hashes}
    assert hashing == {
        "session.login", "session.bootstrap", "session.prove", "session.password", "user.create", "superadmin.create",
        "invitation.accept", "password.reset", "seal.change",
    }  # fmt: skip
    assert not any(pools.door(each) in (pools._hashes, pools._abroad) for each in OPERATIONS)
    abroad = {each.name for each in OPERATIONS if pools.of(each) is pools._abroad}
    assert abroad == {"sso.begin", "sso.finish", "sso.prove", "sso.confirm", "sso.test"}


@pytest.mark.security
@pytest.mark.req("SEC-A02")
def test_hashing_gives_way_to_all_other_work_and_the_process_does_not():
    pools, mine = Pools(1), os.getpriority(os.PRIO_PROCESS, 0)

    async def standing(name):
        return await pools.of(KINDS[name]).run(lambda: os.getpriority(os.PRIO_PROCESS, 0))

    told = {name: asyncio.run(standing(name)) for name in KINDS}
    assert told.pop("hash") > mine
    assert set(told.values()) == {mine}
    assert os.getpriority(os.PRIO_PROCESS, os.getpid()) == mine


def test_what_reaches_out_of_the_process_is_no_quick_read():
    quick = {each.name for each in OPERATIONS if each.http.method == "GET" and not each.audited}
    assert quick.isdisjoint({"connection.test", "connection.items", "flow.preview", "run.rejects"})
