from __future__ import annotations

import asyncio
import io
import json
import sys
import threading
import time

import pytest

from sluicegate.base.errors import Throttled
from sluicegate.base.principal import Role
from sluicegate.web import server
from sluicegate.web.server import build
from tests.fixtures.asgi import ask

CANARY = "canary-hunter2"
DEEPEST = 64


def problem(answer):
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert told["status"] == answer.status_code
    return told


# -- requests ----------------------------------------------------------------------------------------------------------


def test_an_answer_is_json_with_the_status_of_the_operation(place):
    token = place.token(Role.SUPERADMIN, None)
    made = place.request("POST", "/api/v1/tenants", token, json={"name": "made-over-http"})
    assert (made.status_code, made.headers["content-type"]) == (201, "application/json")
    assert made.json()["name"] == "made-over-http"
    assert made.headers["cache-control"] == "no-store"


def test_fields_come_from_path_query_and_body(place):
    token = place.token(Role.EDITOR)
    place.request("POST", "/api/v1/definitions", token, json={"source": "kind: flow\nname: placed\nsteps: []\n"})
    got = place.request("GET", "/api/v1/flows/placed?version=1", token)
    assert (got.status_code, got.json()["version"]) == (200, 1)
    assert place.request("GET", "/api/v1/flows/placed?version=2", token).status_code == 404


def test_a_name_of_digits_in_a_query_stays_a_name(place):
    got = place.request("GET", "/api/v1/runs?flow=2024&limit=5", place.token(Role.VIEWER))
    assert (got.status_code, got.json()) == (200, {"items": []})


def test_a_problem_carries_what_where_and_the_id_of_the_request(place):
    told = problem(place.request("GET", "/api/v1/flows/none", place.token(Role.VIEWER)))
    assert told["code"] == "missing"
    assert told["title"]
    assert len(told["request"]) == 36


@pytest.mark.security
@pytest.mark.req("SEC-L02")
def test_the_id_told_to_the_caller_is_the_one_on_record(place):
    before = place.head()
    told = problem(
        place.request("POST", "/api/v1/users", place.token(Role.VIEWER), json={"email": "a@b.c", "role": "viewer"})
    )
    (denied,) = (each for each in place.records(after=before) if each["result"] == "denied")
    assert denied["request"] == told["request"]


@pytest.mark.security
@pytest.mark.req("SEC-D02")
def test_a_long_name_of_a_client_is_cut(place):
    token, before = place.token(Role.VIEWER), place.head()
    place.request("POST", "/api/v1/users", token, json={"email": "a@b.c", "role": "viewer"},
                  headers={"user-agent": "x" * 10_000})  # fmt: skip
    assert [len(each["client"]) for each in place.records(after=before)] == [200]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/nothing"), ("GET", "/api/v1/"), ("GET", "/api/v2/flows"), ("PATCH", "/api/v1/flows/a"), ("OPTIONS", "/api/v1/flows"),
        ("OPTIONS", "/"), ("TRACE", "/api/v1/flows"), ("GET", "/api/v1/flows/"), ("GET", "/api/v1/flows/a/b/c"), ("POST", "/api/v1/openapi.json"),
    ],
)  # fmt: skip
def test_what_is_no_endpoint_is_missing(place, method, path):
    told = problem(place.request(method, path, place.token(Role.ADMINISTRATOR), content=b"{}"))
    assert (told["code"], told["where"]) == ("missing", f"{method} {path}")


@pytest.mark.security
@pytest.mark.req("SEC-D02")
def test_an_address_is_not_repeated_whole(place):
    told = problem(place.request("GET", "/api/v1/" + "x" * 5000))
    assert len(told["where"]) < 220


def test_head_is_get_without_the_body(place):
    got, head = (place.request(method, "/api/v1/health") for method in ("GET", "HEAD"))
    assert (head.status_code, head.headers["content-type"]) == (200, "application/json")
    assert head.headers["content-length"] == str(len(got.content))


def test_health_has_two_addresses_and_one_answer(place):
    assert place.request("GET", "/health").json() == place.request("GET", "/api/v1/health").json()


def test_no_body_is_an_empty_question(place):
    told = problem(place.request("POST", "/api/v1/session/login"))
    assert (told["status"], "email: is required" in told["title"]) == (422, True)


def test_a_body_where_none_is_taken_is_not_read(place):
    got = place.request("GET", "/api/v1/session/whoami", place.token(Role.VIEWER), content=b"{" * 100)
    assert got.status_code == 200


@pytest.mark.security
def test_too_many_requests_say_when_to_come_back(place, monkeypatch):
    monkeypatch.setattr(place.app.gate, "call", raiser(Throttled(after=7.6)))
    got = place.request("GET", "/health")
    assert (got.status_code, got.headers["retry-after"], problem(got)["code"]) == (429, "8", "throttled")


def raiser(fault):
    def call(*_):
        raise fault

    return call


