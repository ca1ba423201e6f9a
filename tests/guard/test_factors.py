"""The second factor from setting up to losing it, and step-up, as clients meet them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

import pyotp
import pytest

from sluicegate.base.errors import Denied, Invalid, Missing, SluiceError, StepUp, Throttled, Unauthenticated
from sluicegate.base.principal import Peer, Principal, Role
from sluicegate.base.secret import Secret
from sluicegate.crypto import otp
from tests.fixtures.server import PASSWORD


class Phone:
    """An authenticator app that shows a fresh code each time: it waits by moving its own clock."""

    def __init__(self, seed, hand):
        self.totp, self.hand = pyotp.TOTP(seed), hand

    def code(self):
        self.hand.now += 30
        return self.totp.at(int(self.hand.now))


class Hand:
    """The clock of the installation's second factors."""

    def __init__(self):
        import time

        self.now = time.time()

    def __call__(self):
        return self.now


@pytest.fixture
def hand(fresh, monkeypatch):
    made = Hand()
    monkeypatch.setattr(fresh.app.services.factors, "_now", made)
    monkeypatch.setattr(fresh.app.services.factors._tries, "_now", made)
    return made


@pytest.fixture
def editor(fresh):
    return fresh.people["north", Role.EDITOR]


def enrol(place, who, hand, access=None):
    access = access or place.sign_in(who)["access"]
    begun = place.call("factor.begin", {"name": "phone"}, access)
    phone = Phone(begun.seed, hand)
    codes = place.call("factor.confirm", {"id": begun.id, "code": phone.code()}, access).codes
    return phone, codes


@pytest.mark.security
@pytest.mark.req("SEC-A09")
def test_with_a_second_factor_the_password_alone_opens_nothing(fresh, hand, editor):
    phone, codes = enrol(fresh, editor, hand)
    assert len(codes) == 10
    got = fresh.sign_in(editor)
    assert (got["standing"], got["refresh"]) == ("factor", "")
    for operation in ("session.whoami", "flow.list", "factor.list", "session.prove"):
        with pytest.raises(Unauthenticated):
            fresh.call(operation, {"password": PASSWORD} if operation == "session.prove" else {}, got["access"])
    full = fresh.call("session.factor", {"code": phone.code()}, got["access"])
    assert fresh.call("session.whoami", {}, full.access).id == editor.id
    assert fresh.call("session.refresh", {"refresh": full.refresh}).standing == "signed in"
    with pytest.raises(Unauthenticated):
        fresh.call("session.factor", {"code": phone.code()}, got["access"])  # what the password gave is used up


@pytest.mark.security
@pytest.mark.req("SEC-A09")
def test_a_code_is_good_once(fresh, hand, editor):
    phone, _ = enrol(fresh, editor, hand)
    code = phone.code()
    fresh.call("session.factor", {"code": code}, fresh.sign_in(editor)["access"])
    with pytest.raises(Invalid, match="wrong or has been used"):
        fresh.call("session.factor", {"code": code}, fresh.sign_in(editor)["access"])


@pytest.mark.security
@pytest.mark.req("SEC-A09")
def test_five_wrong_codes_are_enough_and_time_mends_it(fresh, hand, editor):
    phone, _ = enrol(fresh, editor, hand)
    access = fresh.sign_in(editor)["access"]
    for _ in range(5):
        with pytest.raises(Invalid):
            fresh.call("session.factor", {"code": "000000"}, access)
    with pytest.raises(Throttled):
        fresh.call("session.factor", {"code": phone.code()}, access)
    hand.now += 3600
    assert fresh.call("session.factor", {"code": phone.code()}, fresh.sign_in(editor)["access"]).access


