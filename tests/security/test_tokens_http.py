"""Tokens from sign-in to sign-out: rotation, reuse, deactivation, purposes, the bootstrap code (SEC-T, SEC-A16)."""

from __future__ import annotations

import re
import sqlite3
import threading

import pytest

from sluicegate.app import build
from sluicegate.base.errors import Denied, Invalid, SluiceError, Throttled, Unauthenticated
from sluicegate.base.principal import Credentials, Peer, Role
from sluicegate.crypto import opaque
from sluicegate.crypto.dpop import ProofKey
from sluicegate.store.people import UserState
from tests.fixtures.server import BY_NAME, PASSWORD, address

FIRST = {"email": "first@example.org", "name": "First", "password": "a password of many words"}


def _parent(place, token):
    """Return the id of a refresh token in the store."""
    login = place.app.services.login
    found = place.app.services.system.grants().find(opaque.digest(login.grants._refresh, token))
    assert found is not None
    return found.id


def refresh(place, token):
    return place.call("session.refresh", {"refresh": token}).model_dump()


@pytest.mark.security
@pytest.mark.req("SEC-T13")
def test_a_refresh_token_is_good_once_and_its_child_follows(place):
    who = place.people["north", Role.EDITOR]
    first = place.sign_in(who)
    second = refresh(place, first["refresh"])
    third = refresh(place, second["refresh"])
    assert len({first["refresh"], second["refresh"], third["refresh"]}) == 3
    assert place.call("session.whoami", {}, third["access"]).id == who.id


@pytest.mark.security
@pytest.mark.req("SEC-T13", "SEC-L02")
def test_reuse_ends_the_family_and_is_on_record(place):
    who = place.people["north", Role.EDITOR]
    first = place.sign_in(who)
    second = refresh(place, first["refresh"])
    third = refresh(place, second["refresh"])
    other = place.sign_in(who)
    before = place.head()
    for token in (first, second, third):
        with pytest.raises(Unauthenticated):
            refresh(place, token["refresh"])
    with pytest.raises(Unauthenticated):
        place.call("session.whoami", {}, third["access"])
    found = [(each["action"], each["result"], each["about"]) for each in place.records(after=before)]
    assert found == [("session.refresh", "refresh_reuse", {"id": who.id})]
    assert refresh(place, other["refresh"]), "another sign-in of the same person goes on"


@pytest.mark.security
@pytest.mark.req("SEC-T13")
def test_the_same_client_may_ask_twice_within_ten_seconds_and_no_longer(place, monkeypatch):
    first = place.sign_in(place.people["north", Role.EDITOR])
    second = refresh(place, first["refresh"])
    assert refresh(place, first["refresh"])["refresh"] == second["refresh"], "an answer that was lost is given again"
    database = place.app.services.system.database
    later = database.clock() + 11
    monkeypatch.setattr(database, "clock", lambda: later)
    for token in (first, second):
        with pytest.raises(Unauthenticated):
            refresh(place, token["refresh"])


@pytest.mark.security
@pytest.mark.req("SEC-T12", "SEC-T13", "SEC-L02")
def test_a_refresh_token_is_of_no_use_with_another_key(place):
    who = place.people["north", Role.EDITOR]
    mine = place.sign_in(who)
    before, thief = place.head(), ProofKey.new()
    for key, ask in ((thief, mine["refresh"]), (None, mine["refresh"])):
        told = place.credentials(None, "POST", key) if key else Credentials()
        with pytest.raises(Unauthenticated):
            place.app.gate.call(BY_NAME["session.refresh"], {"refresh": ask}, told, Peer(address()))
    found = [(each["action"], each["result"], each["about"]) for each in place.records(after=before)]
    assert found == [("session.refresh", "refresh_foreign", {"id": who.id})]
    assert refresh(place, mine["refresh"]), "and its owner is not put out by it"


