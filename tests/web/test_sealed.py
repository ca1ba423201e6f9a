"""A sealed server over HTTP: health, the seal, the UI's files; all else is told to wait (SEC-V06)."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.app import make_home, make_seal, sealed_gate
from sluicegate.base.settings import Limits, Server, Settings
from sluicegate.operations import OPERATIONS
from sluicegate.web import sealed
from tests.security.asks import ask_for, path_for

CANARY = "canary-hunter2"
SERVED = {"system.health", "seal.get", "seal.open"}


class Shut:
    """A sealed server without a socket."""

    def __init__(self, home, **server):
        make_home(home, (), None, None, keyed=False)
        self.shares = make_seal(home, "shamir").shares
        wanted = Settings(home=home, server=Server(**server), limits=Limits(public="100000/minute"))
        self.entered = []
        self.web = sealed.build(sealed_gate(wanted, self.entered.append), wanted)

    def request(self, method, path, address="192.0.2.1", **more):
        async def send():
            transport = httpx.ASGITransport(self.web, raise_app_exceptions=False, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="https://localhost") as client:
                return await client.request(method, path, **more)

        return asyncio.run(send())

    def give(self, share):
        return self.request("POST", "/api/v1/seal/open", json={"share": share})


@pytest.fixture(scope="module")
def shut(tmp_path_factory):
    """Give a server that stays sealed."""
    return Shut(tmp_path_factory.mktemp("shut") / "home")


@pytest.mark.security
@pytest.mark.req("SEC-V06")
@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each.name not in SERVED], ids=lambda each: each.name
)
def test_every_operation_is_told_to_wait(shut, operation):
    path, left = path_for(operation.http.path, ask_for(operation.name))
    for headers in ({}, {"authorization": "DPoP not-a-token"}):
        answer = shut.request(operation.http.method, path, headers=headers, **({"json": left} if left else {}))
        assert (answer.status_code, answer.json()["code"]) == (503, "sealed")
        assert answer.headers["content-type"] == "application/problem+json"
        assert "set-cookie" not in answer.headers


@pytest.mark.security
@pytest.mark.req("SEC-V06")
def test_whatever_else_is_asked(shut):
    told = {
        (shut.request(method, path).status_code, shut.request(method, path).json()["code"])
        for method, path in (
            ("POST", "/oauth/token"), ("GET", "/api/v1/openapi.json"), ("GET", "/api/nothing"), ("DELETE", "/api/v1/seal"),
            ("PUT", "/api/v1/seal/open"), ("GET", "/api/v1/seal/open"), ("POST", "/api/v1/seal/about"), ("POST", "/health"),
        )
    }  # fmt: skip
    assert told == {(503, "sealed")}


def test_health_and_the_page_of_the_ui_are_there(shut):
    for path in ("/health", "/api/v1/health"):
        assert shut.request("GET", path).json() == {
            "status": "sealed",
            "bootstrap": False,
            "jail": "none",
            "mail": "off",
        }
    page = shut.request("GET", "/")
    assert page.status_code in {200, 404}, "404 when the UI has not been built"
    assert "default-src 'none'" in page.headers["content-security-policy"]


@pytest.mark.security
@pytest.mark.req("SEC-V06")
def test_three_people_open_it(tmp_path):
    shut = Shut(tmp_path / "home")
    found = [shut.give(each.reveal()) for each in shut.shares[:3]]
    assert [(each.status_code, each.json()["sealed"], each.json()["given"]) for each in found] == [
        (200, True, 1), (200, True, 2), (200, False, 0),
    ]  # fmt: skip
    assert len(shut.entered) == 1


@pytest.mark.security
@pytest.mark.req("SEC-V02", "SEC-P09")
def test_what_is_wrong_is_told_without_what_was_given(shut):
    share = shut.shares[0].reveal()
    for body, status in (
        ({"share": CANARY}, 422), ({}, 422), ({"share": CANARY, CANARY: 1}, 422), ({"share": share[:-3] + "zzz"}, 422),
        ({"share": "x" * 1025}, 422), ({"share": [CANARY]}, 422),
    ):  # fmt: skip
        answer = shut.request("POST", "/api/v1/seal/open", json=body)
        assert answer.status_code == status, body
        assert CANARY not in answer.text
        assert share[30:60] not in answer.text
    assert shut.request("POST", "/api/v1/seal/open", content=b"x" * 70_000).status_code == 413
    plain = shut.request("POST", "/api/v1/seal/open", content=b"{}", headers={"content-type": "text/plain"})
    assert plain.json()["code"] == "malformed"


@pytest.mark.security
@pytest.mark.req("SEC-N08")
def test_addresses_and_names_hold(tmp_path):
    shut = Shut(tmp_path / "home", addresses=("192.0.2.0/24",))
    assert shut.request("GET", "/api/v1/seal", address="198.51.100.7").json()["code"] == "denied"
    assert shut.request("GET", "/api/v1/seal").status_code == 200
    assert shut.request("GET", "/api/v1/seal", headers={"host": "evil.example"}).status_code == 421


@pytest.mark.security
@pytest.mark.req("SEC-P11")
@given(raw=st.binary(max_size=300))
@settings(max_examples=50, deadline=None)
def test_any_body_gives_one_problem(shut, raw):
    answer = shut.request("POST", "/api/v1/seal/open", content=raw, headers={"content-type": "application/json"})
    assert answer.json()["code"] in {"malformed", "invalid"}
