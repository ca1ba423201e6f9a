"""What ends on one server process has ended on the other within a second, waiting requests and all (SEC-T09)."""

from __future__ import annotations

import itertools
import threading
import time
from typing import NamedTuple

import pytest

from sluicegate.base.model import new_id
from sluicegate.base.principal import Principal, Role, Via
from sluicegate.store.database import Database
from sluicegate.store.runs import Run
from sluicegate.store.scope import Scope
from tests.fixtures.home import PASSWORD
from tests.fixtures.pair import Caller, Pair, pair

__all__ = ["pair"]

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pair")]

A, B = 0, 1
TRIES = 3
"""A loaded machine may be late once; what needs a second by design is late each time."""
_names = (f"t{number}" for number in itertools.count(1))


class Case(NamedTuple):
    """A tenant of its own, and those in it."""

    name: str
    id: str
    user: str
    admin: Caller
    editor: Caller
    root: Caller


def case(pair: Pair) -> Case:
    name = next(_names)
    id_ = pair.tenant(name)
    editor = Caller(pair).sign_in(f"editor@{name}.example", name)
    me = editor.ask(B, "GET", "/session/whoami")["id"]
    admin = Caller(pair).sign_in(f"administrator@{name}.example", name)
    return Case(name, id_, me, admin, editor, pair.root())


def waiting_run(pair: Pair, tenant: str) -> str:
    """Put a run on record that nobody carries out."""
    database = Database(pair.url)
    try:
        who = Principal("system", tenant, Role.OPERATOR, Via.SYSTEM)
        run = Run(id=new_id(), flow="f", flow_version=1, digest="d", by="u", via="password", created=time.time())
        return Scope(database, tenant, who).runs().add(run).id
    finally:
        database.close()


def change_password(it: Case) -> None:
    other = it.editor.again().sign_in(f"editor@{it.name}.example", it.name)
    other.ask(A, "POST", "/session/password", {"old": PASSWORD, "new": "eleven quiet herons by noon"})


CHANGES = {
    "logout": lambda it: it.editor.again().ask(A, "POST", "/session/logout", {"refresh": it.editor.refresh}),
    "disable": lambda it: it.admin.ask(A, "POST", f"/users/{it.user}/deactivate", {}),
    "role": lambda it: it.admin.ask(A, "PUT", f"/users/{it.user}/role", {"role": "viewer"}),
    "password": change_password,
    "tenant suspend": lambda it: it.root.ask(A, "POST", f"/tenants/{it.id}/suspend", {}),
    "address list": lambda it: it.admin.ask(A, "PUT", f"/users/{it.user}/addresses", {"addresses": ["192.0.2.1"]}),
}


def until(ask, seconds=10.0):
    """Ask until the answer is no; return when that was."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if ask() in {401, 403}:
            return time.monotonic()
        time.sleep(0.01)
    raise AssertionError("it never ended")


@pytest.mark.security
@pytest.mark.req("SEC-T09")
@pytest.mark.parametrize("change", CHANGES)
def test_the_other_server_refuses_within_a_second_and_lets_go_of_who_waits(pair, change, record_property):
    seen = []
    for _ in range(TRIES):
        it = case(pair)
        run, waiter, held = waiting_run(pair, it.id), it.editor.again(), []

        def wait(waiter=waiter, run=run, held=held):
            status, _ = waiter.send(B, "GET", f"/runs/{run}/events?wait=20")
            held.append((status, time.monotonic()))

        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.5)
        assert it.editor.send(B, "GET", "/flows")[0] == 200
        assert held == [], "it waits"
        CHANGES[change](it)
        done = time.monotonic()
        refused = until(lambda it=it: it.editor.send(B, "GET", "/flows")[0]) - done
        thread.join(30)
        status, let_go = held[0]
        assert status == (403 if change == "address list" else 401)
        seen.append((refused, let_go - done))
        if max(seen[-1]) < 1:
            break
    record_property("refused, let go", seen)
    print(f"\n{change}: refused after {seen[-1][0] * 1000:.0f} ms, let go after {seen[-1][1] * 1000:.0f} ms")
    assert max(seen[-1]) < 1, seen


@pytest.mark.security
@pytest.mark.req("SEC-T09", "SEC-Z02")
def test_a_revoked_support_access_is_over_on_the_other_server_within_a_second(pair, record_property):
    seen = []
    for _ in range(TRIES):
        it = case(pair)
        root = it.root
        root.access = root.ask(A, "POST", "/session/switch", {"tenant": it.name})["access"]
        items = lambda root=root: root.send(B, "GET", "/connections/none/items")[0]  # noqa: E731 - asked twice
        assert items() == 403
        made = it.admin.ask(A, "POST", "/support", {"reason": "a fault"})["id"]
        given = time.monotonic()
        while items() != 404:
            assert time.monotonic() - given < 10
        it.admin.ask(A, "DELETE", f"/support/{made}")
        done = time.monotonic()
        seen.append(until(items) - done)
        if seen[-1] < 1:
            break
    record_property("refused", seen)
    print(f"\nsupport revoke: refused after {seen[-1] * 1000:.0f} ms")
    assert seen[-1] < 1, seen


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_a_switch_on_one_server_ends_the_old_token_on_the_other(pair):
    it = case(pair)
    old, tab = it.root.again(), it.root.again()
    tab.access = tab.ask(A, "POST", "/session/refresh", {"refresh": tab.refresh})["access"]
    it.root.access = it.root.ask(A, "POST", "/session/switch", {"tenant": it.name})["access"]
    done = time.monotonic()
    assert until(lambda: old.send(B, "GET", "/tenants")[0]) - done < 5
    assert until(lambda: tab.send(B, "GET", "/tenants")[0]) - done < 5, "nor does another tab of the same sign-in"
    assert it.root.ask(B, "GET", "/session/whoami")["tenant"] == it.id
