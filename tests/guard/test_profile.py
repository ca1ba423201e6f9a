"""Changing one's address: by a link to the new one, with a word to the old."""

from __future__ import annotations

import threading

import pytest

from sluicegate.base.errors import (
    Conflict,
    Denied,
    Invalid,
    SluiceError,
    StepUp,
    Throttled,
    Unauthenticated,
    Unavailable,
)
from sluicegate.base.principal import Role
from sluicegate.guard import login
from sluicegate.store.people import UserState
from sluicegate.store.scope import TenantState
from tests.fixtures.server import PASSWORD, Person

NEW = "new@north.example"


def ask(place, email=NEW, who=Role.EDITOR):
    return place.call("profile.email", {"email": email}, place.token(who))


@pytest.mark.security
@pytest.mark.req("SEC-A18")
def test_an_address_counts_once_its_owner_has_opened_the_link_and_the_old_one_is_told(mailed):
    editor = mailed.people["north", Role.EDITOR]
    ask(mailed)
    assert mailed.sign_in(editor)["access"]
    token, before = mailed.link(NEW), mailed.head()
    mailed.call("profile.confirm", {"token": token})
    assert mailed.sign_in(Person(editor.id, NEW, editor.role, "north"))["access"]
    with pytest.raises(Unauthenticated):
        mailed.sign_in(editor)
    with pytest.raises(Unauthenticated):
        mailed.call("profile.confirm", {"token": token})
    mailed.post()
    assert "address of your account was changed" in mailed.relay.got.to(editor.email)[-1].get_content()
    found = [each for each in mailed.records(after=before) if each["action"] == "profile.confirm"]
    assert [(each["result"], each["about"]["email"], each["who"]) for each in found] == [("ok", NEW, editor.id)]


@pytest.mark.security
@pytest.mark.req("SEC-A07")
def test_whether_somebody_has_an_address_is_told_to_its_owner_alone(mailed):
    taken = mailed.people["north", Role.VIEWER].email
    assert ask(mailed, taken) == ask(mailed, "free@north.example")
    ask(mailed, taken)
    token = mailed.link(taken)
    with pytest.raises(Conflict):
        mailed.call("profile.confirm", {"token": token})
    assert mailed.call("profile.get", {}, mailed.token(Role.EDITOR)).email == "editor@north.example"
    with pytest.raises(Conflict):
        mailed.call("profile.confirm", {"token": token})


@pytest.mark.security
def test_one_person_asks_for_few(mailed):
    for number in range(5):
        ask(mailed, f"a{number}@north.example")
    with pytest.raises(Throttled):
        ask(mailed)
    ask(mailed, who=Role.VIEWER)


@pytest.mark.security
@pytest.mark.parametrize("email", ["a,b@x.example", "a@b@c", "a\nb@x.example", "", "EDITOR@north.example"])
def test_what_is_no_address_or_ones_own_is_refused(mailed, email):
    with pytest.raises(Invalid, match="email"):
        ask(mailed, email)
    assert mailed.app.services.system.outbox().claim(1) is None


def test_without_mail_it_says_so(fresh):
    with pytest.raises(Unavailable, match="No mail is set up"):
        ask(fresh)


@pytest.mark.security
@pytest.mark.req("SEC-A12")
def test_it_needs_a_proof_of_the_last_minutes(mailed, monkeypatch):
    monkeypatch.setattr(login, "FRESH", -1.0)
    with pytest.raises(StepUp):
        ask(mailed)


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_a_link_dies_with_a_new_password(mailed):
    ask(mailed)
    token = mailed.link(NEW)
    told = {"old": PASSWORD, "new": "eight slow trains before dawn"}
    mailed.call("session.password", told, mailed.token(Role.EDITOR))
    with pytest.raises(Unauthenticated):
        mailed.call("profile.confirm", {"token": token})


