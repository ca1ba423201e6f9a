"""Calls of a server: whose certificate holds, what a hostile one can do, and what is kept on disk."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time

import pytest
import trustme

from sluicegate.base.errors import Denied, SluiceError, Unauthenticated, Unreachable, Usage
from sluicegate.cli import remote
from sluicegate.operations import find
from tests.fixtures.home import sluice
from tests.fixtures.web import certified, serve

TOKENS = {"access": "a", "refresh": "r", "expires_in": 300}
EVIL = "a\x1b[2Jb\x9b31mc\rd\u202e"


@pytest.fixture
def hostile(monkeypatch, tmp_path):
    """Give a server that answers as a test wants, and our client signed in to it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    with serve(certified(authority, "127.0.0.1")) as web:
        server = remote.Server(web.url(), tmp_path / "ca.pem")
        server.keep(TOKENS)
        web.server = server
        yield web
        if server._client:
            server._client.close()


def answer(web, path, status, body):
    web.routes[f"/api/v1{path}"] = (status, {"content-type": "application/json"}, body)


@pytest.mark.security
def test_the_tokens_are_in_a_file_of_our_own_that_nobody_else_reads(hostile, tmp_path):
    file = tmp_path / "home" / "login.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    file.chmod(0o644)
    before = os.umask(0)
    try:
        hostile.server.keep(TOKENS)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["refresh"] == "r"
    assert hostile.server.forget() == "r"
    assert not file.exists()


@pytest.mark.security
def test_a_planted_link_is_not_written_through(hostile, tmp_path):
    (tmp_path / "target").write_text("mine")
    (tmp_path / "home" / "login.tmp").symlink_to(tmp_path / "target")
    hostile.server.keep(TOKENS)
    assert (tmp_path / "target").read_text() == "mine"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, json.dumps({"code": "denied", "title": "No."}).encode(), Denied),
        (500, b"<html>", SluiceError), (502, b"", SluiceError), (404, b"[1]", SluiceError), (401, b"{}", SluiceError),
    ],
)  # fmt: skip
def test_every_refusal_becomes_an_error_of_ours(hostile, status, body, kind):
    answer(hostile, "/session/whoami", status, body)
    with pytest.raises(kind):
        hostile.server.call(find("session.whoami"))


@pytest.mark.security
@pytest.mark.parametrize(
    "words", [("whoami",), ("runs",), ("get", "flows"), ("get", "flow", "x"), ("logs", "r"), ("tenant", "list")]
)
def test_a_hostile_server_cannot_drive_the_terminal(hostile, call, tmp_path, words):
    item = {
        "id": EVIL, "name": EVIL, "kind": "log", "seq": 1, "at": EVIL, "body": {"level": "info", "message": EVIL}, EVIL: EVIL,
        "counts": {"read": EVIL}, "flow": EVIL, "state": EVIL, "created": EVIL,
    }  # fmt: skip
    good = json.dumps({"items": [item], "done": True, "source": EVIL, "email": EVIL, EVIL: EVIL}).encode()
    bad = json.dumps({"code": "denied", "title": EVIL, "where": EVIL, "hint": EVIL}).encode()
    for status, body in ((200, good), (403, bad)):
        for path in ("/session/whoami", "/runs?limit=20", "/flows", "/flows/x", "/runs/r/events?after=0", "/tenants"):
            answer(hostile, path, status, body)
        for more in ((), ("--json",)):
            told = call(*words, *more, home=tmp_path / "home")
            assert told.code in (0, 4), told
            assert all(each.isprintable() or each in "\n\t" for each in told.out + told.err), told


@pytest.mark.security
def test_names_stay_one_segment_of_the_path(hostile):
    hostile.server.call(find("flow.get"), {"name": "..%2Fsecrets?x#y"})
    assert hostile.seen[-1][1] == "/api/v1/flows/..%252Fsecrets%3Fx%23y"
    hostile.seen.clear()
    for name in ("../../secrets", "/", ""):
        with pytest.raises(Usage, match="holds no slash"):
            hostile.server.call(find("flow.get"), {"name": name})
    assert hostile.seen == []


