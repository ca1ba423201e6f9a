from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from sluicegate.base.permission import Permission
from sluicegate.base.principal import Credentials, Peer, Principal, Role, Via
from sluicegate.base.secret import MASK, Secret

CANARY = "canary-hunter2"


def test_there_are_six_roles():
    assert [each.value for each in Role] == ["superadmin", "administrator", "editor", "operator", "viewer", "api_user"]


@pytest.mark.security
@pytest.mark.parametrize("text", ["", "root", "Administrator", "administrator ", "SUPERADMIN", "superadmin\0"])
def test_a_word_that_is_no_role_is_refused(text):
    with pytest.raises(ValueError, match="is not a valid Role"):
        Role(text)


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (Principal("u", "t", Role.VIEWER), "role"),
        (Principal("u", "t", Role.VIEWER), "tenant"),
        (Principal("u", "t", Role.VIEWER, scopes=frozenset()), "scopes"),
        (Credentials(), "token"),
        (Peer("10.0.0.1"), "address"),
    ],
)
def test_who_asks_cannot_be_changed_on_the_way(thing, name):
    with pytest.raises(FrozenInstanceError):
        setattr(thing, name, None)
    with pytest.raises((AttributeError, TypeError)):
        thing.more = 1


@pytest.mark.security
@pytest.mark.req("SEC-V02")
def test_the_token_does_not_show():
    brought = Credentials(Secret(CANARY), method="GET", url="https://localhost/x")
    for told in (repr(brought), str(brought), f"{brought}"):
        assert CANARY not in told
        assert MASK in told


@pytest.mark.security
def test_nothing_is_granted_by_leaving_it_out():
    with pytest.raises(TypeError):
        Principal("u", "t")
    made = Principal("u", None, Role.API_USER)
    assert made.via is Via.PASSWORD
    assert made.scopes is None
    assert Credentials().token is None


def test_principals_with_the_same_facts_are_one():
    scopes = frozenset({Permission.FLOW_READ})
    one, other = (Principal("u", "t", Role.EDITOR, scopes=scopes) for _ in range(2))
    assert {one} == {other}