ENDS = {
    "late": None,
    "deactivated": lambda place, user: place.scope("north").people().set_state(user, UserState.DISABLED),
    "deactivated for a while": lambda place, user: [
        place.scope("north").people().set_state(user, each) for each in (UserState.DISABLED, UserState.ACTIVE)
    ],
    "role": lambda place, user: place.scope("north").people().set_role(user, Role.VIEWER),
    "suspended": lambda place, _: place.app.services.system.tenants().set_state(
        place.tenants["north"], TenantState.SUSPENDED
    ),
    "another asked for": lambda place, _: ask(place, "third@north.example"),
}


@pytest.mark.security
@pytest.mark.req("SEC-T09", "SEC-A18")
@pytest.mark.parametrize("end", ENDS)
def test_a_link_is_over_with_its_time_its_owner_and_the_next_one(mailed, end, monkeypatch):
    editor = mailed.people["north", Role.EDITOR]
    ask(mailed)
    token = mailed.link(NEW)
    if ENDS[end] is None:
        database = mailed.app.services.system.database
        monkeypatch.setattr(database, "clock", lambda now=database.clock: now() + 3601)
    else:
        ENDS[end](mailed, editor.id)
    with pytest.raises(Unauthenticated, match="wrong, has been used, or is over"):
        mailed.call("profile.confirm", {"token": token})
    assert mailed.app.services.system.accounts().get(editor.id).email == editor.email


@pytest.mark.security
@pytest.mark.req("SEC-A08", "SEC-T09")
def test_a_new_address_ends_the_links_that_went_to_the_old_one(mailed):
    editor = mailed.people["north", Role.EDITOR]
    ask(mailed)
    token = mailed.link(NEW)
    mailed.call("password.forgot", {"tenant": "north", "email": editor.email})
    reset = mailed.link(editor.email)
    mailed.call("profile.confirm", {"token": token})
    with pytest.raises(Unauthenticated):
        mailed.call("password.reset", {"token": reset, "password": "eight slow trains before dawn"})


@pytest.mark.security
@pytest.mark.req("SEC-Z05")
def test_the_same_address_in_another_tenant_is_another_person(mailed):
    south = mailed.people["south", Role.EDITOR]
    ask(mailed, south.email)
    mailed.call("profile.confirm", {"token": mailed.link(south.email)})
    assert mailed.sign_in(south)["access"]
    mine = Person("", south.email, Role.EDITOR, "north")
    assert mailed.call("session.whoami", {}, mailed.sign_in(mine)["access"]).tenant_name == "north"


@pytest.mark.security
@pytest.mark.req("SEC-T14")
def test_of_many_who_open_a_link_or_want_one_address_at_once_one_succeeds(mailed):
    ask(mailed)
    first = mailed.link(NEW)
    ask(mailed, who=Role.VIEWER)
    second = mailed.link(NEW)
    barrier, told = threading.Barrier(8), []

    def confirm(token):
        barrier.wait()
        try:
            mailed.call("profile.confirm", {"token": token})
            told.append("done")
        except SluiceError as fault:
            told.append(fault.code)

    threads = [threading.Thread(target=confirm, args=(each,)) for each in (first, second) * 4]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert told.count("done") == 1
    assert set(told) <= {"done", "unauthenticated", "conflict"}
    assert [each.email for each in mailed.scope("north").people().list()].count(NEW) == 1


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_it_is_confirmed_from_where_its_owner_may_come_and_the_link_stays_good(mailed):
    editor = mailed.people["north", Role.EDITOR]
    ask(mailed)
    token = mailed.link(NEW)
    for listed in (("192.0.2.0/24",), ()):
        mailed.scope("north").people().set_addresses(editor.id, listed)
        mailed.app.services.rules.forget(editor.id)  # as its mark has every node do within a second
        if listed:
            with pytest.raises(Denied, match="not allowed from your address"):
                mailed.call("profile.confirm", {"token": token})
    mailed.call("profile.confirm", {"token": token})
