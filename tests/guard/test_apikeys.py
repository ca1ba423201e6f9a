"""API keys: made with no more than their maker has, exchanged, and ended for good."""

from __future__ import annotations

import sqlite3

import pytest

from sluicegate.base.errors import Conflict, Denied, Invalid, Unauthenticated
from sluicegate.base.model import new_id
from sluicegate.base.principal import Credentials, Peer, Principal, Role
from sluicegate.base.secret import Secret
from sluicegate.base.settings import Keys, Limits, Passwords, Server, Settings
from sluicegate.crypto.apikey import new_key
from sluicegate.guard.limits import Meter
from sluicegate.guard.tenancy import Bounds
from tests.fixtures.server import BY_NAME, Place, address
from tests.guard.apikeys import DAY, code, key_for, service


@pytest.fixture
def admin(place):
    return place.token(Role.ADMINISTRATOR)


# -- making


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_a_key_is_shown_once_and_nothing_of_it_is_kept(place, admin):
    made = key_for(place, admin)
    token = place.exchange(made.key)
    assert token.count(".") == 2
    secret = made.key.split("_")[2]
    for file in place.files():
        assert secret.encode() not in file.read_bytes(), file
    told = place.call("key.list", {}, admin).model_dump_json()
    assert made.id in told
    assert secret not in told
    assert secret not in str(place.records())
    with sqlite3.connect(place.home / "store.db") as connection:
        (digest,) = connection.execute("select digest from api_keys where id = ?", (made.id,)).fetchone()
    connection.close()
    assert len(digest) == 64


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-Z08")
def test_a_key_has_no_more_than_its_owner_and_its_maker(place, admin):
    viewer, editor = service(place, admin), service(place, admin, "editor")
    for user, scope in (
        (viewer, "run:control"),
        (viewer, "user:manage"),
        (editor, "audit:read"),
        (editor, "tenant:manage"),
    ):
        ask = {"name": "more", "user": user, "scopes": ["flow:read", scope]}
        with pytest.raises(Denied, match=scope):
            place.call("key.create", ask, admin)
    root = place.token(Role.SUPERADMIN)  # it has no data:read, so it can give none
    with pytest.raises(Denied, match="data:read"):
        place.call("key.create", {"name": "more", "user": editor, "scopes": ["data:read"]}, root)
    with pytest.raises(Denied, match="run:control"):
        place.call("key.create", {"name": "more", "scopes": ["run:control"]}, place.token(Role.VIEWER))


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-Z08")
def test_keys_of_others_are_the_administrators_and_only_for_service_users(place, admin):
    user = service(place, admin)
    ask = {"name": "theirs", "user": user, "scopes": ["flow:read"]}
    with pytest.raises(Denied, match="administrators"):
        place.call("key.create", ask, place.token(Role.EDITOR))
    with pytest.raises(Denied, match="their own"):
        place.call("key.create", {**ask, "user": place.people["north", Role.VIEWER].id}, admin)
    with pytest.raises(Invalid, match="no keys of their own"):
        place.call("key.create", {"name": "own", "scopes": ["flow:read"]}, place.token(Role.SUPERADMIN))
    above = service(place, place.token(Role.SUPERADMIN), "administrator")
    assert code(place, "key.create", {**ask, "user": above}, admin) == "ok"
    place.call("user.deactivate", {"id": user}, admin)
    with pytest.raises(Invalid, match="not active"):
        place.call("key.create", ask, admin)


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-Z08")
def test_a_service_user_has_a_role_below_its_makers_and_no_sign_in(place, admin):
    for role in ("administrator", "superadmin"):
        with pytest.raises(Denied, match="below"):
            service(place, admin, role)
    name = f"s-{new_id()[-12:]}"
    made = place.call("service.create", {"name": name, "role": "editor"}, admin)
    with pytest.raises(Conflict, match="service user"):
        place.call("service.create", {"name": name, "role": "viewer"}, admin)
    shown = [each for each in place.call("user.list", {}, admin).items if each.id == made.id]
    assert [(each.kind, each.email, each.role) for each in shown] == [("service", name, "editor")]
    for password in ("", "x", name):
        with pytest.raises(Unauthenticated):
            place.call("session.login", {"tenant": "north", "email": name, "password": password})
    ask = {"name": "k", "user": made.id, "scopes": ["self:use"]}
    token = place.exchange(place.call("key.create", ask, admin).key)
    with pytest.raises(Denied, match="for people"):
        place.call("session.password", {"old": "", "new": "a few words in a row"}, token)
    login, me = place.app.services.login, Principal(made.id, place.tenants["north"], Role.EDITOR)
    for ask in (
        lambda: login.change_password(me, Secret(""), Secret("a few words in a row"), Peer(address())),
        lambda: login.prove_again(me, Secret(""), None, Peer(address())),
    ):
        with pytest.raises(Denied, match="no password"):
            ask()


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_a_key_makes_no_keys(place):
    token = place.exchange(place.new_key(place.people["north", Role.ADMINISTRATOR]).key)
    ask = {"name": "child", "scopes": ["flow:read"]}
    with pytest.raises(Denied, match="for people"):
        place.call("key.create", ask, token)
    inside = place.app.gate._authenticate(BY_NAME["key.list"], place.credentials(token), Peer(address()))[0]
    keys, scope = place.app.services.keys, place.app.services.scope(inside.tenant, inside)
    with pytest.raises(Denied, match="makes no keys"):  # and not even past the gate
        keys.create(scope, scope.people().get(inside.id), "child", frozenset({"flow:read"}), None, ())


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_a_key_always_expires_and_within_what_settings_and_tenant_allow(fresh):
    admin = fresh.token(Role.ADMINISTRATOR)
    rows = lambda: {each.id: each for each in fresh.scope("north").api_keys().list()}  # noqa: E731
    made = key_for(fresh, admin)
    assert 89.9 * DAY < rows()[made.id].expires - rows()[made.id].created < 90.1 * DAY
    with pytest.raises(Invalid, match="365 days at the most"):
        key_for(fresh, admin, days=366)
    fresh.set_policy(key_days=7)
    admin = fresh.token(Role.ADMINISTRATOR)
    with pytest.raises(Invalid, match="7 days at the most"):
        key_for(fresh, admin, days=8)
    made = key_for(fresh, admin)
    assert rows()[made.id].expires - rows()[made.id].created < 7.1 * DAY
    with pytest.raises(Denied, match="365 or less"):
        fresh.set_policy(key_days=3000)
    fresh.app.services.system.tenants().set_policy(fresh.tenants["north"], {"key_days": 3000})  # as of old
    fresh._tokens.clear()
    admin = fresh.token(Role.ADMINISTRATOR)
    with pytest.raises(Invalid, match="365 days at the most"):
        key_for(fresh, admin, days=366)


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-D06")
def test_one_user_has_so_many_keys_and_no_more(tmp_path):
    cheap = {"passwords": Passwords(memory=19456, rounds=2), "limits": Limits(public="1000/minute")}
    place = Place(tmp_path / "home", server=Server(access_log=False), keys=Keys(each=2), **cheap).settle()
    try:
        who = place.people["north", Role.VIEWER]
        made = [place.new_key(who, ["flow:read"]) for _ in range(2)]
        with pytest.raises(Conflict, match="2 keys"):
            place.new_key(who, ["flow:read"])
        place.call("key.revoke", {"id": made[0].id}, place.token(who))
        place.new_key(who, ["flow:read"])
    finally:
        place.close()


