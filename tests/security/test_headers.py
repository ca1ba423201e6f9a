"""What every answer carries: on data, on errors, on pages, on what is not there (SEC-W01, W02, W03)."""

from __future__ import annotations

import pytest

from sluicegate.base.principal import Role

ANSWERS = {
    "data": ("GET", "/api/v1/session/whoami", Role.VIEWER, 200),
    "public": ("GET", "/health", None, 200),
    "description": ("GET", "/api/v1/openapi.json", None, 200),
    "no token": ("GET", "/api/v1/flows", None, 401),
    "denied": ("GET", "/api/v1/users", Role.VIEWER, 403),
    "missing": ("GET", "/api/v1/flows/none", Role.VIEWER, 404),
    "no endpoint": ("GET", "/api/v1/nothing", None, 404),
    "no verb": ("PATCH", "/api/v1/flows", None, 404),
    "malformed": ("POST", "/api/v1/session/login", None, 422),
    "page": ("GET", "/", None, 200),
    "page inside": ("GET", "/flows/x", None, 200),
    "no page": ("GET", "/nothing.js", None, 404),
}


@pytest.fixture(params=ANSWERS)
def answer(request, place):
    method, path, role, status = ANSWERS[request.param]
    got = place.request(method, path, place.token(role) if role else None)
    assert got.status_code == status
    return got


@pytest.mark.security
@pytest.mark.req("SEC-W01")
def test_every_answer_has_the_content_policy(answer):
    told = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert told["default-src"] == "'none'"
    assert told["script-src"] == "'self'"
    assert told["frame-ancestors"] == told["base-uri"] == told["form-action"] == "'none'"
    assert told["require-trusted-types-for"] == "'script'"
    assert told["connect-src"] == "'self'"
    whole = answer.headers["content-security-policy"]
    assert told["style-src"] == "'self'"
    assert "unsafe" not in whole
    assert "http" not in whole
    assert "*" not in whole


@pytest.mark.security
@pytest.mark.req("SEC-W02")
def test_every_answer_has_the_other_headers_once(answer):
    wanted = {
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }
    for name, value in wanted.items():
        assert answer.headers.get_list(name) == [value]
    assert "camera=()" in answer.headers["permissions-policy"]
    assert answer.headers.get_list("server") == ["sluicegate"]
    assert "x-powered-by" not in answer.headers


@pytest.mark.security
@pytest.mark.req("SEC-W02")
def test_nothing_of_the_api_is_kept_by_a_cache(place):
    for name, (method, path, role, _) in ANSWERS.items():
        if path.startswith(("/api", "/health")) or name == "no page":
            got = place.request(method, path, place.token(role) if role else None)
            assert got.headers["cache-control"] == "no-store", name


@pytest.mark.security
@pytest.mark.req("SEC-W02")
def test_only_files_named_by_their_content_are_kept(place):
    page = place.request("GET", "/")
    assert page.headers["cache-control"] == "no-store"
    script = next(part for part in page.text.split('"') if part.startswith("/assets/") and part.endswith(".js"))
    got = place.request("GET", script)
    assert got.status_code == 200
    assert "immutable" in got.headers["cache-control"]
    assert got.headers["content-type"].startswith("text/javascript")
    assert got.headers["x-content-type-options"] == "nosniff"


@pytest.mark.security
@pytest.mark.req("SEC-W02")
def test_hsts_is_sent_by_every_name_but_localhost(tmp_path):
    from sluicegate.base.settings import Server
    from tests.fixtures.server import Place

    place = Place(tmp_path / "home", server=Server(names=("localhost", "127.0.0.1", "etl.example.org")))
    try:
        for path in ("/", "/health", "/api/v1/flows", "/none.js"):
            far = place.request("GET", path, headers={"host": "etl.example.org"})
            assert far.headers["strict-transport-security"] == "max-age=63072000; includeSubDomains"
            assert "strict-transport-security" not in place.request("GET", path).headers
    finally:
        place.close()


HOSTS = ["evil.example", "localhost.evil.example", "evil.localhost", "xlocalhost", "", "localhost@evil.example", "127.0.0.2", "[::2]:8443",
         "localhost, evil.example", "localhost\tevil", "LOCALHOST.", "0"]  # fmt: skip


@pytest.mark.security
@pytest.mark.req("SEC-N08")
@pytest.mark.parametrize("host", HOSTS)
def test_a_foreign_host_is_refused_before_anything_is_done(place, host):
    token = place.token(Role.VIEWER)
    before = place.head(), place.head(None)
    for path in ("/", "/health", "/api/v1/flows"):
        got = place.request("GET", path, token, headers={"host": host})
        assert got.status_code == 421
        assert got.json()["code"] == "malformed"
        assert got.headers["x-content-type-options"] == "nosniff"
        assert host not in got.text or not host.strip("0")
    assert (place.head(), place.head(None)) == before


@pytest.mark.security
@pytest.mark.req("SEC-N08")
def test_a_forwarded_host_is_not_read(place):
    for header in ("x-forwarded-host", "x-host", "forwarded", "x-original-host"):
        got = place.request("GET", "/health", headers={"host": "evil.example", header: "localhost"})
        assert got.status_code == 421
        fine = place.request("GET", "/health", headers={header: "evil.example"})
        assert fine.status_code == 200
        assert "evil" not in fine.text


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8443", "LocalHost:1", "127.0.0.1", "127.0.0.1:8443", "[::1]", "[::1]:8443"]
)
def test_its_own_names_are_answered_with_and_without_a_port(place, host):
    assert place.request("GET", "/health", headers={"host": host}).status_code == 200


ORIGINS = ["https://evil.example", "null", "https://localhost.evil.example", "https://evil-localhost", "http://localhost", "https://localhost",
           "https://localhost:8443", "file://", "*", "https://localhost%60.evil.example"]  # fmt: skip


@pytest.mark.security
@pytest.mark.req("SEC-W03", "SEC-W04")
@pytest.mark.parametrize("origin", ORIGINS)
def test_no_origin_is_ever_allowed(place, origin):
    asked = {
        "origin": origin,
        "access-control-request-method": "DELETE",
        "access-control-request-headers": "authorization",
    }
    for method, path in (
        ("OPTIONS", "/api/v1/flows"),
        ("GET", "/api/v1/flows"),
        ("GET", "/"),
        ("GET", "/health"),
        ("GET", "/api/v1/openapi.json"),
    ):
        got = place.request(method, path, place.token(Role.VIEWER), headers=asked)
        assert not [name for name in got.headers if name.startswith("access-control")]
        assert "evil" not in str(got.headers)
        assert method != "OPTIONS" or got.status_code == 404


@pytest.mark.security
@pytest.mark.req("SEC-W04")
def test_a_cross_site_form_can_do_nothing(place):
    """A form posts text/plain with the browser's cookies: there are none to help it, and no token."""
    before = place.head()
    got = place.request(
        "POST",
        "/api/v1/users",
        content=b'{"email":"a@b.c","role":"administrator"}',
        headers={"content-type": "text/plain", "cookie": "s=1"},
    )
    assert got.status_code == 401
    assert place.head() == before
