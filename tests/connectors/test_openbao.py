"""Against a stand-in that speaks OpenBao's paths, over real TLS."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from sluicegate.base.errors import Egress as EgressRefused
from sluicegate.base.errors import Failed, Invalid, SignInRefused, Unreachable
from sluicegate.base.secret import Secret
from sluicegate.connectors.openbao import OpenBao
from sluicegate.kit import connection as kinds
from sluicegate.kit.context import Context
from sluicegate.kit.net import Egress, Grant, Net
from sluicegate.kit.paths import Root
from sluicegate.kit.reference import Reference
from tests.fixtures import keepers


@pytest.fixture
def bao(tmp_path):
    with keepers.serving(keepers.BaoKeeper(tmp_path)) as running:
        running.kv["shop/warehouse"] = [{"password": "first"}, {"password": "canary-two", "pin": 7, "user": "u"}]
        running.flat["old"] = {"password": "canary-flat"}
        yield running


@pytest.fixture
def ctx(tmp_path):
    secrets = {"bao-token": Secret(keepers.TOKEN), "bao-id": Secret("bao-canary-secret-id")}
    with Root(tmp_path) as root:
        yield Context(Net(Egress(allow=(Grant(host="localhost"),))), root, secrets)


def connection(bao, **more):
    given = {"url": bao.url, "ca": bao.ca.read_text(), "token": {"secret": "bao-token"}, **more}
    return OpenBao(name="bao", **{name: value for name, value in given.items() if value is not None})


def ask(made, ctx, text="bao:shop/warehouse#password"):
    reference = Reference.parse(text)
    made.check_reference(reference)
    with made.open(ctx) as session:
        return session.secret(reference).reveal()


def test_it_gives_one_field_of_the_newest_or_of_one_version(bao, ctx):
    made = connection(bao)
    assert ask(made, ctx) == "canary-two"
    assert ask(made, ctx, "bao:shop/warehouse?version=1#password") == "first"
    assert ask(connection(bao, engine="kv-v1", mount="kv1"), ctx, "bao:old#password") == "canary-flat"
    with made.open(ctx) as session:
        assert session.test() == "OpenBao, signed in; the token is good for 3600 s"
        able = {name for name in ("Tests", "Lists", "ReadsRows", "WritesRows", "ReadsFiles", "WritesFiles", "GivesSecrets")
                if isinstance(session, getattr(kinds, name))}  # fmt: skip
    assert able == {"Tests", "GivesSecrets"}


def test_an_approle_signs_in_for_each_session_and_a_namespace_goes_along(bao, ctx):
    bao.namespace = "team/a"
    made = connection(bao, token=None, role_id="role-1", secret_id={"secret": "bao-id"}, namespace="team/a")
    assert ask(made, ctx) == "canary-two"
    assert [path for path, _, _ in bao.asked] == ["/v1/auth/approle/login", "/v1/secret/data/shop/warehouse"]
    assert "x-vault-token" not in bao.asked[0][1]
    with pytest.raises(SignInRefused, match="does not take the AppRole"):
        ask(made, replace(ctx, secrets={"bao-id": Secret("bao-canary-wrong")}))


@pytest.mark.security
@pytest.mark.req("SEC-V12")
@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("bao:shop/none#password", Failed, "has no 'shop/none'"),
        ("bao:shop/warehouse#none", Failed, "has no field 'none'"),
        ("bao:shop/warehouse#pin", Failed, "is no text"),
        ("bao:shop/warehouse?version=9#password", Failed, "has no 'shop/warehouse'"),
        ("bao:deleted#password", Failed, "has no 'deleted'"),
    ],
)
def test_what_does_not_come_is_told_without_what_the_service_says(bao, ctx, text, kind, message):
    bao.kv["deleted"] = [{"password": "canary"}, None]
    with pytest.raises(kind, match=message) as told:
        ask(connection(bao), ctx, text)
    assert "canary" not in f"{told.value} {told.value.hint}"


@pytest.mark.security
@pytest.mark.req("SEC-V12", "SEC-E09")
@pytest.mark.parametrize(
    "fault",
    [403, 404, 500, 503, 307, b"", b"[]", b"{", b"{}", b'{"data": 1}', b'{"data": {"data": []}}', b"[" * 60_000,
     b'{"data": {"data": {"password": ["canary"]}}}', b"x" * (1 << 21)],
)  # fmt: skip
def test_it_fails_closed_whatever_it_answers(bao, ctx, fault):
    bao.fault = fault
    with pytest.raises((Failed, EgressRefused)) as told:
        ask(connection(bao), ctx)
    assert "canary" not in f"{told.value} {told.value.hint}"


@pytest.mark.security
@pytest.mark.req("SEC-E01", "SEC-V12")
def test_it_is_reached_only_as_egress_and_certificate_allow(bao, ctx):
    with pytest.raises(EgressRefused):
        ask(connection(bao), replace(ctx, net=Net(Egress())))
    with pytest.raises(Unreachable, match="unknown CA"):
        ask(connection(bao, ca=None), ctx)
    assert bao.asked == []
    with pytest.raises(SignInRefused) as told:
        ask(connection(bao), replace(ctx, secrets={"bao-token": Secret("bao-canary-wrong")}))
    assert "canary" not in f"{told.value} {told.value.hint}"


@pytest.mark.security
@pytest.mark.req("SEC-V12", "SEC-F06")
@pytest.mark.parametrize(
    "text", ["bao:/shop#p", "bao:shop:x#p", "bao:shop", "bao:shop?version=x#p", "bao:a?version=0#p"]
)
def test_what_cannot_be_in_the_engine_is_refused_before_it_is_asked(bao, text):
    with pytest.raises(Invalid):
        connection(bao).check_reference(Reference.parse(text))
    with pytest.raises(Invalid):
        connection(bao, engine="kv-v1").check_reference(Reference.parse("bao:a?version=1#p"))


@pytest.mark.security
@pytest.mark.parametrize(
    "more",
    [
        {"token": None}, {"role_id": "r"}, {"secret_id": {"secret": "s"}}, {"token": None, "role_id": "r"},
        {"role_id": "r", "secret_id": {"secret": "s"}}, {"token": "canary"}, {"url": "http://localhost"},
        {"url": "https://user@localhost"}, {"url": "https://localhost/v1"}, {"url": "https://localhost\\@evil"},
        {"mount": "../sys"}, {"mount": "secret/"}, {"auth_mount": "a/../b"}, {"namespace": "a\nb"},
    ],
)  # fmt: skip
def test_what_is_no_configuration_is_refused(bao, more):
    with pytest.raises(ValidationError) as told:
        connection(bao, **more)
    assert "canary" not in str(told.value)


@pytest.mark.security
def test_all_that_decides_what_is_read_is_its_destination():
    assert OpenBao.destination == {"url", "ca", "namespace", "mount", "engine"}
