"""Who forgot their password: links by mail and from an administrator (SEC-A07, SEC-A08, SEC-A17)."""

from __future__ import annotations

import threading

import pyotp
import pytest

from sluicegate.base.errors import Conflict, Denied, Invalid, Missing, SluiceError, Throttled, Unauthenticated
from sluicegate.base.model import new_id
from sluicegate.base.principal import Peer, Role
from sluicegate.store.people import UserState
from tests.fixtures.server import BY_NAME, PASSWORD, Person, address

NEW = "eight slow trains before dawn"


def forgot(place, email, tenant="north", peer=""):
    return place.call("password.forgot", {"tenant": tenant, "email": email}, None, peer)


def reset(place, token, password=NEW):
    return place.call("password.reset", {"token": token, "password": password})


def refused(place, token):
    with pytest.raises(Unauthenticated) as told:
        reset(place, token)
    return told.value.problem()


@pytest.fixture
def editor(mailed):
    return mailed.people["north", Role.EDITOR]


@pytest.mark.security
@pytest.mark.req("SEC-A08")
def test_a_link_comes_by_mail_and_sets_the_password_once(mailed, editor):
    held = mailed.sign_in(editor)
    before = mailed.head()
    forgot(mailed, editor.email, peer="10.77.0.1")
    token = mailed.link(editor.email)
    said = mailed.relay.got.to(editor.email)[0].get_content()
    assert f"https://sluice.example.org/#/reset/{token}" in said
    assert "10.77.0.1" in said
    reset(mailed, token)
    with pytest.raises(Unauthenticated):
        mailed.sign_in(editor)
    with pytest.raises(Unauthenticated):
        mailed.call("session.whoami", {}, held["access"])
    with pytest.raises(Unauthenticated):
        mailed.call("session.refresh", {"refresh": held["refresh"]})
    assert mailed.sign_in(editor, NEW)["access"]
    refused(mailed, token)
    told = [(each["action"], each["result"], each.get("who")) for each in mailed.records(after=before)]
    assert told[:2] == [("password.forgot", "ok", None), ("password.reset", "ok", editor.id)]
    assert token not in str(mailed.records())
    assert [each.kind for each in mailed.app.services.system.notices().of(editor.id)] == ["password_reset"]
    mailed.post()
    assert "password of your account was set anew" in mailed.relay.got.to(editor.email)[-1].get_content()


@pytest.mark.security
@pytest.mark.req("SEC-A07")
def test_nothing_is_looked_up_before_the_answer_and_nothing_sent_to_strangers(mailed, editor):
    system = mailed.app.services.system
    off = mailed.add("north", Role.VIEWER, "off@north.example")
    mailed.scope("north").people().set_state(off.id, UserState.DISABLED)
    admin = mailed.token(Role.ADMINISTRATOR)
    mailed.call("user.invite", {"email": "invited@north.example", "role": "viewer"}, admin)
    mailed.call("service.create", {"name": "robot", "role": "viewer"}, admin)
    mailed.post()
    count = len(mailed.relay.got.mails)
    asked = [("nobody@north.example", "north"), (off.email, "north"), ("invited@north.example", "north"), ("robot", "north"),
             (editor.email, "south"), (editor.email, "no-such"), ("", "north"), ("a" * 250, None)]  # fmt: skip
    answers = [forgot(mailed, *each) for each in asked]
    answers.append(forgot(mailed, editor.email))
    assert all(each == answers[0] for each in answers)
    mailed.post()
    assert [each["To"] for each in mailed.relay.got.mails[count:]] == [editor.email]
    assert system.outbox().claim(1) is None
    before = mailed.records("north")
    assert {each["result"] for each in before if each["action"] == "password.forgot"} == {"ok", "unknown"}


@pytest.mark.security
@pytest.mark.req("SEC-A08")
def test_the_second_factor_is_not_reset_and_still_asked_for(mailed, editor):
    access = mailed.sign_in(editor)["access"]
    begun = mailed.call("factor.begin", {"name": "phone"}, access)
    phone = pyotp.TOTP(begun.seed)
    mailed.call("factor.confirm", {"id": begun.id, "code": phone.now()}, access)
    forgot(mailed, editor.email)
    mailed.post()
    mail = next(each for each in mailed.relay.got.to(editor.email) if "New password" in each["Subject"])
    reset(mailed, mail.get_content().split("/#/reset/")[1].split()[0])
    made = mailed.sign_in(editor, NEW)
    assert made["standing"] == "factor"
    with pytest.raises(Unauthenticated):
        mailed.call("session.whoami", {}, made["access"])


