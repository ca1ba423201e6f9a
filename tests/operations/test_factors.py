"""What is told of second factors: what an app needs once, and nothing of it afterwards."""

from __future__ import annotations

import pyotp
import pytest

from sluicegate.base.errors import Conflict, Invalid
from sluicegate.base.principal import Role


@pytest.fixture
def access(fresh):
    return fresh.sign_in(fresh.people["north", Role.EDITOR])["access"]


def test_an_app_is_told_the_account_and_the_seed(fresh, access):
    begun = fresh.call("factor.begin", {}, access)
    told = pyotp.parse_uri(begun.uri)
    assert (told.name, told.issuer, told.secret) == ("editor@north.example", "Sluicegate", begun.seed)


@pytest.mark.security
@pytest.mark.req("SEC-A09", "SEC-Z07")
def test_a_seed_is_shown_once(fresh, access):
    begun = fresh.call("factor.begin", {"name": "phone"}, access)
    code = pyotp.TOTP(begun.seed).now()
    codes = fresh.call("factor.confirm", {"id": begun.id, "code": code}, access).codes
    shown = fresh.call("factor.list", {}, access).model_dump_json() + str(fresh.records())
    assert begun.seed not in shown
    assert not [each for each in codes if each in shown]


def test_a_second_app_brings_no_new_codes(fresh, access):
    for expected in (10, 0):
        begun = fresh.call("factor.begin", {}, access)
        code = pyotp.TOTP(begun.seed).now()
        assert len(fresh.call("factor.confirm", {"id": begun.id, "code": code}, access).codes) == expected
    assert fresh.call("factor.list", {}, access).codes_left == 10


def test_there_is_an_end_to_factors(fresh, access):
    for _ in range(5):
        begun = fresh.call("factor.begin", {}, access)
        fresh.call("factor.confirm", {"id": begun.id, "code": pyotp.TOTP(begun.seed).now()}, access)
    with pytest.raises(Conflict, match="5 factors"):
        fresh.call("factor.begin", {}, access)


@pytest.mark.parametrize("name", ["", "x" * 65])
def test_a_name_has_a_length(fresh, access, name):
    with pytest.raises(Invalid, match="name"):
        fresh.call("factor.begin", {"name": name}, access)