@pytest.mark.security
def test_public_operations_are_called_without_a_token(hostile):
    hostile.server.call(find("session.login"), {"email": "e", "password": "p", "tenant": None})
    assert "authorization" not in hostile.seen[-1][2]
    assert json.loads(hostile.seen[-1][3]) == {"email": "e", "password": "p"}
    hostile.server.call(find("session.whoami"))
    assert hostile.seen[-1][2]["authorization"] == "DPoP a"


def test_an_old_token_is_traded_and_a_dead_sign_in_is_told(hostile):
    hostile.server.keep({**TOKENS, "expires_in": 5})
    answer(hostile, "/session/refresh", 200, json.dumps({**TOKENS, "access": "new", "refresh": "next"}).encode())
    hostile.server.call(find("session.whoami"))
    assert hostile.seen[-1][2]["authorization"] == "DPoP new"
    assert hostile.server.refresh_token == "next"
    hostile.server.keep({**TOKENS, "expires_in": 5})
    answer(hostile, "/session/refresh", 401, json.dumps({"code": "unauthenticated", "title": "x"}).encode())
    with pytest.raises(Unauthenticated, match="Your sign-in is over"):
        hostile.server.call(find("session.whoami"))


@pytest.mark.parametrize(
    ("standing", "says", "hint"),
    [("enrol", "asks for a second factor", "sluice factor begin"), ("signed in", "x", "Run: sluice login")],
)
def test_who_is_refused_again_is_told_what_to_do(hostile, standing, says, hint):
    hostile.server.keep(TOKENS)
    more = {"access": "new", "refresh": "next", "standing": standing}
    answer(hostile, "/session/refresh", 200, json.dumps({**TOKENS, **more}).encode())
    answer(hostile, "/session/whoami", 401, json.dumps({"code": "unauthenticated", "title": "x"}).encode())
    with pytest.raises(Unauthenticated, match=says) as told:
        hostile.server.call(find("session.whoami"))
    assert hint in told.value.hint


@pytest.mark.security
def test_the_token_goes_to_no_server_whose_certificate_does_not_hold(hostile, tmp_path):
    with serve(certified(trustme.CA(), "127.0.0.1")) as other:
        impostor = remote.Server(other.url(), tmp_path / "ca.pem")
        with pytest.raises(Unreachable, match="unknown CA"):
            impostor.call(find("session.whoami"))
        assert other.seen == []


def test_nobody_is_signed_in_without_a_file_or_with_a_broken_one(monkeypatch, tmp_path):
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    for text in (None, "", "[]", "{", "nonsense"):
        if text is not None:
            (tmp_path / "login.json").write_text(text)
        with pytest.raises(Unauthenticated, match="not signed in"):
            remote.Server().call(find("session.whoami"))


@pytest.mark.slow
@pytest.mark.security
def test_five_commands_at_once_trade_an_old_token_once_and_stay_signed_in(place, tmp_path):
    """Two trades of one refresh token would look like theft and end the sign-in for all of them."""
    home = tmp_path / "home"
    home.mkdir()
    sluice(
        home, "login", "--url", place.server.url, "--ca", str(place.server.ca), "--tenant", "acme",
        "--email", "editor@example.org", "--password-file", str(place.server.folder / "password.txt"),
    )  # fmt: skip
    for _ in range(2):
        state = json.loads((home / "login.json").read_text())
        state["until"] = time.time() + 5
        (home / "login.json").write_text(json.dumps(state))
        environment = {
            "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "SLUICE_HOME": str(home),
        }  # fmt: skip
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "sluicegate", "whoami", "--json"], env=environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
            for _ in range(5)
        ]  # fmt: skip
        told = [each.communicate(timeout=60) for each in running]
        assert [each.returncode for each in running] == [0] * 5, told
        assert json.loads((home / "login.json").read_text())["refresh"] != state["refresh"]
    assert sluice(home, "whoami")["email"] == "editor@example.org"