@pytest.mark.security
@pytest.mark.req("SEC-A08")
def test_a_link_is_dead_after_its_time_another_link_or_a_new_password(mailed, editor, monkeypatch):
    forgot(mailed, editor.email)
    first = mailed.link(editor.email)
    forgot(mailed, editor.email)
    second = mailed.link(editor.email)
    told = [refused(mailed, each) for each in (first, "lt_wrong", "", "rt_" + "x" * 43)]
    mailed.call("session.password", {"old": PASSWORD, "new": NEW}, mailed.token(editor))
    told.append(refused(mailed, second))
    forgot(mailed, editor.email)
    mailed.post()
    third = mailed.relay.got.to(editor.email)[-1].get_content().split("/#/reset/")[1].split()[0]
    database = mailed.app.services.system.database
    monkeypatch.setattr(database, "clock", lambda now=database.clock: now() + 15 * 60)
    told.append(refused(mailed, third))
    assert all(each == told[0] for each in told)


@pytest.mark.security
@pytest.mark.req("SEC-A08", "SEC-A03")
def test_a_password_that_does_not_do_leaves_the_link_good(mailed, editor):
    forgot(mailed, editor.email)
    token = mailed.link(editor.email)
    for bad in ("short", "editor north editor", "a" * 300):
        with pytest.raises(Invalid) as told:
            reset(mailed, token, bad)
        assert bad not in str(told.value)
    reset(mailed, token)


@pytest.mark.security
@pytest.mark.req("SEC-A08", "SEC-T17")
def test_no_link_is_good_for_another_purpose(mailed, editor):
    sent = mailed.call(
        "user.invite", {"email": "new@north.example", "role": "viewer"}, mailed.token(Role.ADMINISTRATOR)
    )
    forgot(mailed, editor.email)
    mailed.call("profile.email", {"email": "other@north.example"}, mailed.token(editor))
    mailed.post()
    invitation, email = mailed.relay.got.link(sent.email)[1], mailed.relay.got.link("other@north.example")[1]
    reset_ = mailed.relay.got.link(editor.email)[1]
    for token in (invitation, email):
        refused(mailed, token)
    for token in (reset_, email):
        with pytest.raises(Unauthenticated):
            mailed.call("invitation.accept", {"token": token, "name": "Eve", "password": NEW})
    for token in (invitation, reset_):
        with pytest.raises(Unauthenticated):
            mailed.call("profile.confirm", {"token": token})
    for token in (invitation, reset_, email):
        with pytest.raises(Unauthenticated):
            mailed.call("session.whoami", {}, token)
        with pytest.raises(Unauthenticated):
            mailed.call("session.refresh", {"refresh": token})


@pytest.mark.security
@pytest.mark.req("SEC-A07")
def test_one_account_gets_few_mails_and_the_answer_stays_the_same(mailed, editor):
    answers = []
    for number in range(6):
        answers.append(forgot(mailed, editor.email.upper() if number % 2 else editor.email))
        mailed.post()
    answers += [forgot(mailed, "nobody@x.example") for _ in range(6)]
    assert all(each == answers[0] for each in answers)
    mailed.post()
    assert len(mailed.relay.got.to(editor.email)) == 3


@pytest.mark.security
@pytest.mark.req("SEC-A06", "SEC-A07")
def test_one_address_is_told_to_wait_whoever_it_asks_for(mailed, editor):
    for place in ("10.66.0.1", "2001:db8:0:66::{}"):
        for number in range(20):
            forgot(mailed, f"a{number}@x.example", peer=place.format(number))
        told = []
        for email in (editor.email, "nobody@x.example"):
            with pytest.raises(Throttled) as fault:
                forgot(mailed, email, peer=place.format("ffff"))
            told.append(fault.value.message)
        assert told[0] == told[1]
    forgot(mailed, editor.email, peer="10.66.0.2")


@pytest.mark.security
@pytest.mark.req("SEC-A07")
def test_without_mail_the_answer_is_the_same_and_nothing_waits(fresh):
    for email in (fresh.people["north", Role.EDITOR].email, "nobody@x.example"):
        assert forgot(fresh, email).model_dump() == {}
    assert fresh.app.services.system.outbox().claim(1) is None