# -- exchanging


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_a_token_of_a_key_says_who_and_may_what_the_key_says(place, admin):
    made = key_for(place, admin, "editor", ("flow:read", "self:use"))
    told = place.call("session.key", {"key": made.key})
    assert (told.token_type, told.scopes) == ("DPoP", ("flow:read", "self:use"))
    assert 290 <= told.expires_in <= 300
    me = place.call("session.whoami", {}, told.access)
    assert (me.role, me.permissions) == ("editor", ("flow:read", "self:use"))
    assert code(place, "flow.list", {}, told.access) == "ok"
    before = place.head()
    for denied in ("definition.apply", "run.list", "secret.set", "user.list"):
        assert code(place, denied, {}, told.access) == "denied"
    assert {(each["via"], each["who"]) for each in place.records(after=before)} == {("key", me.id)}


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-T12")
def test_a_token_is_bound_to_the_key_of_a_proof_and_a_bearer_without_one(place, admin):
    made, operation = key_for(place, admin), BY_NAME
    bound = place.exchange(made.key)
    gate, peer = place.app.gate, Peer(address())
    with pytest.raises(Unauthenticated):
        gate.call(operation["run.list"], {}, Credentials(Secret(bound)), peer)
    bare = gate.call(operation["session.key"], {"key": made.key}, Credentials(), Peer(address()))
    assert bare.token_type == "Bearer"
    assert gate.call(operation["run.list"], {}, Credentials(Secret(bare.access)), peer).items is not None


