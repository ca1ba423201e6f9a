"""API keys: made with no more than their maker has, exchanged, and ended for good."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from sluicegate.base.errors import Conflict, Denied, Invalid, Missing, Throttled, Unauthenticated
from sluicegate.base.model import new_id
from sluicegate.base.principal import Credentials, Peer, Principal, Role
from sluicegate.base.secret import Secret
from sluicegate.base.settings import Keys, Limits, Passwords, Server
from sluicegate.crypto.apikey import new_key
from sluicegate.guard.apikeys import ApiKeys
from sluicegate.guard.limits import Meter
from sluicegate.guard.revocation import Revocation
from sluicegate.store.apikeys import family
from sluicegate.store.database import Database
from sluicegate.store.scope import System
from tests.fixtures.server import BY_NAME, Place, address

DAY = 86400


def code(place, operation, ask, token, peer=""):
    try:
        place.call(operation, ask, token, peer)
    except (Denied, Invalid, Missing, Unauthenticated, Conflict, Throttled) as fault:
        return fault.code
    return "ok"


@pytest.fixture
def admin(place):
    return place.token(Role.ADMINISTRATOR)


def service(place, admin, role="viewer"):
    return place.call("service.create", {"name": f"s-{new_id()[-12:]}", "role": role}, admin).id


def key_for(place, admin, role="viewer", scopes=("run:read", "flow:read"), **more):
    ask = {"name": "a-key", "user": service(place, admin, role), "scopes": list(scopes), **more}
    return place.call("key.create", ask, admin)


def later(place, days):
    """Return the keys of an installation as they are some days from now."""
    made = place.app.services.keys
    return _Later(made, days)


class _Later:
    """Moves the clocks of the keys and of the store, and back."""

    def __init__(self, keys: ApiKeys, days: float) -> None:
        self.keys, self.days = keys, days

    def __enter__(self):
        self.clock, database = self.keys._now, self.keys._system.database
        self.keys._now = lambda: self.clock() + self.days * DAY
        self.store, database.clock = database.clock, self.keys._now

    def __exit__(self, *_):
        self.keys._now, self.keys._system.database.clock = self.clock, self.store


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
        lambda: login.change_password(me, Secret(""), Secret("a few words in a row")),
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
    fresh.set_policy(key_days=3000)
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
        monkeypatch.setattr(fresh.app.services.keys, "_settings", Keys(proof=True))
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


# -- ending


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-T09")
def test_a_revoked_key_is_over_at_once_and_so_are_its_tokens_on_every_node(place, admin):
    made = key_for(place, admin)
    token, other = place.exchange(made.key), place.exchange(key_for(place, admin).key)
    database = Database(place.settings.store_url)
    node = Revocation(System(database))
    node.open()
    try:
        assert code(place, "run.list", {}, token) == "ok"
        place.call("key.revoke", {"id": made.id}, admin)
        assert code(place, "run.list", {}, token) == "unauthenticated"
        assert code(place, "session.key", {"key": made.key}, None) == "unauthenticated"
        assert code(place, "run.list", {}, other) == "ok"
        wait = threading.Event()
        for _ in range(20):
            if family(made.id) in node._over:
                break
            wait.wait(0.1)
        assert family(made.id) in node._over
    finally:
        node.close()
        database.close()


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_a_node_that_has_never_heard_of_a_key_finds_it_ended(place, admin):
    made = key_for(place, admin)
    token = place.exchange(made.key)
    keys = place.app.services.keys
    place.scope("north").api_keys().end(made.id, "revoked")
    keys._known.clear()
    place.app.services.revocation.pull()
    place.app.services.revocation._over.clear()  # as after a restart, when the mark has been purged
    assert code(place, "run.list", {}, token) == "unauthenticated"


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_who_may_revoke(place, admin):
    mine = place.new_key(place.people["north", Role.VIEWER], ["flow:read"])
    theirs = key_for(place, admin)
    viewer = place.token(Role.VIEWER)
    with pytest.raises(Missing, match="no such key"):
        place.call("key.revoke", {"id": theirs.id}, viewer)
    assert [each.id for each in place.call("key.list", {}, viewer).items if each.id == theirs.id] == []
    assert place.call("key.list", {"user": place.people["north", Role.EDITOR].id}, viewer).items == ()
    assert place.exchange(theirs.key)
    place.call("key.revoke", {"id": mine.id}, viewer)
    place.call("key.revoke", {"id": mine.id}, admin)  # a second time changes nothing
    place.call("key.revoke", {"id": theirs.id}, admin)
    states = {each.id: each.state for each in place.call("key.list", {}, admin).items}
    assert (states[mine.id], states[theirs.id]) == ("revoked", "revoked")


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-T09")
@pytest.mark.parametrize("change", ["deactivate", "role"])
def test_a_key_ends_with_its_owners_rights(place, admin, change):
    made = key_for(place, admin, "editor", ("flow:read",))
    user = next(each.user for each in place.call("key.list", {}, admin).items if each.id == made.id)
    token = place.exchange(made.key)
    if change == "deactivate":
        place.call("user.deactivate", {"id": user}, admin)
    else:
        place.scope("north").people().set_role(user, Role.VIEWER)
    assert code(place, "flow.list", {}, token) == "unauthenticated"
    assert code(place, "session.key", {"key": made.key}, None) == "unauthenticated"
    why = {"deactivate": "owner disabled", "role": "role changed"}[change]
    assert place.scope("north").api_keys().get(made.id).ended_why == why


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_no_key_works_in_a_suspended_tenant(fresh):
    made = key_for(fresh, fresh.token(Role.ADMINISTRATOR))
    fresh.app.services.system.tenants().set_state(fresh.tenants["north"], "suspended")
    assert code(fresh, "session.key", {"key": made.key}, None) == "unauthenticated"
    fresh.app.services.system.tenants().set_state(fresh.tenants["north"], "active")
    assert fresh.exchange(made.key)


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_an_expired_key_is_over_even_while_its_token_is_not(fresh):
    made = key_for(fresh, fresh.token(Role.ADMINISTRATOR), days=1)
    token = fresh.exchange(made.key)
    with later(fresh, 0.99):
        assert code(fresh, "run.list", {}, token) == "ok"
    with later(fresh, 1.01):
        assert code(fresh, "run.list", {}, token) == "unauthenticated"
        assert code(fresh, "session.key", {"key": made.key}, None) == "unauthenticated"
        assert fresh.records()[-1]["about"]["why"] == "expired"


@pytest.mark.security
@pytest.mark.req("SEC-K04")
@pytest.mark.parametrize("how", ["exchange", "sweep"])
def test_a_key_that_is_not_used_for_90_days_ends(fresh, how):
    admin = fresh.token(Role.ADMINISTRATOR)
    idle, used = key_for(fresh, admin, days=300), key_for(fresh, admin, days=300)
    with later(fresh, 80):
        fresh.exchange(used.key)
        fresh.app.services.keys.sweep()
        assert fresh.exchange(idle.key)
    before = fresh.head()
    with later(fresh, 165):
        fresh.exchange(used.key)
    with later(fresh, 171):
        if how == "exchange":
            assert code(fresh, "session.key", {"key": idle.key}, None) == "unauthenticated"
        else:
            fresh.app.services.revocation.on_hour()
        assert fresh.exchange(used.key)
        told = [each for each in fresh.records(after=before) if each["action"] == "key.unused"]
        assert [each["about"]["id"] for each in told] == [idle.id]
    assert code(fresh, "session.key", {"key": idle.key}, None) == "unauthenticated", "it does not come back"
    assert fresh.scope("north").api_keys().get(idle.id).ended_why == "unused"


@pytest.mark.security
@pytest.mark.req("SEC-K02")
def test_a_leaked_key_is_ended_by_whoever_finds_it_and_its_owner_is_told(place, admin):
    made = key_for(place, admin)
    token, before, system = place.exchange(made.key), place.head(), place.head(None)
    answers = {
        place.call("key.leaked", {"key": text}, None, "10.96.0.1").model_dump_json()
        for text in (made.key, made.key, new_key(made.id).reveal(), "noise")
    }
    assert answers == {"{}"}
    assert code(place, "run.list", {}, token) == "unauthenticated"
    assert code(place, "session.key", {"key": made.key}, None) == "unauthenticated"
    (told,) = [each for each in place.records(after=before) if each["action"] == "key.leaked"]
    key = place.scope("north").api_keys().get(made.id)
    assert (told["result"], told["address"]) == ("ok", "10.96.0.1")
    assert told["about"] == {"id": made.id, "name": "a-key", "user": key.user}
    assert key.ended_why == "leaked"
    assert place.head(None) == system
    assert made.key not in str(place.records())
