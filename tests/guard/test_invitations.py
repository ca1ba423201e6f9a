"""Being invited: from the link to the first sign-in (SEC-A16)."""

from __future__ import annotations

import threading

import pytest

from sluicegate.base.errors import Conflict, Denied, Invalid, Missing, SluiceError, Unauthenticated
from sluicegate.base.model import new_id
from sluicegate.base.principal import Peer, Role
from sluicegate.base.settings import Links
from sluicegate.store.scope import TenantState
from tests.fixtures.relay import Mailed
from tests.fixtures.server import BY_NAME, PASSWORD, Person, address

ADA = "ada@north.example"


def invite(place, email=ADA, role="editor", token=None, **more):
    ask = {"email": email, "role": role, **more}
    return place.call("user.invite", ask, token or place.token(Role.ADMINISTRATOR))


def accept(place, token, name="Ada Marsh", password=PASSWORD):
    return place.call("invitation.accept", {"token": token, "name": name, "password": password})


def states(place):
    found = place.call("user.list", {}, place.token(Role.ADMINISTRATOR)).items
    return {each.email: (each.state, each.mail, bool(each.link_expires)) for each in found}


def refused(place, token, **more):
    with pytest.raises(Unauthenticated) as told:
        accept(place, token, **more)
    return told.value.problem()


@pytest.mark.security
@pytest.mark.req("SEC-A16")
def test_a_link_goes_by_mail_and_lets_one_person_in(mailed):
    sent = invite(mailed)
    assert (sent.email, sent.role, sent.link) == (ADA, "editor", None), "what went by mail is shown to nobody else"
    assert states(mailed)[ADA] == ("invited", "waiting", True)
    token = mailed.link(ADA)
    assert states(mailed)[ADA] == ("invited", "sent", True)
    (mail,) = mailed.relay.got.to(ADA)
    said = mail.get_content()
    assert "https://sluice.example.org/#/invitation/" + token in said
    assert "administrator@north.example invites you" in said
    assert mail.get_content_type() == "text/plain"
    before = mailed.head()
    made = accept(mailed, token)
    assert made.standing == "signed in"
    me = mailed.call("session.whoami", {}, made.access)
    assert (me.id, me.name, me.role, me.tenant_name) == (sent.id, "Ada Marsh", "editor", "north")
    assert mailed.sign_in(Person(me.id, ADA, Role.EDITOR, "north"))["access"]
    assert states(mailed)[ADA] == ("active", "sent", False)
    told = [(each["action"], each["result"], each["about"]) for each in mailed.records(after=before)]
    assert told[0] == ("invitation.accept", "ok", {"id": sent.id, "email": ADA})
    assert token not in str(mailed.records())


@pytest.mark.security
@pytest.mark.req("SEC-A16")
def test_without_mail_the_link_is_shown_once_to_be_copied(fresh):
    sent = invite(fresh)
    assert sent.link.startswith("https://localhost:8443/#/invitation/lt_")
    assert sent.link not in str(fresh.call("user.list", {}, fresh.token(Role.ADMINISTRATOR)))
    assert sent.link.rpartition("/")[2] not in str(fresh.records())
    assert accept(fresh, sent.link.rpartition("/")[2]).access


@pytest.mark.security
@pytest.mark.req("SEC-A16", "SEC-A07")
def test_a_link_that_is_wrong_used_ended_or_over_is_refused_in_the_same_words(fresh, monkeypatch):
    used, resent, cancelled, late, off = (
        invite(fresh, f"{each}@north.example") for each in ("used", "resent", "cancelled", "late", "off")
    )
    tokens = [each.link.rpartition("/")[2] for each in (used, resent, cancelled, late, off)]
    accept(fresh, tokens[0])
    admin = fresh.token(Role.ADMINISTRATOR)
    again = fresh.call("invitation.resend", {"id": resent.id}, admin)
    fresh.call("invitation.cancel", {"id": cancelled.id}, admin)
    fresh.call("user.deactivate", {"id": off.id}, admin)
    told = [
        refused(fresh, each) for each in (tokens[0], tokens[1], tokens[2], tokens[4], "lt_" + "x" * 43, "", "ä\ud800")
    ]
    clock = fresh.app.services.system.database
    monkeypatch.setattr(clock, "clock", lambda now=clock.clock: now() + 73 * 3600)
    told += [refused(fresh, tokens[3])]
    assert all(each == told[0] for each in told)
    assert told[0]["status"] == 401
    assert again.link.rpartition("/")[2] != tokens[1]