@pytest.mark.security
@pytest.mark.req("SEC-A17")
def test_an_administrator_starts_a_reset_and_never_chooses_a_password(fresh):
    editor, admin = fresh.people["north", Role.EDITOR], fresh.token(Role.ADMINISTRATOR)
    before = fresh.head()
    sent = fresh.call("user.reset", {"id": editor.id}, admin)
    assert sent.link.rpartition("/")[2].startswith("lt_")
    assert fresh.sign_in(editor)["access"], "the old one holds until the link is used"
    reset(fresh, sent.link.rpartition("/")[2])
    assert fresh.sign_in(editor, NEW)["access"]
    told = [(each["action"], each["result"]) for each in fresh.records(after=before)]
    assert ("user.reset", "asked") in told
    assert ("user.reset", "ok") in told
    with pytest.raises(Invalid, match="unknown key"):
        fresh.call("user.reset", {"id": editor.id, "password": NEW}, admin)


@pytest.mark.security
@pytest.mark.req("SEC-A17")
def test_with_mail_the_link_of_a_reset_is_shown_to_nobody(mailed, editor):
    sent = mailed.call("user.reset", {"id": editor.id}, mailed.token(Role.ADMINISTRATOR))
    assert sent.link is None
    reset(mailed, mailed.link(editor.email))
    assert "administrator@north.example wants you" in mailed.relay.got.to(editor.email)[0].get_content()


@pytest.mark.security
@pytest.mark.req("SEC-A17", "SEC-Z08")
def test_nobody_resets_themselves_somebody_above_or_who_has_no_password(fresh):
    admin = fresh.token(Role.ADMINISTRATOR)
    me, root = fresh.people["north", Role.ADMINISTRATOR], fresh.people["north", Role.SUPERADMIN]
    with pytest.raises(Denied):
        fresh.call("user.reset", {"id": me.id}, admin)
    for id_ in (root.id, new_id()):
        with pytest.raises(Missing):
            fresh.call("user.reset", {"id": id_}, admin)
    invited = fresh.call("user.invite", {"email": "i@north.example", "role": "viewer"}, admin).id
    service = fresh.call("service.create", {"name": "robot", "role": "viewer"}, admin).id
    for id_ in (invited, service):
        with pytest.raises(Conflict):
            fresh.call("user.reset", {"id": id_}, admin)


@pytest.mark.security
@pytest.mark.req("SEC-A08", "SEC-T09")
def test_a_link_dies_with_the_account(fresh):
    editor, admin = fresh.people["north", Role.EDITOR], fresh.token(Role.ADMINISTRATOR)
    token = fresh.call("user.reset", {"id": editor.id}, admin).link.rpartition("/")[2]
    fresh.call("user.deactivate", {"id": editor.id}, admin)
    refused(fresh, token)
    fresh.call("user.reactivate", {"id": editor.id}, admin)
    refused(fresh, token)
    assert fresh.sign_in(Person(editor.id, editor.email, editor.role, "north"))["access"]


def test_a_superadmin_gets_a_link_too(mailed):
    root = mailed.people[None, Role.SUPERADMIN]
    forgot(mailed, root.email, None)
    reset(mailed, mailed.link(root.email))
    assert mailed.sign_in(root, NEW)["access"]


@pytest.mark.security
@pytest.mark.req("SEC-A08")
def test_of_many_who_use_one_link_at_once_one_sets_the_password(fresh):
    editor = fresh.people["north", Role.EDITOR]
    token = fresh.call("user.reset", {"id": editor.id}, fresh.token(Role.ADMINISTRATOR)).link.rpartition("/")[2]
    outcomes, barrier = [], threading.Barrier(6)

    def run(number):
        ask, told = {"token": token, "password": f"{NEW} number {number}"}, fresh.credentials(None, "POST")
        barrier.wait()
        try:
            fresh.app.gate.call(BY_NAME["password.reset"], ask, told, Peer(address()))
            outcomes.append(number)
        except SluiceError as fault:
            outcomes.append(fault.code)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    (won,) = [each for each in outcomes if isinstance(each, int)]
    assert outcomes.count("unauthenticated") == 5
    assert fresh.sign_in(editor, f"{NEW} number {won}")["access"]