@pytest.mark.security
@pytest.mark.req("SEC-T14")
def test_of_many_refreshes_at_once_one_gets_through(place):
    start = place.sign_in(place.people["north", Role.OPERATOR])
    barrier, got = threading.Barrier(50), []

    def ask():
        barrier.wait()
        try:
            got.append(refresh(place, start["refresh"])["refresh"])
        except SluiceError as fault:
            got.append(fault.code)

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(got) == 50
    assert len(set(got)) == 1, "all are given the same child"
    assert got[0].startswith("rt_")
    store = place.app.services.system.grants()
    alive = [each for each in store.of(place.people["north", Role.OPERATOR].id) if each.parent is not None]
    assert len([each for each in alive if each.parent == _parent(place, start["refresh"])]) == 1


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_sign_out_ends_the_refresh_token_and_its_kin(place):
    first = place.sign_in(place.people["north", Role.VIEWER])
    second = refresh(place, first["refresh"])
    place.call("session.logout", {"refresh": second["refresh"]}, second["access"])
    for token in (first["refresh"], second["refresh"]):
        with pytest.raises(Unauthenticated):
            refresh(place, token)


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_a_deactivated_person_neither_signs_in_nor_refreshes(place):
    who = place.add("north", Role.EDITOR, "leaver@north.example")
    tokens = place.sign_in(who)
    place.call("user.deactivate", {"id": who.id}, place.token(Role.ADMINISTRATOR))
    with pytest.raises(Unauthenticated):
        refresh(place, tokens["refresh"])
    with pytest.raises(Unauthenticated, match=re.escape("Wrong tenant, email or password.")):
        place.sign_in(who)
    place.scope("north").people().set_state(who.id, UserState.ACTIVE)
    with pytest.raises(Unauthenticated):
        refresh(place, tokens["refresh"])  # coming back does not bring old tokens back


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_a_new_role_is_in_the_next_token(place):
    who = place.add("north", Role.ADMINISTRATOR, "mover@north.example")
    tokens = place.sign_in(who)
    place.scope("north").people().set_role(who.id, Role.VIEWER)
    assert place.call("session.whoami", {}, refresh(place, tokens["refresh"])["access"]).role == "viewer"


@pytest.mark.security
@pytest.mark.req("SEC-T09", "SEC-A08")
def test_a_new_password_ends_every_other_sign_in(place):
    who = place.add("north", Role.VIEWER, "changer@north.example")
    tokens = place.sign_in(who)
    new = "another seven words in a row"
    place.call("session.password", {"old": PASSWORD, "new": new}, tokens["access"])
    with pytest.raises(Unauthenticated):
        refresh(place, tokens["refresh"])
    with pytest.raises(Unauthenticated):
        place.sign_in(who)
    assert place.sign_in(who, new)["must_change"] is False


@pytest.mark.security
@pytest.mark.req("SEC-T17")
def test_tokens_of_one_purpose_are_no_tokens_of_another(place):
    who = place.add("north", Role.VIEWER, "purpose@north.example", must_change=True)
    pending = place.sign_in(who)
    assert pending["must_change"] is True
    usual = place.sign_in(place.people["north", Role.VIEWER])
    for token in (pending["access"], pending["refresh"], usual["refresh"]):
        with pytest.raises(Unauthenticated):
            place.call("session.whoami", {}, token)
    for token in (pending["access"], usual["access"]):
        with pytest.raises(Unauthenticated):
            refresh(place, token)
        with pytest.raises(Unauthenticated):
            place.call("session.bootstrap", {**FIRST, "code": token})
    assert refresh(place, pending["refresh"])["must_change"] is True, "refreshing does not lift it"


@pytest.mark.security
@pytest.mark.req("SEC-T17")
def test_choosing_a_password_is_what_lifts_it(place):
    who = place.add("north", Role.VIEWER, "chooser@north.example", must_change=True)
    pending = place.sign_in(who)["access"]
    with pytest.raises(Invalid, match="is the old one"):
        place.call("session.password", {"old": PASSWORD, "new": PASSWORD}, pending)
    with pytest.raises(Denied, match="old password is wrong"):
        place.call("session.password", {"old": "not this one at all", "new": "a new one of many words"}, pending)
    place.call("session.password", {"old": PASSWORD, "new": "a new one of many words"}, pending)
    assert place.call("session.whoami", {}, place.sign_in(who, "a new one of many words")["access"]).id == who.id