@pytest.mark.security
@pytest.mark.req("SEC-L04", "SEC-V02")
def test_an_unforeseen_fault_is_logged_by_its_kind_and_told_by_its_number(place, monkeypatch):
    err = io.StringIO()
    monkeypatch.setattr(sys, "stderr", err)
    web = build(place.app)
    monkeypatch.setattr(place.app.gate, "call", raiser(RuntimeError(f"select '{CANARY}'")))
    status, _, body = ask(web, path="/health")
    told = json.loads(body)
    (line,) = map(json.loads, err.getvalue().splitlines())
    assert (status, told["code"]) == (500, "error")
    assert line["http.request.id"] == told["request"]
    assert told["request"] in told["hint"]
    assert (line["error.message"], line["url.path"], line["log.level"]) == ("RuntimeError", "/health", "error")
    assert "raiser" in line["error.stack_trace"] or "call" in line["error.stack_trace"]
    assert CANARY not in body.decode() + err.getvalue()


def test_a_caller_who_leaves_in_the_middle_is_no_fault_of_ours(place, monkeypatch):
    err = io.StringIO()
    monkeypatch.setattr(sys, "stderr", err)
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "https", "query_string": b"",
        "path": "/api/v1/session/login", "raw_path": b"/api/v1/session/login", "root_path": "", "headers": [(b"host", b"localhost")],
        "client": ("10.0.0.1", 1), "server": ("localhost", 443),
    }  # fmt: skip
    asyncio.run(build(place.app)(scope, receive, send))
    assert sent[0]["status"] == 499
    assert err.getvalue() == ""


# -- bodies ------------------------------------------------------------------------------------------------------------


@pytest.mark.security
@pytest.mark.req("SEC-W04")
@pytest.mark.parametrize("kind", [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
                                  "text/json", "application/jsonx"])  # fmt: skip
def test_a_body_that_does_not_say_it_is_json_is_refused(place, kind):
    """What a form on a foreign page can send without asking first is never read as a question."""
    headers = {} if kind is None else {"content-type": kind}
    got = place.request(
        "POST", "/api/v1/session/login", content=b'{"email": "a@b.c", "password": "x"}', headers=headers
    )
    told = problem(got)
    assert (got.status_code, told["code"]) == (400, "malformed")
    assert "content-type: application/json" in told["hint"]


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8"])
def test_a_body_that_says_so_is_read(place, kind):
    got = place.request("POST", "/api/v1/session/login", content=b"{}", headers={"content-type": kind})
    assert problem(got)["code"] == "invalid"


def test_no_body_needs_no_type(place):
    token = place.token(Role.EDITOR)
    got = place.request("POST", f"/api/v1/runs/{place.a_run('north')}/cancel", token)
    assert got.status_code == 200


# -- held answers ------------------------------------------------------------------------------------------------------


def test_an_answer_is_held_back_until_there_is_news(place):
    run, token = place.a_run("north"), place.token(Role.VIEWER)
    scope = place.scope("north")

    def tell():
        time.sleep(0.2)
        scope.runs().event(run, "log", {"message": "news"})
        place.app.events.wake(run)

    teller = threading.Thread(target=tell)
    teller.start()
    got = place.request("GET", f"/api/v1/runs/{run}/events?wait=10", token).json()
    teller.join()
    assert [each["body"]["message"] for each in got["items"]] == ["news"]


def test_an_answer_with_news_is_not_held_back(place):
    run, token = place.a_run("north"), place.token(Role.VIEWER)
    place.scope("north").runs().event(run, "log", {"message": "old news"})
    began = time.monotonic()
    got = place.request("GET", f"/api/v1/runs/{run}/events?wait=10", token).json()
    assert got["items"]
    assert time.monotonic() - began < 8, "it would be held for ten seconds"


@pytest.mark.security
def test_nobody_holds_an_answer_longer_than_is_allowed(place):
    run, token = place.a_run("north"), place.token(Role.VIEWER)
    assert place.request("GET", f"/api/v1/runs/{run}/events?wait=21", token).status_code == 422
    began = time.monotonic()
    assert place.request("GET", f"/api/v1/runs/{run}/events?wait=1", token).json()["items"] == []
    assert time.monotonic() - began < 5


ENDS = {
    "signed out": (401, lambda place, who, held: place.call("session.logout", {"refresh": held["refresh"]}, held["access"])),
    "another role": (401, lambda place, who, _: place.scope("north").people().set_role(who.id, Role.API_USER)),
    "disabled": (401, lambda place, who, _: place.scope("north").people().set_state(who.id, "disabled")),
    "suspended": (401, lambda place, *_: place.app.services.system.tenants().set_state(place.tenants["north"], "suspended")),
    "a list of addresses": (403, lambda place, who, _: place.scope("north").people().set_addresses(who.id, ("192.0.2.1",))),
}  # fmt: skip


