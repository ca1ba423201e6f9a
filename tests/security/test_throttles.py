"""Whoever asks too much is told 429 and when to come back, whatever it is that was counted (SEC-D03)."""

from __future__ import annotations

import pytest

from sluicegate.base.principal import Role
from sluicegate.base.settings import Limits, Passwords, Server
from tests.fixtures.server import Place, address

WIDE = {
    "requests": "100000/minute", "public": "100000/minute", "guesses": "100000/minute", "guesses_tenant": "100000/minute",
    "guesses_all": "100000/minute", "tenant": "100000/minute", "user": "100000/minute", "key": "100000/minute",
    "route": "100000/minute", "changes": "100000/minute", "asks": "100000/minute",
}  # fmt: skip
READ, OTHER = ("GET", "/api/v1/flows", None), ("GET", "/api/v1/runs", None)
CHANGE = ("PUT", "/api/v1/secrets/throttled", {"value": "a value"})
ASK = ("POST", "/api/v1/connections/none/test", {})
LOGIN = ("POST", "/api/v1/session/login", {"email": "nobody@example.org", "password": "wrong"})

CASES = {
    # what is counted: (its setting, who asks what too often, who is still let in)
    "tenant": ("tenant", "editor", READ, ("elsewhere", READ)),
    "user": ("user", "editor", READ, ("viewer", READ)),
    "key": ("key", "key", READ, ("editor", READ)),
    "route": ("route", "editor", READ, ("editor", OTHER)),
    "changes": ("changes", "editor", CHANGE, ("editor", READ)),
    "asks": ("asks", "editor", ASK, ("editor", READ)),
    "address": ("requests", "editor", READ, ("editor away", READ)),
    "sign-in": ("public", "nobody", LOGIN, ("editor", READ)),
}


@pytest.mark.security
@pytest.mark.req("SEC-D03")
@pytest.mark.parametrize("counted", CASES)
def test_too_much_is_answered_with_429_and_when_to_come_back(tmp_path, monkeypatch, counted):
    setting, loud, often, (quiet, still) = CASES[counted]
    limits = Limits(**{**WIDE, setting: "30/hour"})
    cheap = {"passwords": Passwords(memory=19456, rounds=2), "server": Server(access_log=False)}
    place = Place(tmp_path / "home", limits=limits, **cheap).settle()
    home, away = address(), address()
    try:
        tokens = {
            "editor": place.token(Role.EDITOR),
            "editor away": place.token(Role.EDITOR),
            "viewer": place.token(Role.VIEWER),
            "elsewhere": place.token(Role.EDITOR, "south"),
            "nobody": None,
        }
        if loud == "key":
            made = place.call("key.create", {"name": "k", "scopes": ["flow:read"]}, tokens["editor"])
            tokens["key"] = place.exchange(made.key)

        def ask(who, what):
            method, path, body = what
            monkeypatch.setattr("tests.fixtures.server.address", lambda: away if who.endswith("away") else home)
            return place.request(method, path, tokens[who], **({"json": body} if body is not None else {}))

        answers = [ask(loud, often) for _ in range(32)]
        refused = [each for each in answers if each.status_code == 429]
        assert refused
        assert answers[0].status_code != 429
        for each in refused:
            assert each.json()["code"] == "throttled"
            assert 1 <= int(each.headers["retry-after"]) <= 3600
        assert ask(quiet, still).status_code == 200, "nothing is taken from the others"
    finally:
        place.close()
