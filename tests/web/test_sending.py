"""Downloads and streams over HTTP: a ticket alone opens them, their headers are safe, and what is cut looks cut."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import pytest

from sluicegate.base.errors import Unavailable
from sluicegate.base.principal import Role
from sluicegate.guard.pieces import Pieces
from sluicegate.web.pools import Pool
from sluicegate.web.sending import Sending
from tests.fixtures.server import BY_NAME

GONE = {"type": "http.disconnect"}


@pytest.fixture
def run(place):
    made = place.a_run("north")
    place.scope("north").runs().event(made, "log", {"message": "said"})
    return made


def url(place, operation="run.log", role=Role.OPERATOR, **ask):
    told = place.call("ticket.create", {"operation": operation, "ask": ask}, place.token(role))
    return told.url


@pytest.mark.security
@pytest.mark.req("SEC-T19", "SEC-W01")
def test_a_download_is_a_file_and_nothing_that_a_browser_would_show(place, run):
    got = place.request("GET", url(place, id=run))
    assert got.status_code == 200
    assert json.loads(got.text)["body"] == {"message": "said"}
    wanted = {
        "content-type": "application/x-ndjson",
        "content-disposition": f'attachment; filename="idle-{run}.ndjson"',
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
    assert {name: got.headers[name] for name in wanted} == wanted
    assert "content-length" not in got.headers


@pytest.mark.security
@pytest.mark.req("SEC-T19", "SEC-T20")
def test_a_download_takes_its_ticket_once_and_nothing_beside_it(place, run):
    good = url(place, id=run)
    path, ticket = good.split("?ticket=")
    token = place.token(Role.OPERATOR)
    refused = [
        ("GET", path, None),
        ("GET", path, token),
        ("GET", f"{path}?ticket=", None),
        ("GET", f"{path}?ticket={token}", None),
        ("GET", f"{path}?ticket={ticket}x", None),
        ("GET", f"{path}?ticket=%F0%9F%8E%9F", None),
        ("GET", f"{path}?ticket={'A' * 5000}", None),
        ("GET", f"{good}&ticket={ticket}", None),
        ("GET", f"{good}&access_token=x", None),
        ("GET", f"{path}?Ticket={ticket}", None),
        ("GET", good, token),
        ("HEAD", good, None),
    ]
    for method, asked, held in refused:
        got = place.request(method, asked, held)
        assert got.status_code == 401, asked
        assert method == "HEAD" or got.json()["title"] == "Sign in first."
    assert place.request("GET", good).status_code == 200, "none of these has used it up"
    assert place.request("GET", good).status_code == 401


@pytest.mark.security
@pytest.mark.req("SEC-T19")
@pytest.mark.parametrize("name", ["cookie", "dpop", "x-ticket"])
def test_a_ticket_in_a_header_is_none(place, run, name):
    path, ticket = url(place, id=run).split("?ticket=")
    assert place.request("GET", path, headers={name: ticket}).status_code == 401
    assert place.request("GET", path, headers={"authorization": f"DPoP {ticket}"}).status_code == 401


@pytest.mark.security
@pytest.mark.req("SEC-T19", "SEC-Z03")
def test_what_is_wrong_is_told_before_anything_is_sent(place):
    from sluicegate.base.model import new_id

    got = place.request("GET", url(place, id=new_id()))
    assert (got.status_code, got.headers["content-type"]) == (404, "application/problem+json")
    assert "content-disposition" not in got.headers


# -- one response, message by message ----------------------------------------------------------------------------------


class Line:
    """The client's end of an ASGI call."""

    def __init__(self):
        self.sent, self.gone = [], asyncio.Event()
        self.seen = asyncio.Event()

    async def receive(self):
        await self.gone.wait()
        return GONE

    async def send(self, message):
        self.sent.append(message)
        self.seen.set()

    async def until(self, count):
        async with asyncio.timeout(20):
            while len(self.sent) < count:
                self.seen.clear()
                await self.seen.wait()

    @property
    def bodies(self):
        return [each["body"] for each in self.sent[1:]]


def sending(place, made, operation="run.watch"):
    pieces = Pieces.of("a", "text/event-stream", made, topic="a-run")
    return Sending(place.app, BY_NAME[operation], Pool("test", 1, 8), pieces, pieces.next())


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_a_quiet_stream_is_looked_at_more_than_once_a_second(place):
    looked, enough = [], threading.Event()

    def made():
        while True:
            looked.append(time.monotonic())
            if len(looked) > 4:
                enough.set()
            yield b""

    async def follow():
        line = Line()
        task = asyncio.create_task(sending(place, made())({}, line.receive, line.send))
        assert await asyncio.to_thread(enough.wait, 20)
        line.gone.set()
        await task

    asyncio.run(follow())
    assert min(after - before for before, after in zip(looked[1:], looked[2:], strict=False)) < 0.95


def test_news_wakes_a_stream_and_its_client_s_leaving_ends_it(place):
    news, ended = [], threading.Event()

    def made():
        try:
            while True:
                yield news.pop() if news else b""
        finally:
            ended.set()

    async def follow():
        line = Line()
        task = asyncio.create_task(sending(place, made())({}, line.receive, line.send))
        await line.until(1)
        news.append(b"data: 1\n\n")
        place.app.events.wake("a-run")
        await line.until(2)
        line.gone.set()
        await asyncio.wait_for(task, 20)
        return line

    line = asyncio.run(follow())
    assert line.bodies == [b"data: 1\n\n"]
    assert ended.is_set()


def test_a_long_quiet_stream_says_that_it_is_there(place, monkeypatch):
    monkeypatch.setattr("sluicegate.web.sending._QUIET", 0.5)

    def made():
        while True:
            yield b""

    async def follow():
        line = Line()
        task = asyncio.create_task(sending(place, made())({}, line.receive, line.send))
        await line.until(2)
        line.gone.set()
        await asyncio.wait_for(task, 20)
        return line

    assert asyncio.run(follow()).bodies[0] == b":\n\n"


def failing():
    yield b"1"
    raise Unavailable("The store is away.")


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_a_stream_says_why_it_ends_and_a_file_that_is_cut_has_no_end(place):
    async def follow(operation):
        line = Line()
        try:
            await sending(place, failing(), operation)({}, line.receive, line.send)
        except Unavailable:
            return line, True
        return line, False

    line, broke = asyncio.run(follow("run.watch"))
    assert line.bodies == [b"1", b'event: end\ndata: {"why":"unavailable"}\n\n', b""]
    assert (line.sent[-1]["more_body"], broke) == (False, False)
    line, broke = asyncio.run(follow("run.log"))
    assert (line.bodies, line.sent[-1]["more_body"], broke) == ([b"1"], True, True)


def test_a_client_that_is_cut_off_leaves_nothing_open(place):
    ended = threading.Event()

    def made():
        try:
            while True:
                yield b"x"
        finally:
            ended.set()

    async def follow():
        line = Line()
        task = asyncio.create_task(sending(place, made())({}, line.receive, line.send))
        await line.until(3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(follow())
    assert ended.wait(20)
