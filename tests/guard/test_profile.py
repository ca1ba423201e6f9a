"""Changing one's address: by a link to the new one, with a word to the old."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Conflict, Invalid, StepUp, Throttled, Unauthenticated, Unavailable
from sluicegate.base.principal import Role
from sluicegate.guard import login
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
