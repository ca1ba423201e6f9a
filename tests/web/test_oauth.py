"""OAuth 2's client credentials (RFC 6749 §4.4): what standard clients send, and what they must be told."""

from __future__ import annotations

import base64
from urllib.parse import quote, urlencode

import pytest

from sluicegate.base.errors import Throttled
from sluicegate.base.principal import Role
from sluicegate.guard.limits import Meter
from sluicegate.web import oauth
from tests.fixtures.server import address

FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def key(place):
    return place.new_key(place.people["north", Role.VIEWER], ["flow:read", "run:read"])


def ask(place, fields, *, basic=None, proof=False, kind=FORM, headers=None):
    """Ask for a token; ``proof``: with a DPoP proof, as it is the exception among such clients."""
    more = {"content-type": kind, **(headers or {})}
    if basic:
        text = ":".join(quote(each, safe="") for each in basic)
        more["authorization"] = "Basic " + base64.b64encode(text.encode()).decode()
    if not proof:
        more["dpop"] = None
    body = fields if isinstance(fields, bytes) else urlencode(fields).encode()
    sent = {name: value for name, value in more.items() if value is not None}
    if proof:
        return place.request("POST", "/oauth/token", content=body, headers=sent)
    return bare(place, body, sent)


def bare(place, body, headers):
    import httpx

    async def send():
        transport = httpx.ASGITransport(place.web, raise_app_exceptions=False, client=(address(), 1))
        async with httpx.AsyncClient(transport=transport, base_url="https://localhost") as client:
            return await client.post("/oauth/token", content=body, headers=headers)

    return place._loop.run_until_complete(send())


GRANT = {"grant_type": "client_credentials"}


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_a_key_is_exchanged_as_basic_or_in_the_body(place, key):
    for answer in (
        ask(place, GRANT, basic=(key.id, key.key)),
        ask(place, {**GRANT, "client_id": key.id, "client_secret": key.key}),
        ask(place, {**GRANT, "client_id": key.id}, basic=(key.id, key.key)),
        ask(place, {**GRANT, "scope": "flow:read"}, basic=(key.id, key.key), kind=FORM + "; charset=UTF-8"),
    ):
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert set(told) == {"access_token", "token_type", "expires_in", "scope"}
        assert (told["token_type"], told["scope"]) == ("Bearer", "flow:read run:read")
        assert 290 <= told["expires_in"] <= 300
        assert answer.headers["cache-control"] == "no-store"
        headers = {"authorization": f"Bearer {told['access_token']}"}
        assert place.request("GET", "/api/v1/flows", headers=headers).status_code == 200
        assert place.request("GET", "/api/v1/secrets", headers=headers).status_code == 403


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-T12")
def test_a_proof_binds_the_token(place, key):
    told = ask(place, GRANT, basic=(key.id, key.key), proof=True).json()
    assert told["token_type"] == "DPoP"
    assert place.request("GET", "/api/v1/flows", told["access_token"]).status_code == 200
    alone = {"authorization": f"Bearer {told['access_token']}", "dpop": "none"}
    assert place.request("GET", "/api/v1/flows", headers=alone).status_code == 401
    wrong = bare(place, urlencode(GRANT).encode(), {"content-type": FORM, "dpop": "a.b.c"})
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_dpop_proof")


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_what_is_wrong_is_said_in_oauths_words_and_never_repeated(place, key):
    good, id_ = {"client_id": key.id, "client_secret": key.key}, key.id
    canary = "canary-0815"
    cases = [
        ({**GRANT, "client_id": id_, "client_secret": canary}, None, 401, "invalid_client"),
        ({**GRANT, "client_id": canary, "client_secret": key.key}, None, 401, "invalid_client"),
        (GRANT, (id_, canary), 401, "invalid_client"),
        (GRANT, None, 401, "invalid_client"),
        ({**GRANT, "client_id": id_}, None, 401, "invalid_client"),
        (good, None, 400, "invalid_request"),
        ({**good, "grant_type": canary}, None, 400, "unsupported_grant_type"),
        ({**good, "grant_type": "password", "username": canary}, None, 400, "unsupported_grant_type"),
        ({**good, **GRANT, "scope": canary}, None, 400, "invalid_scope"),
        ({**good, **GRANT, "scope": "flow:read user:manage"}, None, 400, "invalid_scope"),
        ({**good, **GRANT}, (id_, key.key), 400, "invalid_request"),
        ({**GRANT, "client_id": canary}, (id_, key.key), 400, "invalid_request"),
        (b"grant_type=client_credentials&grant_type=client_credentials", (id_, key.key), 400, "invalid_request"),
        (b"grant_type", (id_, key.key), 400, "invalid_request"),
        (b"\xff\xfe=" + canary.encode(), (id_, key.key), 400, "invalid_request"),
        (b"&".join(b"a%d=1" % n for n in range(99)), (id_, key.key), 400, "invalid_request"),
        (b"a=" + b"x" * 20_000, (id_, key.key), 413, "invalid_request"),
        ({**GRANT, "client_secret": canary * 500, "client_id": id_}, None, 422, "invalid_request"),
    ]  # fmt: skip
    for fields, basic, status, error in cases:
        answer = ask(place, fields, basic=basic)
        assert (answer.status_code, answer.json()["error"]) == (status, error), (fields, answer.text)
        assert canary not in answer.text
        assert key.key not in answer.text
        assert ("www-authenticate" in answer.headers) == (status == 401)
    told = {ask(place, GRANT, basic=(id_, text)).text for text in (canary, "", key.key[:-1], key.key[::-1])}
    assert len(told) <= 2, "with and without a secret"
    as_json = ask(place, b'{"grant_type":"client_credentials"}', basic=(id_, key.key), kind="application/json")
    assert (as_json.status_code, as_json.json()["error"]) == (400, "invalid_request")
    for text in ("Basic %%%", "Basic ", "Bearer " + key.key, "Basic " + base64.b64encode(b"\xff:\xff").decode()):
        assert ask(place, GRANT, headers={"authorization": text}).status_code == 401


@pytest.mark.security
@pytest.mark.req("SEC-D03")
def test_tries_are_throttled_in_oauths_words(place, key, monkeypatch):
    monkeypatch.setattr(place.app.gate._limits, "_public", Meter("1/day"))
    from tests.web import test_oauth

    monkeypatch.setattr(test_oauth, "address", lambda: "10.95.0.1")
    answers = [ask(place, GRANT, basic=(key.id, key.key)) for _ in range(2)]
    assert [each.status_code for each in answers] == [200, 429]
    assert answers[1].json()["error"] == "temporarily_unavailable"
    assert int(answers[1].headers["retry-after"]) >= 86_399, "never too early"
    assert oauth.problem(Throttled(after=1.4), proof=False)[2] == {"retry-after": "2"}


def test_only_post_is_spoken(place):
    told = place.request("GET", "/oauth/token?grant_type=client_credentials")
    assert "access_token" not in told.text
    assert told.headers["content-type"].startswith("text/html"), "a page of the UI, and nothing else"