@pytest.mark.security
@pytest.mark.req("SEC-K01")
@pytest.mark.parametrize("by", ["tenant", "settings"])
def test_a_proof_may_be_demanded(fresh, by, monkeypatch):
    admin = fresh.token(Role.ADMINISTRATOR)
    made = key_for(fresh, admin)
    ask = lambda told: fresh.app.gate.call(BY_NAME["session.key"], {"key": made.key}, told, Peer(address()))  # noqa: E731
    assert ask(Credentials()).token_type == "Bearer"
    if by == "tenant":
        fresh.set_policy(key_proof=True)
    else:
        rules = fresh.app.services.rules
        monkeypatch.setattr(rules, "bounds", Bounds(Settings(keys=Keys(proof=True))))
        rules.forget(fresh.tenants["north"])
    with pytest.raises(Unauthenticated, match="proof"):
        ask(Credentials())
    assert ask(fresh.credentials(None)).token_type == "DPoP"
    assert fresh.records()[-2]["about"]["why"] == "no proof"


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-L02")
def test_every_exchange_is_on_record_and_every_failure_looks_the_same(place, admin):
    made = key_for(place, admin)
    gone, bound = key_for(place, admin), key_for(place, admin, addresses=["192.0.2.0/24"])
    place.call("key.revoke", {"id": gone.id}, admin)
    before, system = place.head(), place.head(None)
    place.exchange(made.key, "10.98.0.1")
    told = set()
    other = new_key(made.id).reveal()
    cases = {
        "unknown": ({"key": other}, None), "noise": ({"key": "slg_"}, None), "revoked": ({"key": gone.key}, gone.id),
        "client": ({"key": made.key, "client": gone.id}, made.id), "address (key)": ({"key": bound.key}, bound.id),
    }  # fmt: skip
    for why, (ask, id_) in cases.items():
        with pytest.raises(Unauthenticated) as fault:
            place.call("session.key", ask, None, "10.98.0.1")
        told.add(str(fault.value))
        if id_:
            assert place.records()[-1]["about"] == {"id": id_, "why": why}
    assert told == {"The key is not valid here."}
    found = [(each["action"], each["result"]) for each in place.records(after=before)]
    assert found == [("session.key", "ok")] + [("session.key", "denied")] * 3
    assert [each["about"] for each in place.records(None, after=system)] == [
        {"id": made.id, "why": "unknown"},
        {"why": "unknown"},
    ]


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-D03")
@pytest.mark.parametrize("operation", ["session.key", "key.leaked"])
def test_failed_tries_are_counted(place, monkeypatch, operation):
    monkeypatch.setattr(place.app.services.keys._limits, "_failures", Meter("3/day"))
    peer = address()
    outcomes = [code(place, operation, {"key": "slg_x"}, None, peer) for _ in range(5)]
    expected = "unauthenticated" if operation == "session.key" else "ok"
    assert outcomes == [expected] * 3 + ["throttled"] * 2
    assert code(place, operation, {"key": "slg_x"}, None, address()) == expected


@pytest.mark.security
@pytest.mark.req("SEC-K04")
def test_the_last_use_is_shown_and_written_at_the_exchange_alone(place, admin):
    made = key_for(place, admin)
    shown = lambda: next(each for each in place.call("key.list", {}, admin).items if each.id == made.id)  # noqa: E731
    assert (shown().last_used, shown().last_address, shown().uses, shown().state) == (None, "", 0, "active")
    token = place.exchange(made.key, "10.97.0.1")
    for _ in range(3):
        place.call("run.list", {}, token, "10.97.0.2")
    first = shown()
    assert (first.last_address, first.uses) == ("10.97.0.1", 1)
    place.exchange(made.key, "10.97.0.3")
    assert (shown().last_address, shown().uses) == ("10.97.0.3", 2)
    assert shown().last_used >= first.last_used