@pytest.mark.security
@pytest.mark.req("SEC-A09", "SEC-A06")
def test_many_tries_at_once_are_looked_at_no_more_often(fresh, hand, editor, monkeypatch):
    enrol(fresh, editor, hand)
    services, start, looked = fresh.app.services, Barrier(12), []
    who = Principal(editor.id, fresh.tenants["north"], editor.role)
    monkeypatch.setattr(otp, "match", lambda *_: looked.append("code") or time.sleep(0.05))
    monkeypatch.setattr(services.login.passwords, "verify", lambda *_: looked.append("password") or time.sleep(0.05))

    def run(given):
        start.wait()
        with suppress(Invalid, Throttled, Denied):
            if given == "code":
                services.factors.check(who.id, who.tenant, Secret("000000"))
            elif given == "password":
                services.login.prove_again(who, Secret("wrong"), None, Peer("192.0.2.1"))
            else:
                services.login.change_password(who, Secret("wrong"), Secret(PASSWORD), Peer("192.0.2.1"))

    for given, most in (("code", 5), ("password", 10), ("change", 10)):
        looked.clear()
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(run, [given] * 12))
        assert len(looked) == most, given


@pytest.mark.security
@pytest.mark.req("SEC-A10", "SEC-L02")
def test_a_recovery_code_works_once_and_is_on_record(fresh, hand, editor):
    _, codes = enrol(fresh, editor, hand)
    before = fresh.head()
    typed = codes[3].upper().replace("-", " ")
    assert fresh.call("session.factor", {"code": typed}, fresh.sign_in(editor)["access"]).access
    assert ("factor.recover", "ok", {"id": editor.id, "left": 9}) in [
        (each["action"], each["result"], each.get("about")) for each in fresh.records(after=before)
    ]
    with pytest.raises(Invalid):
        fresh.call("session.factor", {"code": typed}, fresh.sign_in(editor)["access"])


@pytest.mark.security
@pytest.mark.req("SEC-A10", "SEC-V01")
def test_neither_seed_nor_codes_are_in_the_store_in_clear(fresh, hand, editor):
    phone, codes = enrol(fresh, editor, hand)
    for file in fresh.files():
        raw = file.read_bytes()
        assert phone.totp.secret.encode() not in raw, file
        assert not [code for code in codes if code.encode() in raw], file


@pytest.mark.security
@pytest.mark.req("SEC-V03")
def test_a_seed_of_one_user_does_not_open_for_another(fresh, hand, editor):
    import sqlite3

    enrol(fresh, editor, hand)
    other = fresh.people["north", Role.OPERATOR]
    with sqlite3.connect(fresh.home / "store.db") as raw:
        raw.execute("update factors set user_id = ?", (other.id,))
    raw.close()
    access = fresh.sign_in(other)["access"]
    with pytest.raises(SluiceError) as told:
        fresh.call("session.factor", {"code": "000000"}, access)
    assert told.value.code == "corrupt"


@pytest.mark.security
@pytest.mark.req("SEC-A12")
def test_what_is_dangerous_needs_a_fresh_proof(fresh, hand, editor, monkeypatch):
    phone, _ = enrol(fresh, editor, hand)
    access = fresh.call("session.factor", {"code": phone.code()}, fresh.sign_in(editor)["access"]).access
    ask = {"name": "a", "value": "b"}
    fresh.call("secret.set", ask, access)
    login, later = fresh.app.services.login, Hand()
    later.now += 301
    monkeypatch.setattr(login, "_now", later)
    monkeypatch.setattr(fresh.app.services.system.database, "clock", later)
    access_again = fresh.call("secret.list", {}, access)
    assert access_again.items, "plain reads need none"
    with pytest.raises(StepUp) as told:
        fresh.call("secret.set", ask, access)
    assert (told.value.status, told.value.code) == (401, "step_up")
    for wrong, kind in (
        ({"password": PASSWORD}, Invalid),
        ({"password": "no", "code": "000000"}, Denied),
        ({"password": PASSWORD, "code": "000000"}, Invalid),
    ):
        with pytest.raises(kind):
            fresh.call("session.prove", wrong, access)
    with pytest.raises(StepUp):
        fresh.call("secret.set", ask, access)
    fresh.call("session.prove", {"password": PASSWORD, "code": phone.code()}, access)
    fresh.call("secret.set", ask, access)