@pytest.mark.security
@pytest.mark.req("SEC-T09", "SEC-N08")
@pytest.mark.parametrize("end", ENDS)
def test_a_held_answer_ends_at_once_with_what_let_it_in(fresh, monkeypatch, end):
    monkeypatch.setattr("sluicegate.engine.events._OTHER_NODES", 15)  # it is woken, and does not just look
    status, change = ENDS[end]
    who = fresh.people["north", Role.VIEWER]
    run, held = fresh.a_run("north"), fresh.sign_in(who)
    changed = []

    def do():
        time.sleep(0.3)
        change(fresh, who, held)
        changed.append(time.monotonic())

    changer = threading.Thread(target=do)
    changer.start()
    got = fresh.request("GET", f"/api/v1/runs/{run}/events?wait=20", held["access"])
    ended = time.monotonic()
    changer.join()
    assert got.status_code == status
    assert ended - changed[0] < 5, "a loaded machine may be late; who is not woken waits for fifteen"


@pytest.mark.security
@pytest.mark.req("SEC-T09", "SEC-Z02")
def test_a_held_answer_goes_on_without_the_rows_when_support_access_ends(fresh):
    run, root, admin = fresh.a_run("north"), fresh.token(Role.SUPERADMIN), fresh.token(Role.ADMINISTRATOR)
    made = fresh.call("support.grant", {"reason": "a fault"}, admin)
    before = fresh.head()

    def do():
        for _ in range(3):
            time.sleep(0.2)
            fresh.app.events.wake(run)  # it looks, and there is nothing new
        time.sleep(0.5)  # a look that the end falls into is refused
        fresh.call("support.revoke", {"id": made.id}, admin)
        fresh.scope("north").runs().event(run, "reject", {"step": "a", "line": 2, "reason": "canary"})
        fresh.app.events.wake(run)

    teller = threading.Thread(target=do)
    teller.start()
    got = fresh.request("GET", f"/api/v1/runs/{run}/events?wait=20", root).json()
    teller.join()
    assert "canary" not in str(got)
    assert got["items"][0]["body"]["line"] == 2
    looks = [each["result"] for each in fresh.records(after=before) if each["action"] == "run.events"]
    assert looks == ["asked", "ok"], "one look on record, however often it was looked"


# -- the UI ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/flows", "/flows/a-b", "/runs/0190/events", "/index"])
def test_a_page_inside_the_app_is_its_index(place, path):
    got = place.request("GET", path)
    assert (got.status_code, got.headers["content-type"].split(";")[0]) == (200, "text/html")
    assert got.headers["cache-control"] == "no-store"


def test_files_have_their_type(place):
    for path, kind in (("/favicon.svg", "image/svg+xml"), ("/assets/index-1a2b3c.js", "text/javascript")):
        got = place.request("GET", path)
        assert (got.status_code, got.headers["content-type"].split(";")[0]) == (200, kind)


@pytest.mark.security
@pytest.mark.req("SEC-C11")
@pytest.mark.parametrize(
    "path",
    ["/.git/config", "/.env", "/assets/none.js", "/index.html", "/server.py", "/root.key", "/sluice.toml", "/store.db", "/a.php",
     "/../home/root.key", "/assets/../../home/root.key", "/..%2fhome%2froot.key", "//etc/passwd.txt", "/%2e%2e/home/sluice.toml"],
)  # fmt: skip
def test_only_files_on_the_list_are_served(place, path):
    told = problem(place.request("GET", path))
    assert told["code"] == "missing"


def test_a_file_that_is_put_there_later_is_not_served(place):
    folder = place.home.with_name("ui")
    (folder / "later.txt").write_text(CANARY)
    assert place.request("GET", "/later.txt").status_code == 404


def test_without_a_built_ui_the_api_works_and_pages_are_missing(place, monkeypatch, tmp_path):
    monkeypatch.setattr(server, "STATIC", tmp_path / "none")
    web = build(place.app)
    assert ask(web, path="/health")[0] == 200
    status, _, body = ask(web, path="/")
    assert (status, json.loads(body)["title"]) == (404, "There is no such page.")


@pytest.mark.security
@pytest.mark.req("SEC-T12", "SEC-T20")
def test_two_authorization_headers_are_none(place):
    """A proxy may have checked the one, and we the other."""
    from tests.fixtures.asgi import ask

    url = "https://localhost/api/v1/session/whoami"
    token = place.token(Role.VIEWER)
    for second in (f"DPoP {token}", "DPoP garbage"):
        headers = [
            ("host", "localhost"),
            ("dpop", place.key.prove("GET", url, token)),
            ("authorization", f"DPoP {token}"),
            ("authorization", second),
        ]
        status, _, body = ask(
            place.web, tuple((name.encode(), value.encode()) for name, value in headers), "/api/v1/session/whoami"
        )
        assert (status, b"more than one Authorization header" in body) == (400, True)