@pytest.mark.security
@pytest.mark.req("SEC-A16")
def test_sent_again_the_new_link_works(fresh):
    sent = invite(fresh)
    again = fresh.call("invitation.resend", {"id": sent.id}, fresh.token(Role.ADMINISTRATOR))
    assert accept(fresh, again.link.rpartition("/")[2]).access


@pytest.mark.security
@pytest.mark.req("SEC-A16")
def test_of_twenty_who_use_one_link_at_once_one_is_let_in(fresh):
    token = invite(fresh).link.rpartition("/")[2]
    outcomes, barrier = [], threading.Barrier(20)

    def run(number):
        ask = {"token": token, "name": f"Ada {number}", "password": f"{PASSWORD} number {number}"}
        told = fresh.credentials(None, "POST")
        barrier.wait()
        try:
            outcomes.append(fresh.app.gate.call(BY_NAME["invitation.accept"], ask, told, Peer(address())))
        except SluiceError as fault:
            outcomes.append(fault.code)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    let_in = [each for each in outcomes if not isinstance(each, str)]
    assert (len(let_in), outcomes.count("unauthenticated")) == (1, 19)
    name = fresh.call("session.whoami", {}, let_in[0].access).name
    number = name.rpartition(" ")[2]
    who = Person("", ADA, Role.EDITOR, "north")
    assert fresh.sign_in(who, f"{PASSWORD} number {number}")["access"], "name and password are of one and the same"


@pytest.mark.security
@pytest.mark.req("SEC-A03", "SEC-A16")
@pytest.mark.parametrize("password", ["short", "a" * 20, "ada@north.example", "north north north"])
def test_a_password_that_does_not_do_leaves_the_link_good(fresh, password):
    token = invite(fresh).link.rpartition("/")[2]
    with pytest.raises(Invalid) as told:
        accept(fresh, token, password=password)
    assert told.value.where == "password"
    assert states(fresh)[ADA][0] == "invited"
    assert accept(fresh, token).access


@pytest.mark.security
@pytest.mark.req("SEC-A16", "SEC-Z08")
def test_nobody_invites_above_their_own_role(fresh):
    before = states(fresh)
    with pytest.raises(Denied):
        invite(fresh, role="superadmin")
    with pytest.raises(Invalid):
        invite(fresh, role="superadmin", token=fresh.token(Role.SUPERADMIN))
    for role in (Role.EDITOR, Role.VIEWER):
        with pytest.raises(Denied):
            invite(fresh, token=fresh.token(role))
    assert states(fresh) == before


@pytest.mark.security
@pytest.mark.req("SEC-A16")
def test_who_is_invited_cannot_sign_in_whatever_the_password(fresh):
    sent = invite(fresh)
    for password in ("", PASSWORD, sent.link):
        with pytest.raises(Unauthenticated):
            fresh.sign_in(Person(sent.id, ADA, Role.EDITOR, "north"), password)


@pytest.mark.security
@pytest.mark.req("SEC-A12", "SEC-A16")
def test_a_tenant_that_wants_a_second_factor_wants_it_here_too(fresh):
    token = invite(fresh).link.rpartition("/")[2]
    fresh.set_policy(factor_required=True)
    made = accept(fresh, token)
    assert made.standing == "enrol"
    with pytest.raises(Unauthenticated):
        fresh.call("session.whoami", {}, made.access)


@pytest.mark.security
@pytest.mark.req("SEC-A16")
def test_an_address_on_no_list_cannot_accept_and_the_link_stays(fresh):
    fresh.set_policy("10.1.2.3", addresses=["10.1.2.0/24"])
    token = fresh.call(
        "user.invite", {"email": ADA, "role": "viewer"}, fresh.token(Role.SUPERADMIN), "10.1.2.3"
    ).link.rpartition("/")[2]
    ask = {"token": token, "name": "Ada", "password": PASSWORD}
    with pytest.raises(Denied):
        fresh.call("invitation.accept", ask, None, "10.9.9.9")
    assert fresh.call("invitation.accept", ask, None, "10.1.2.4").access