@pytest.mark.security
@pytest.mark.req("SEC-T03", "SEC-T17")
def test_a_token_of_another_installation_is_none_here(place, fresh):
    assert place.call("session.whoami", {}, place.token(Role.VIEWER)).role == "viewer"
    with pytest.raises(Unauthenticated):
        fresh.call("session.whoami", {}, place.token(Role.VIEWER))


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-T13")
def test_the_store_holds_digests_and_no_tokens(place):
    tokens = place.sign_in(place.people["north", Role.EDITOR])
    held = (place.home / "store.db").read_bytes() + (place.home / "store.db-wal").read_bytes()
    assert tokens["refresh"].encode() not in held
    assert tokens["refresh"][3:].encode() not in held
    assert tokens["access"].encode() not in held
    assert PASSWORD.encode() not in held


@pytest.mark.security
@pytest.mark.req("SEC-A07")
def test_sign_in_does_not_say_what_was_wrong(place):
    known = place.people["north", Role.EDITOR].email
    off = place.add("north", Role.EDITOR, "off@north.example")
    place.scope("north").people().set_state(off.id, UserState.DISABLED)
    asks = [
        {"tenant": "north", "email": known, "password": "wrong"},
        {"tenant": "north", "email": "nobody@north.example", "password": PASSWORD},
        {"tenant": "south", "email": known, "password": PASSWORD},
        {"tenant": "nowhere", "email": known, "password": PASSWORD},
        {"tenant": "north", "email": off.email, "password": PASSWORD},
    ]
    answers = [place.request("POST", "/api/v1/session/login", json=ask) for ask in asks]
    assert {answer.status_code for answer in answers} == {401}
    told = [{**answer.json(), "request": ""} for answer in answers]
    assert all(each == told[0] for each in told)


@pytest.mark.security
@pytest.mark.req("SEC-D03")
def test_too_many_tries_are_answered_with_when_to_come_back(tmp_path):
    from sluicegate.base.settings import Limits
    from tests.fixtures.server import Place

    place = Place(tmp_path / "home", limits=Limits(public="3/minute"))
    try:
        peer = address()
        for _ in range(3):
            with pytest.raises(Unauthenticated):
                place.call("session.refresh", {"refresh": "rt_x"}, peer=peer)
        with pytest.raises(Throttled) as told:
            place.call("session.refresh", {"refresh": "rt_x"}, peer=peer)
        assert (told.value.status, told.value.after) == (429, pytest.approx(20, abs=1))
        assert place.call("system.health", {}, peer=peer).status == "ok", "health is not a try"
    finally:
        place.close()


# -- the first administrator -------------------------------------------------------------------------------------------


@pytest.mark.security
@pytest.mark.req("SEC-A16")
def test_there_is_no_account_before_the_first_and_no_default_one(empty):
    assert empty.app.services.system.accounts().list() == []
    assert empty.call("system.health").bootstrap is True
    for email, password in (("admin", "admin"), ("admin@localhost", "admin"), ("root", ""), ("sluice", "sluice")):
        with pytest.raises(Unauthenticated):
            empty.call("session.login", {"email": email, "password": password})


@pytest.mark.security
@pytest.mark.req("SEC-A16")
def test_a_code_that_was_never_used_is_dead_once_there_is_a_user(empty):
    """Printed on the console, forgotten there, found a year later."""
    code = empty.app.services.login.bootstrap_code()
    empty.app.services.system.accounts().create("restored@example.org", "Restored", Role.SUPERADMIN, empty.hash)
    with pytest.raises(Unauthenticated, match=re.escape("The code is wrong or has been used.")):
        empty.call("session.bootstrap", {**FIRST, "code": code.reveal()})
    assert [each.email for each in empty.app.services.system.accounts().list()] == ["restored@example.org"]


