"""What administrators may say of a provider."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sluicegate.base.errors import Corrupt
from sluicegate.base.principal import Role
from sluicegate.guard.provider import Provider, is_https, pick, read
from sluicegate.store.sso import Provider as Stored

PLAIN = {"issuer": "https://id.example.org/realms/a", "client_id": "sluice"}


@pytest.mark.security
@pytest.mark.req("SEC-A13")
@pytest.mark.parametrize(
    "url",
    [
        "http://id.example", "https://", "https:///path", "HTTPS:id", "https://a:b@id.example", "https://id.example/#", "//id.example",
        "https://id.example\\@evil.example", "https://id.example\n.evil", "https://id.exämple", "https://id.example:99999", "https://[::",
        "javascript:alert(1)", "https://id.example/<script>", "https://id.example:0/", "https://" + "a" * 3000, 7, None,
    ],
)  # fmt: skip
def test_what_is_no_plain_https_address_is_none(url):
    assert not is_https(url)
    with pytest.raises(ValidationError):
        Provider(**{**PLAIN, "issuer": url})


def test_an_issuer_is_kept_as_it_is_spelled():
    for url in (
        "https://id.example.org",
        "https://id.example.org/",
        "https://[::1]:8443/a",
        "https://127.0.0.1:1/a?b=c",
    ):
        assert is_https(url)
    assert Provider(**{**PLAIN, "issuer": "https://id.example.org/"}).issuer == "https://id.example.org/"
    with pytest.raises(ValidationError):
        Provider(**{**PLAIN, "issuer": "https://id.example.org/?a=b"})


@pytest.mark.security
@pytest.mark.req("SEC-Z01")
def test_the_highest_of_several_groups_counts_and_none_gives_nothing():
    made = Provider(
        **PLAIN,
        roles=[
            {"group": "a", "role": "viewer"},
            {"group": "b", "role": "administrator"},
            {"group": "c", "role": "editor"},
        ],
    )
    assert made.role_of(frozenset({"a", "b", "c", "d"})) is Role.ADMINISTRATOR
    assert made.role_of(frozenset({"A", "d"})) is None
    assert made.model_copy(update={"default_role": Role.VIEWER}).role_of(frozenset()) is Role.VIEWER
    for more in (
        {"roles": [{"group": "a", "role": "superadmin"}]},
        {"default_role": "superadmin"},
        {"roles": [{"group": "a", "role": "root"}]},
    ):
        with pytest.raises(ValidationError):
            Provider(**PLAIN, **more)


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_a_provider_speaks_for_its_domains_and_for_none_below_or_beside():
    made = Provider(**PLAIN, domains=["Corp.Example"])
    assert made.domains == ("corp.example",)
    assert made.speaks_for("a@CORP.example")
    for email in (
        "a@sub.corp.example",
        "a@corp.example.evil.example",
        "a@xcorp.example",
        "corp.example",
        "a@corp.example@evil",
    ):
        assert made.speaks_for(email) == (email == "corp.example"), email
    assert not Provider(**PLAIN).speaks_for("a@corp.example")
    for domain in (
        "example",
        "@corp.example",
        "*.corp.example",
        "corp.example.",
        "-a.example",
        "a b.example",
        "ä.example",
    ):
        with pytest.raises(ValidationError):
            Provider(**PLAIN, domains=[domain])


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_addresses_are_believed_unverified_only_where_domains_are_named():
    with pytest.raises(ValidationError, match="trust_email|needs domains"):
        Provider(**PLAIN, trust_email=True)
    assert Provider(**PLAIN, trust_email=True, domains=["corp.example"]).trust_email


def test_a_claim_is_found_by_its_name_and_else_by_the_way_to_it():
    claims = {"a.b": 1, "a": {"b": 2, "c": {"d": 3}}, "e": [1]}
    assert [pick(claims, name) for name in ("a.b", "a.c.d", "a.x", "e.x", "x", "x.y")] == [1, 3, None, None, None, None]


@pytest.mark.security
def test_a_provider_that_cannot_be_read_is_not_guessed():
    with pytest.raises(Corrupt):
        read(Stored("t", "oidc", {"issuer": "https://id.example.org"}, 0, "u"))
    kept = Provider(**PLAIN, roles=[{"group": "a", "role": "viewer"}]).model_dump(mode="json")
    assert read(Stored("t", "oidc", kept, 0, "u")).role_of(frozenset({"a"})) is Role.VIEWER