@pytest.mark.security
@pytest.mark.req("SEC-T12", "SEC-A16")
def test_without_a_key_to_bind_to_nobody_comes_in(fresh):
    from sluicegate.base.principal import Credentials

    token = invite(fresh).link.rpartition("/")[2]
    ask = {"token": token, "name": "Ada", "password": PASSWORD}
    with pytest.raises(Unauthenticated):
        fresh.app.gate.call(BY_NAME["invitation.accept"], ask, Credentials(), Peer(address()))
    assert accept(fresh, token).access


def test_a_tenant_says_how_long_an_invitation_is_good(fresh):
    from datetime import datetime

    def hours(sent):
        import time

        return (datetime.fromisoformat(sent.expires).timestamp() - time.time()) / 3600

    assert 71.9 < hours(invite(fresh)) <= 72
    fresh.set_policy(invitation_hours=2)
    assert 1.9 < hours(invite(fresh, "b@north.example")) <= 2


def test_an_installation_says_so_too(tmp_path, relay):
    place = Mailed(tmp_path / "home", relay, links=Links(invitation=1))
    place.settle()
    try:
        assert invite(place).expires
        place.post()
        assert "until 2" in place.relay.got.to(ADA)[0].get_content()
    finally:
        place.close()


@pytest.mark.security
@pytest.mark.req("SEC-A16")
def test_a_cancelled_invitation_can_be_taken_up_again(fresh):
    sent, admin = invite(fresh), fresh.token(Role.ADMINISTRATOR)
    fresh.call("invitation.cancel", {"id": sent.id}, admin)
    assert states(fresh)[ADA] == ("disabled", "", False)
    with pytest.raises(Conflict):
        invite(fresh)
    with pytest.raises(Conflict):
        fresh.call("invitation.resend", {"id": sent.id}, admin)
    fresh.call("user.reactivate", {"id": sent.id}, admin)
    assert states(fresh)[ADA][0] == "invited"
    refused(fresh, sent.link.rpartition("/")[2])
    again = fresh.call("invitation.resend", {"id": sent.id}, admin)
    assert accept(fresh, again.link.rpartition("/")[2]).access


@pytest.mark.security
@pytest.mark.req("SEC-A16")
def test_nobody_comes_into_a_tenant_that_is_suspended(fresh):
    token, tenants = invite(fresh).link.rpartition("/")[2], fresh.app.services.system.tenants()
    tenants.set_state(fresh.tenants["north"], TenantState.SUSPENDED)
    refused(fresh, token)
    tenants.set_state(fresh.tenants["north"], TenantState.ACTIVE)
    assert accept(fresh, token).access


@pytest.mark.security
@pytest.mark.req("SEC-A16")
def test_the_link_of_who_was_deactivated_stays_dead(fresh):
    sent, admin = invite(fresh), fresh.token(Role.ADMINISTRATOR)
    fresh.call("user.deactivate", {"id": sent.id}, admin)
    fresh.call("user.reactivate", {"id": sent.id}, admin)
    assert states(fresh)[ADA][0] == "invited"
    refused(fresh, sent.link.rpartition("/")[2])


def test_only_who_is_invited_is_invited_again(fresh):
    admin, editor = fresh.token(Role.ADMINISTRATOR), fresh.people["north", Role.EDITOR].id
    for operation in ("invitation.resend", "invitation.cancel"):
        with pytest.raises(Conflict):
            fresh.call(operation, {"id": editor}, admin)
        with pytest.raises(Missing):
            fresh.call(operation, {"id": new_id()}, admin)


@pytest.mark.security
@pytest.mark.parametrize(
    "email", ["a,b@x.example", '"a b"@x.example', "<a@x.example", "a@x_y.example", "a@[10.0.0.1]", "a..b@x.example"]
)
def test_an_address_no_mail_can_be_sent_to_is_refused_and_nobody_made(mailed, email):
    before = states(mailed)
    with pytest.raises(Invalid, match="email"):
        invite(mailed, email)
    assert states(mailed) == before
    assert mailed.app.services.system.outbox().claim(1) is None


@pytest.mark.security
@pytest.mark.req("SEC-L02")
def test_an_invitation_that_cannot_be_put_on_record_lets_nobody_in(fresh, monkeypatch):
    from sluicegate.base.errors import Unavailable
    from sluicegate.store.ledger import Ledger

    token = invite(fresh).link.rpartition("/")[2]

    def full(*_):
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "append", full)
        with pytest.raises(Unavailable):
            accept(fresh, token)
    assert states(fresh)[ADA][0] == "invited"
    assert accept(fresh, token).access, "nothing was used up"
