from __future__ import annotations

import json
import time

import pytest

from sluicegate.base.errors import Egress as EgressRefused
from sluicegate.base.errors import Failed, Unreachable
from sluicegate.base.secret import Secret
from sluicegate.kit import service as module
from sluicegate.kit.net import Egress, Grant, Net
from sluicegate.kit.service import Aws, AwsKey, Bao, Service
from tests.fixtures import keepers


@pytest.fixture
def keeper(tmp_path):
    with keepers.serving(keepers.TransitKeeper(tmp_path)) as running:
        yield running


def service(keeper, *, allow=True, limit=1000):
    net = Net(Egress(allow=(Grant(host="localhost"),) if allow else ()))
    return Service(net, keeper.url, "The keeper", ca=keeper.ca.read_text(), limit=limit)


def test_a_refusal_is_an_answer_with_what_it_says(keeper):
    with service(keeper) as reached:
        assert Bao(reached, Secret("wrong")).ask("POST", "transit/encrypt/x", {"a": 1}).status == 403
        keeper.fault = b'{"data": 1}'
        answer = Bao(reached, Secret("t"), "ns").ask("GET", "any")
        assert (answer.good, answer.body) == (True, {"data": 1})
    path, headers, body = keeper.asked[-1]
    assert (path, headers["x-vault-namespace"], headers["x-vault-request"], body) == ("/v1/any", "ns", "true", b"")


def test_a_request_of_aws_is_signed_whole(keeper):
    keeper.fault = b"{}"
    key = AwsKey("AKID", Secret("s"), Secret("a-session"))
    with service(keeper) as reached:
        assert Aws(reached, "api", "eu-test-1", "name", key).ask("Do", {"a": 1}).good
    _, headers, body = keeper.asked[-1]
    assert json.loads(body) == {"a": 1}
    assert headers["x-amz-target"] == "api.Do"
    assert "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target" in headers["authorization"]
    assert headers["host"] == reached.place


@pytest.mark.security
@pytest.mark.req("SEC-E01", "SEC-E04", "SEC-E09")
def test_it_goes_where_it_may_and_takes_what_fits(keeper):
    with pytest.raises(EgressRefused), service(keeper, allow=False) as reached:
        reached.ask("GET", "/", {})
    for fault in (307, b'{"a": "' + b"x" * 1000 + b'"}', b"[]", b"{"):
        keeper.fault = fault
        with pytest.raises((Failed, EgressRefused)) as told, service(keeper) as reached:
            reached.ask("GET", "/", {})
        assert "canary" not in str(told.value)
    assert [path for path, _, _ in keeper.asked] == ["/"] * 4
    assert {headers["accept-encoding"] for _, headers, _ in keeper.asked} == {"identity"}  # nothing is unpacked


@pytest.mark.security
@pytest.mark.req("SEC-E09")
def test_one_deadline_holds_for_all_that_is_asked(keeper, monkeypatch):
    monkeypatch.setattr(module, "TOTAL", 0.3)
    keeper.fault = b"{}"
    with service(keeper) as reached:
        assert reached.ask("GET", "/", {}).good
        keeper.hold.clear()
        began = time.monotonic()
        try:
            with pytest.raises(Unreachable, match="in time"):
                reached.ask("GET", "/", {})
        finally:
            keeper.hold.set()
        assert time.monotonic() - began < module.STEP / 2