@pytest.mark.security
@pytest.mark.req("SEC-A12")
def test_refreshing_is_no_proof(fresh, editor, monkeypatch):
    got = fresh.sign_in(editor)
    later = Hand()
    later.now += 301
    monkeypatch.setattr(fresh.app.services.system.database, "clock", later)
    monkeypatch.setattr(fresh.app.services.login, "_now", later)
    renewed = fresh.call("session.refresh", {"refresh": got["refresh"]})
    with pytest.raises(StepUp):
        fresh.call("secret.set", {"name": "a", "value": "b"}, renewed.access)


@pytest.mark.security
@pytest.mark.req("SEC-A09")
def test_a_tenant_may_ask_for_a_second_factor_of_everybody(fresh, hand, editor):
    admin = fresh.people["north", Role.ADMINISTRATOR]
    held = fresh.sign_in(editor)
    fresh.call("policy.set", {"factor_required": True}, fresh.sign_in(admin)["access"])
    with pytest.raises(Unauthenticated):
        fresh.call("flow.list", {}, held["access"])
    assert fresh.call("session.refresh", {"refresh": held["refresh"]}).standing == "enrol"
    got = fresh.sign_in(editor)
    assert got["standing"] == "enrol"
    with pytest.raises(Unauthenticated):
        fresh.call("flow.list", {}, got["access"])
    phone, codes = enrol(fresh, editor, hand, got["access"])
    assert codes
    renewed = fresh.call("session.refresh", {"refresh": got["refresh"]})
    assert renewed.standing == "signed in"
    assert fresh.call("flow.list", {}, renewed.access) is not None
    again = fresh.call("session.factor", {"code": phone.code()}, fresh.sign_in(editor)["access"])
    assert again.standing == "signed in"
    assert fresh.sign_in(fresh.people["south", Role.EDITOR])["standing"] == "signed in", "another tenant asks for none"


@pytest.mark.security
@pytest.mark.req("SEC-A18")
def test_an_administrator_resets_who_has_lost_the_phone_and_nobody_above(fresh, hand, editor):
    enrol(fresh, editor, hand)
    admin, operator = (fresh.people["north", role] for role in (Role.ADMINISTRATOR, Role.OPERATOR))
    with pytest.raises(Denied):
        fresh.call("factor.reset", {"id": editor.id}, fresh.sign_in(operator)["access"])
    access = fresh.sign_in(admin)["access"]
    listed = {each.id: each.factor for each in fresh.call("user.list", {}, access).items}
    assert (listed[editor.id], listed[operator.id]) == (True, False)
    fresh.call("factor.reset", {"id": editor.id}, access)
    assert fresh.sign_in(editor)["standing"] == "signed in"
    with pytest.raises(Denied, match="themselves"):
        fresh.call("factor.reset", {"id": admin.id}, access)
    with pytest.raises(Missing):
        fresh.call("factor.reset", {"id": fresh.people[None, Role.SUPERADMIN].id}, access)


def test_codes_are_renewed_and_factors_removed_by_their_owner(fresh, hand, editor):
    access = fresh.sign_in(editor)["access"]
    with pytest.raises(Missing):
        fresh.call("factor.codes", {}, access)
    _, codes = enrol(fresh, editor, hand, access)
    fresh_codes = fresh.call("factor.codes", {}, access).codes
    assert set(codes).isdisjoint(fresh_codes)
    listed = fresh.call("factor.list", {}, access)
    assert ([each.name for each in listed.items], listed.codes_left) == (["phone"], 10)
    fresh.call("factor.remove", {"id": listed.items[0].id}, access)
    assert fresh.call("factor.list", {}, access).codes_left == 0
    assert fresh.sign_in(editor)["standing"] == "signed in"
