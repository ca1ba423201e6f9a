"""Against moto, which checks our signatures with AWS's own library; faults by a stand-in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from sluicegate.base.errors import Egress as EgressRefused
from sluicegate.base.errors import Failed, Invalid, SignInRefused, Unreachable
from sluicegate.base.secret import Secret
from sluicegate.connectors.aws_secrets import AwsSecrets
from sluicegate.kit.context import Context
from sluicegate.kit.net import Egress, Grant, Net
from sluicegate.kit.paths import Root
from sluicegate.kit.reference import Reference
from tests.fixtures import keepers
from tests.fixtures.moto import REGION, TOKENS, moto

__all__ = ["moto"]


@pytest.fixture
def files(tmp_path):
    with Root(tmp_path) as root:
        yield root


def context(files, secret, allow=True):
    net = Net(Egress(allow=(Grant(host="localhost"),) if allow else ()))
    return Context(net, files, {"aws-key": Secret(secret)})


def connection(given, access, **more):
    told = {"region": REGION, "endpoint": given.url, "ca": given.ca.read_text(), "access_key": access, **more}
    return AwsSecrets(name="aws", secret_key={"secret": "aws-key"}, **told)


def ask(made, ctx, text):
    reference = Reference.parse(text)
    made.check_reference(reference)
    with made.open(ctx) as session:
        return session.secret(reference).reveal()


@pytest.mark.slow
def test_it_gives_text_or_one_field_of_json_of_a_version(moto, files):
    made, ctx = connection(moto, moto.access), context(files, moto.secret)
    assert ask(made, ctx, "aws:prod/plain") == "canary-plain"
    assert ask(made, ctx, "aws:prod/warehouse#password") == "canary-two"
    assert ask(made, ctx, "aws:prod/warehouse?version=AWSPREVIOUS#password") == "canary-one"
    assert ask(made, ctx, f"aws:prod/warehouse?version={TOKENS[0]}#password") == "canary-one"
    with made.open(ctx) as session:
        assert session.test() == "AWS Secrets Manager, the access key is good"


@pytest.mark.slow
@pytest.mark.security
@pytest.mark.req("SEC-V12")
def test_what_does_not_come_is_told_without_what_it_holds(moto, files):
    made, ctx = connection(moto, moto.access), context(files, moto.secret)
    for text, message in (
        ("aws:prod/none", "has no 'prod/none'"),
        ("aws:prod/warehouse#none", "has no field 'none'"),
        ("aws:prod/warehouse#port", "is no text"),
        ("aws:prod/plain#password", "no JSON object"),
        ("aws:prod/binary", "holds no text"),
        ("aws:prod/warehouse?version=NOSUCH", "has no 'prod/warehouse'"),
    ):
        with pytest.raises(Failed, match=message) as told:
            ask(made, ctx, text)
        assert "canary" not in f"{told.value} {told.value.hint}"


@pytest.mark.slow
@pytest.mark.security
@pytest.mark.req("SEC-V12")
def test_a_signature_by_another_key_is_refused_by_aws_s_own_check(moto, files):
    for access, secret in ((moto.access, "canary-wrong"), ("AKIDNOBODY", moto.secret)):
        with pytest.raises(SignInRefused, match="does not take the access key") as told:
            ask(connection(moto, access), context(files, secret), "aws:prod/plain")
        assert "canary" not in f"{told.value} {told.value.hint}"
        with pytest.raises(SignInRefused), connection(moto, access).open(context(files, secret)) as session:
            session.test()


@pytest.fixture
def keeper(tmp_path):
    with keepers.serving(keepers.KmsKeeper(tmp_path)) as running:
        yield running


@pytest.mark.security
@pytest.mark.req("SEC-V12", "SEC-E09")
@pytest.mark.parametrize(
    "fault",
    [400, 403, 500, 307, b"", b"[]", b"{", b"{}", b'{"SecretString": 1}', b'{"SecretBinary": "AAAA"}',
     b'{"SecretString": "' + b"[" * 60_000 + b'"}', b"x" * (1 << 20)],
)  # fmt: skip
def test_it_fails_closed_whatever_it_answers(keeper, files, fault):
    keeper.fault = fault
    with pytest.raises((Failed, EgressRefused)) as told:
        ask(connection(keeper, "AKID"), context(files, "canary"), "aws:a#b")
    assert "canary" not in f"{told.value} {told.value.hint}"


@pytest.mark.security
@pytest.mark.parametrize(
    ("reason", "kind"),
    [("ResourceNotFoundException", "has no"), ("x#AccessDeniedException", "does not let us"),
     ("ExpiredTokenException", "access key"), ("canary", "answers 400")],
)  # fmt: skip
def test_a_refusal_is_told_in_our_words(keeper, files, reason, kind):
    keeper.answer = lambda *_: (400, {"__type": reason, "Message": "canary"})
    with pytest.raises(Failed, match=kind) as told:
        ask(connection(keeper, "AKID"), context(files, "canary"), "aws:a")
    assert "canary" not in f"{told.value} {told.value.hint}"


@pytest.mark.security
@pytest.mark.req("SEC-E01", "SEC-V12")
def test_it_is_reached_only_as_egress_and_certificate_allow(keeper, files):
    with pytest.raises(EgressRefused):
        ask(connection(keeper, "AKID"), context(files, "s", allow=False), "aws:a")
    with pytest.raises(Unreachable, match="unknown CA"):
        ask(connection(keeper, "AKID", ca=None), context(files, "s"), "aws:a")
    with pytest.raises(EgressRefused):  # the metadata service gives no role's credentials
        made = connection(keeper, "AKID", endpoint="https://169.254.169.254")
        ask(made, replace(context(files, "s"), net=Net(Egress.local())), "aws:a")
    assert keeper.asked == []


@pytest.mark.security
@pytest.mark.parametrize(
    "more",
    [{"endpoint": "http://localhost"}, {"endpoint": "https://a@b"}, {"endpoint": "https://a/b"}, {"region": "eu.evil.example/"},
     {"region": ""}, {"access_key": "a b"}, {"secret_key": "canary"}, {"session_token": "canary"}],
)  # fmt: skip
def test_what_is_no_configuration_is_refused(more):
    given = {"region": REGION, "access_key": "AKID", "secret_key": {"secret": "s"}, **more}
    with pytest.raises(ValidationError) as told:
        AwsSecrets(name="aws", **given)
    assert "canary" not in str(told.value)


@pytest.mark.security
def test_where_it_leads_is_its_destination_and_a_name_is_one():
    made = AwsSecrets(name="aws", region=REGION, access_key="AKID", secret_key={"secret": "s"})
    assert AwsSecrets.destination == {"region", "endpoint", "ca"}
    arn = f"aws:arn:aws:secretsmanager:{REGION}:123456789012:secret:/prod/x-AbCdEf"
    made.check_reference(Reference.parse(arn))
    with pytest.raises(Invalid):
        made.check_reference(Reference.parse("aws:a,b"))
