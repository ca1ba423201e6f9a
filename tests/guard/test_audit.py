from __future__ import annotations

import json

import pytest

from sluicegate.base.errors import Unavailable
from sluicegate.base.principal import Peer, Principal, Role
from sluicegate.crypto.chain import Chain
from sluicegate.crypto.keys import new_key
from sluicegate.guard.audit import Audit
from sluicegate.store.database import Database
from sluicegate.store.scope import System

PEER = Peer("10.0.0.1", "client " * 60, "request-9")


@pytest.fixture
def system(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/store.db")
    database.migrate()
    yield System(database)
    database.close()


@pytest.fixture
def audit(system):
    return Audit(system, Chain(new_key()), now=lambda: 1_800_000_000.5)


def bodies(system):
    return [body for _, body, _ in system.ledger().all()]


def test_a_record_says_who_what_where_when(audit, system):
    audit.event("thing.do", Principal("u-1", None, Role.SUPERADMIN), PEER, "ok", {"name": "x"})
    assert bodies(system) == [
        {
            "at": "2027-01-15T08:00:00.500Z", "action": "thing.do", "result": "ok", "who": "u-1", "role": "superadmin", "via": "password",
            "address": "10.0.0.1", "client": ("client " * 60)[:200], "request": "request-9", "about": {"name": "x"},
        }
    ]  # fmt: skip


def test_what_is_not_known_is_left_out(audit, system):
    audit.event("jail.probe", None, None, "full", {})
    assert bodies(system) == [{"at": "2027-01-15T08:00:00.500Z", "action": "jail.probe", "result": "full"}]


@pytest.mark.security
@pytest.mark.req("SEC-L02")
def test_a_call_is_told_twice_and_its_end_adds_what_came_out(audit, system):
    record = audit.begin("user.create", None, PEER, {"email": "a@b.c"})
    audit.end(record, "ok", {"id": "1"})
    first, last = bodies(system)
    assert (first["result"], first["about"]) == ("asked", {"email": "a@b.c"})
    assert (last["result"], last["about"]) == ("ok", {"email": "a@b.c", "id": "1"})


@pytest.mark.security
@pytest.mark.req("SEC-L01", "SEC-Z05")
def test_each_tenant_has_a_chain_of_its_own(audit, system):
    north, south = (system.tenants().create(name).id for name in ("north", "south"))
    audit.event("a.b", Principal("u", north, Role.EDITOR), PEER, "ok", {})
    audit.event("a.b", None, PEER, "denied", {}, tenant=south)
    audit.event("a.b", None, PEER, "denied", {})
    assert len(bodies(system)) == 1
    assert [audit.verify(each) for each in (north, south, "")] == [None, None, None]


@pytest.mark.security
@pytest.mark.req("SEC-L01")
def test_another_key_does_not_verify_the_trail(audit, system):
    audit.event("a.b", None, None, "ok", {})
    assert Audit(system, Chain(new_key())).verify("") == 1


@pytest.mark.security
@pytest.mark.req("SEC-L02")
def test_a_record_that_cannot_be_written_is_an_error_without_its_cause(audit, system):
    system.database.close()
    with pytest.raises(Unavailable) as told:
        audit.event("a.b", None, None, "ok", {"name": object()})
    assert "object" not in str(told.value)


@pytest.mark.security
@pytest.mark.req("SEC-L05")
@pytest.mark.parametrize("name", ['x"},{"action":"forged"', "x\n{}", "x\x1b[2J", "x\u202egnp.exe"])
def test_no_name_breaks_out_of_its_record(audit, system, name):
    audit.event("thing.do", None, Peer("10.0.0.1", name), "denied", {"name": name})
    (found,) = bodies(system)
    assert found["about"] == {"name": name}
    assert found["client"] == name
    assert audit.verify("") is None
    assert "\n" not in json.dumps(found)
