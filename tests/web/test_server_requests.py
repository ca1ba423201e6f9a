"""What a stranger's request costs, what one tenant can hold, and what the log says of each."""

from __future__ import annotations

import dataclasses
import json
import threading

import pytest

from sluicegate.base.errors import Throttled
from sluicegate.base.principal import Role
from sluicegate.base.settings import Server
from sluicegate.web.server import build

CANARY = "canary-5f3b9a"


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
