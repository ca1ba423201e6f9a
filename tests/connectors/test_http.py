"""Against a web API over real TLS."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from pydantic import ValidationError

from sluicegate.base.errors import Cancelled, DataError, Failed, SignInRefused, Unreachable
from sluicegate.base.errors import Egress as EgressRefused
from sluicegate.base.secret import Secret
from sluicegate.conformance.connection import CANARY, Given, NetworkSuite, chain
from sluicegate.conformance.files import GivingFilesSuite
from sluicegate.connectors.http import Http
from sluicegate.formats.json import Json
from sluicegate.kit.context import Context
from sluicegate.kit.format import Decoding
from sluicegate.kit.net import Egress, Net
from sluicegate.kit.paths import Root
from sluicegate.kit.types import to_name
from tests.fixtures.api import ROWS, Answer, pages, serving

STYLES = {
    "cursor": {"type": "cursor", "at": "meta.next"},
    "stripe": {"type": "cursor", "at": "data.items.-1.id", "param": "starting_after", "more": "has_more"},
    "next": {"type": "next", "at": "$.next"},
    "link": "link",
    "page": "page",
    "offset": "offset",
}
PAGED = {"records": "data.items", "limits": {"wait": 1}}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("api")) as api:
        yield api


@pytest.fixture
def api(running):
    running.reset()
    return running


@pytest.fixture
def ctx(tmp_path):
    with Root(tmp_path) as root:
        yield Context(net=Net(Egress.local()), files=root, secrets={"s": Secret("canary-key")})


def connection(api, **more):
    return Http(name="api", **{"host": "localhost", "port": api.port, "ca": api.ca, **more})


def rows(made, ctx, item="orders", columns=None, **how):
    with made.open(ctx) as session, session.fetch(item) as file:
        return Json(columns=columns).decode(file, Decoding(item=item, **how)).read_all()


class TestHttp(NetworkSuite, GivingFilesSuite):
    @pytest.fixture
    def given(self, api, ctx):
        api.files["/v1/orders"] = b"[]"
        api.wants = lambda asked: asked.headers.get("x-api-key") == "canary-key"
        items = {"orders": {}, "customers": {"query": {"all": "yes"}}}
        made = connection(api, path="/v1", auth="api_key", key={"secret": "s"}, items=items, limits={"tries": 1})
        self.api = api
        return Given(made, ctx)

    def lay(self, given, name, data):
        self.api.files[f"/v1/{name}"] = data


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_all_rows_of_all_pages_come_with_their_types(api, ctx, style, size):
    pages(api, "/orders", style, size)
    found = rows(connection(api, paging=STYLES[style], **PAGED), ctx, columns={"price": "decimal(9,2)"})
    assert {field.name: to_name(field.type) for field in found.schema} == {
        "id": "int64", "name": "text", "price": "decimal(9,2)",
    }  # fmt: skip
    assert [row["id"] for row in found.to_pylist()] == [row["id"] for row in ROWS]
    assert str(found.column("price")[6]) == "7.10"


def test_no_rows_are_no_rows(api, ctx):
    for style, paging in STYLES.items():
        pages(api, "/orders", style, rows=[])
        with connection(api, paging=paging, **PAGED).open(ctx) as session, session.fetch("orders") as file:
            assert file.read() == b"[]\n"


def test_numbers_are_exact_and_bad_rows_are_rejects(api, ctx):
    api.files["/orders"] = (
        b'{"data": {"items": [{"a": 12345678901234567890123, "b": 0.1}, {"a": 1, "b": "x"}, 7, {"a": 2, "b": 1e400}]}}'
    )
    rejects = []
    made = connection(api, **PAGED)
    found = rows(made, ctx, columns={"a": "decimal(38,0)", "b": "float64"}, on_reject=rejects.append)
    assert [str(each) for each in found.column("a").to_pylist()] == ["12345678901234567890123"]
    assert [each.line for each in rejects] == [3, 2, 4]


def test_what_a_request_says(api, ctx):
    pages(api, "/v2/orders/", "cursor")
    made = connection(
        api, path="v2/", paging=STYLES["cursor"], headers={"Accept": "application/vnd.x+json"}, query={"lang": "en"},
        items={"orders/": {"query": {"per": "100"}}}, **PAGED,
    )  # fmt: skip
    assert rows(made, ctx, "orders/?since=2020-01-01T00:00+02&q=a=b/ü %41").num_rows == 7
    first, *_, last = api.asked
    assert first.query == {"lang": "en", "per": "100", "since": "2020-01-01T00:00+02", "q": "a=b/ü %41"}
    assert last.query == {**first.query, "cursor": "c6"}
    assert first.headers["accept"] == "application/vnd.x+json"
    assert first.headers["accept-encoding"] == "identity"


def test_an_item_may_differ_from_its_connection(api, ctx):
    pages(api, "/orders", "offset", 2)
    api.files["/plain"] = b'[{"a": 1}]'
    api.files["/report.csv"] = b"a\n1\n"
    made = connection(api, items={"orders": {"records": "data.items", "paging": "offset"}, "plain": {"records": "$"}})
    assert rows(made, ctx, "orders").num_rows == 7
    assert rows(made, ctx, "plain").to_pylist() == [{"a": 1}]
    with made.open(ctx) as session:
        assert [entry.name for entry in session.items()] == ["orders", "plain"]
        assert [entry.name for entry in session.items("p")] == ["plain"]
        assert session.fetch("report.csv").read() == b"a\n1\n"
        assert session.test() == "web server, answers 200"


def test_only_the_pages_that_are_read_are_asked_for(api, ctx):
    wide = [{"id": each, "pad": "x" * (1 << 20)} for each in range(12)]
    pages(api, "/orders", "offset", 1, wide)
    with connection(api, paging="offset", **PAGED).open(ctx) as session, session.fetch("orders") as file:
        assert len(api.asked) == 1
        file.read(1000)
        assert len(api.asked) == 1


@pytest.mark.parametrize(
    ("fault", "tries"),
    [(Answer(status=503, headers={"retry-after": "0"}), 1), (Answer(status=429), 1), (Answer(b"[" * 99, cut=9), 2)],
)
def test_a_busy_server_is_asked_again(api, ctx, fault, tries):
    pages(api, "/orders", "cursor")
    api.faults = [fault] * tries
    lines = []
    ctx = replace(ctx, log=lambda message, **fields: lines.append(message))
    assert rows(connection(api, paging=STYLES["cursor"], **PAGED), ctx).num_rows == 7
    assert lines == ["the server is busy or does not answer; trying again"] * tries + ["all pages read"]


@pytest.mark.security
@pytest.mark.req("SEC-E09")
@pytest.mark.parametrize(
    ("fault", "kind", "match"),
    [
        (Answer(status=503, headers={"retry-after": "0"}), Failed, "answers 503"),
        (Answer(status=429, headers={"retry-after": "86400"}), Failed, "asks to wait 86400 s"),
        (Answer(status=503, headers={"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}), Failed, "asks to wait"),
        (Answer(status=403, body=b"canary"), Failed, "answers 403"),
        (Answer(status=401, body=b"canary"), SignInRefused, "wants a credential"),
        (Answer(status=404), Failed, "no 'orders'"),
        (Answer(status=204), Failed, "answers 204"),
        (Answer(status=302, headers={"location": "https://169.254.169.254/"}), EgressRefused, "sends us elsewhere"),
        (Answer(status=302, headers={"location": "http://["}), EgressRefused, "sends us elsewhere"),
        (Answer(b"x" * (2 << 20)), Failed, "larger than 1048576 bytes"),
        (Answer(b"\x1f\x8b", headers={"content-encoding": "gzip"}), Failed, "compressed"),
        (Answer(b""), DataError, "page 1: The answer is not JSON"),
        (Answer(b'{"data": {"items": [' + b"[" * 70 + b"]" * 70 + b"]}}"), DataError, "64 deep"),
        (Answer(b'{"data": {"items": [{"a": 1, "a": 2}]}}'), DataError, "repeated"),
        (Answer(b'{"data": {"items": [{"a": "\\ud800"}]}}'), DataError, "The answer is not JSON"),
        (Answer(b'{"data": {"items": [{"a": "\\ud800", "b": 1.00000000000000000001}]}}'), DataError, "not JSON"),
        (Answer({"error": "canary"}), DataError, r"data\.items\) is absent"),
        (Answer({"data": {"items": None}}), DataError, "is no list"),
        (Answer({"data": {"items": [1]}, "meta": {"next": ["canary"]}}), DataError, "neither text nor"),
        (Answer({"data": {"items": [1]}, "meta": {"next": "x" * 5000}}), DataError, "neither text nor"),
    ],
)  # fmt: skip
def test_a_bad_answer_is_one_clear_error(api, ctx, fault, kind, match):
    api.faults = [fault] * 3
    made = connection(
        api, records="data.items", paging=STYLES["cursor"], limits={"tries": 2, "wait": 1, "bytes": 1 << 20}
    )
    with pytest.raises(kind, match=match) as told:
        rows(made, ctx)
    assert "canary" not in chain(told.value)
    assert "localhost" in str(told.value) or "orders" in str(told.value)


@pytest.mark.security
@pytest.mark.req("SEC-E09")
def test_pages_without_end_are_seen(api, ctx):
    api.routes["/orders"] = lambda _asked: Answer({"data": {"items": [1]}, "meta": {"next": "same"}})
    with pytest.raises(DataError, match="page 3: The pages lead in a circle"):
        rows(connection(api, paging=STYLES["cursor"], **PAGED), ctx)
    for style in ("page", "offset"):
        with pytest.raises(DataError, match=f"page 2: The page is the same .* parameter '{style}'"):
            rows(connection(api, paging=style, **PAGED), ctx)
    api.routes["/orders"] = lambda asked: Answer({"data": {"items": [{"page": asked.query.get("page")}]}})
    with pytest.raises(Failed, match="more than 4 pages"):
        rows(connection(api, paging="page", records="data.items", limits={"pages": 4}), ctx)
    with pytest.raises(DataError, match="does not say whether there are more"):
        rows(connection(api, paging={"type": "cursor", "at": "id", "more": "more", "param": "page"}, **PAGED), ctx)


@pytest.mark.security
@pytest.mark.req("SEC-E09")
def test_a_dripping_answer_ends_with_its_time(api, ctx):
    api.routes["/orders"] = lambda _asked: Answer(b"[", headers={"content-length": "99"})
    made = connection(api, records="$", limits={"seconds": 1, "tries": 1})
    with pytest.raises(Unreachable, match="in time"):
        rows(made, ctx)


@pytest.mark.security
@pytest.mark.req("SEC-E04", "SEC-E05")
@pytest.mark.parametrize(
    ("style", "url"),
    [("link", "//169.254.169.254/latest"), ("link", "https://localhost:1/"), ("link", "http://localhost:{port}/orders")]
    + [("next", each) for each in (
        "http://localhost:{port}/orders", "https://127.0.0.1:{port}/orders", "https://localhost:1/orders",
        "https://localhost/orders", "//169.254.169.254/latest", "https://localhost:{port}@169.254.169.254/",
        "https://u:p@localhost:{port}/orders", "file:///etc/passwd", "gopher://localhost:{port}/", "https://[",
        "https://localhost:{port}\\@evil.example/", "/orders\r\nx-evil: 1", "https://localhost:99999/", "/ü", "x" * 5000,
    )],
)  # fmt: skip
def test_no_page_lies_on_another_server(api, ctx, style, url):
    to = url.format(port=api.port)
    link = {"link": f'<{to}>; rel="next"'} if style == "link" else {}
    api.routes["/orders"] = lambda _asked: Answer({"data": {"items": [1]}, "next": to}, headers=link)
    with pytest.raises((EgressRefused, DataError)) as told:
        rows(connection(api, paging=STYLES[style], auth="bearer", token={"secret": "s"}, **PAGED), ctx)
    assert len(api.asked) == 1
    assert "canary" not in chain(told.value)


@pytest.mark.security
@pytest.mark.req("SEC-E01")
def test_each_page_is_reached_through_the_guard(api, ctx):
    """The name leads elsewhere once the first page has come: the second one is not asked for there."""
    pages(api, "/orders", "next", 1)
    first = api.routes["/orders"]
    api.routes["/orders"] = lambda asked: first(asked)._replace(headers={"connection": "close"})
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    made = connection(api, paging=STYLES["next"], records="data.items")
    with pytest.raises(EgressRefused, match="metadata"):
        rows(made, replace(ctx, net=Net(Egress.local(), lambda _host: next(answers))))
    assert len(api.asked) == 1


@pytest.mark.security
@pytest.mark.req("SEC-P03")
@pytest.mark.parametrize("item", ["orders?a=1&a=2", "orders?a", "orders?=1", "orders?a=1\r\nx: y", "orders?", "a?b=\0"])
def test_an_odd_query_is_refused(api, ctx, item):
    from sluicegate.base.errors import Denied, Invalid

    with connection(api).open(ctx) as session, pytest.raises((Invalid, Denied)):
        session.fetch(item)
    assert api.asked == []


def test_a_cancelled_run_asks_for_no_more(api, ctx):
    pages(api, "/orders", "cursor", 1)
    made = connection(api, paging=STYLES["cursor"], **PAGED)
    answers = iter([False, False, True, True])
    with pytest.raises(Cancelled):
        rows(made, replace(ctx, cancelled=lambda: next(answers)))
    assert len(api.asked) == 2
    api.faults = [Answer(status=503)]
    answers = iter([False, True])
    with pytest.raises(Cancelled):
        rows(made, replace(ctx, cancelled=lambda: next(answers)))


@pytest.mark.security
@pytest.mark.req("SEC-V01")
def test_a_key_in_a_query_is_in_no_log_and_no_error(api, ctx, caplog):
    caplog.set_level(logging.DEBUG)
    pages(api, "/orders", "next", 2)
    api.wants = lambda asked: asked.query.get("api_key") == CANARY
    ctx = replace(ctx, secrets={"s": Secret(CANARY)})
    how = {"auth": "api_key", "key": {"secret": "s"}, "key_name": "api_key", "key_in": "query", **PAGED}
    assert rows(connection(api, paging=STYLES["next"], **how), ctx).num_rows == 7
    assert all(asked.query["api_key"] == CANARY for asked in api.asked)
    with pytest.raises(Failed) as told:
        rows(connection(api, **how), ctx, "gone")
    assert "/orders" in caplog.text
    assert CANARY not in caplog.text + chain(told.value)


BAD = {
    "no secret": {"auth": "bearer"},
    "another's": {"auth": "bearer", "token": {"secret": "s"}, "password": {"secret": "s"}},
    "nobody's": {"token": {"secret": "s"}},
    "no user": {"auth": "basic", "password": {"secret": "s"}},
    "in clear": {"auth": "bearer", "token": {"secret": "s"}, "tls": "disable"},
    "to anybody": {"auth": "bearer", "token": {"secret": "s"}, "tls": "require"},
    "a value": {"auth": "bearer", "token": "canary"},
    "token in clear": {"auth": "oauth2", "token_url": "http://a/t", "client_id": "c", "client_secret": {"secret": "s"}},
    "token user": {"auth": "oauth2", "token_url": "https://u:canary@a", "client_id": "c", "client_secret": {"secret": "s"}},
    "path": {"path": "/a/../b"},
    "path query": {"path": "/a%2fb"},
    "host": {"host": "u:canary@h"},
    "header": {"headers": {"Authorization": "canary"}},
    "cookie": {"headers": {"cookie": "canary"}},
    "smuggled": {"headers": {"x": "a\r\nb: canary"}},
    "header name": {"headers": {"a b": "c"}},
    "item": {"items": {"../x": {}}},
    "item query": {"items": {"x?y": {}}},
    "paging alone": {"paging": "link"},
    "paging of an item": {"items": {"x": {"paging": "link"}}},
    "json path": {"records": "a..b"},
}  # fmt: skip


@pytest.mark.security
@pytest.mark.parametrize("more", BAD.values(), ids=BAD)
def test_what_is_no_configuration_is_refused(more):
    with pytest.raises(ValidationError) as told:
        Http(name="api", **{"host": "h", **more})
    assert "canary" not in "".join(each["msg"] for each in told.value.errors())