@pytest.mark.security
@pytest.mark.req("SEC-A16")
def test_the_code_makes_one_superadmin_and_is_then_dead(empty):
    code = empty.app.services.login.bootstrap_code()
    made = empty.call("session.bootstrap", {**FIRST, "code": code.reveal()})
    who = empty.call("session.whoami", {}, made.access)
    assert (who.role, who.tenant, who.email) == ("superadmin", None, FIRST["email"])
    for email in (FIRST["email"], "second@example.org"):
        with pytest.raises(Unauthenticated, match=re.escape("The code is wrong or has been used.")):
            empty.call("session.bootstrap", {**FIRST, "email": email, "code": code.reveal()})
    assert empty.call("system.health").bootstrap is False
    assert empty.app.services.login.bootstrap_code() is None, "there are no more codes once there is a user"
    assert len(empty.app.services.system.accounts().list()) == 1


@pytest.mark.security
@pytest.mark.req("SEC-A16")
def test_a_second_start_makes_a_new_code_and_kills_the_old(empty):
    old = empty.app.services.login.bootstrap_code()
    again = build(empty.settings)
    try:
        new = again.services.login.bootstrap_code()
    finally:
        again.close()
    assert old.reveal() != new.reveal()
    with pytest.raises(Unauthenticated):
        empty.call("session.bootstrap", {**FIRST, "code": old.reveal()})
    assert empty.call("session.bootstrap", {**FIRST, "code": new.reveal()}).access


@pytest.mark.security
@pytest.mark.req("SEC-A16")
def test_a_wrong_code_does_not_use_up_the_right_one_and_guessing_is_slowed(empty):
    code = empty.app.services.login.bootstrap_code()
    with pytest.raises(Unauthenticated):
        empty.call(
            "session.bootstrap", {**FIRST, "code": code.reveal()[:-1] + ("0" if code.reveal()[-1] != "0" else "1")}
        )
    with pytest.raises(Invalid):
        empty.call("session.bootstrap", {**FIRST, "code": code.reveal(), "password": "short"})
    assert empty.call("session.bootstrap", {**FIRST, "code": code.reveal()}).access


@pytest.mark.security
@pytest.mark.req("SEC-A16")
def test_of_many_who_bring_the_code_at_once_one_gets_in(empty):
    code = empty.app.services.login.bootstrap_code().reveal()
    barrier, got = threading.Barrier(4), []

    def ask(number):
        barrier.wait()
        try:
            empty.call("session.bootstrap", {**FIRST, "email": f"{number}@example.org", "code": code})
            got.append("in")
        except SluiceError as fault:
            got.append(fault.code)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(got) == ["in", "unauthenticated", "unauthenticated", "unauthenticated"]
    assert len(empty.app.services.system.accounts().list()) == 1


@pytest.mark.security
@pytest.mark.req("SEC-A16")
def test_the_code_is_long_and_only_its_digest_is_kept(empty):
    code = empty.app.services.login.bootstrap_code().reveal()
    assert re.fullmatch(r"([0-9a-z]{4}-){6}[0-9a-z]{4}", code)
    with sqlite3.connect(empty.home / "store.db") as connection:
        kept = connection.execute("select value from blobs where key = 'bootstrap'").fetchone()[0]
    connection.close()
    assert len(kept) == 64
    assert not any(code.encode() in each.read_bytes() for each in empty.files())


@pytest.mark.parametrize(
    "chosen", ["a password of many words", "пароль из нескольких слов", "z" * 60 + "uvmkqhpw", "  spaces  count  "]
)
def test_a_long_password_of_any_letters_is_taken_whole(empty, chosen):
    code = empty.app.services.login.bootstrap_code().reveal()
    empty.call("session.bootstrap", {**FIRST, "code": code, "password": chosen})
    assert empty.call("session.login", {"email": FIRST["email"], "password": chosen}).access
    with pytest.raises(Unauthenticated):
        empty.call("session.login", {"email": FIRST["email"], "password": chosen[:-1]})
