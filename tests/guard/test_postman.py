"""Mails on their way: relays that fail, tries that end, and a thread that goes on."""

from __future__ import annotations

import io
import threading
import time

import pytest

from sluicegate.base.log import Log
from sluicegate.base.principal import Role
from sluicegate.base.settings import Mail, Server
from sluicegate.crypto import tls
from sluicegate.guard import postman
from sluicegate.kit.net import smtp
from tests.fixtures import relay as relays
from tests.fixtures.relay import Mailed, Relay
from tests.fixtures.server import Place

ADA = "ada@north.example"


class Hand:
    """A clock moved by hand."""

    def __init__(self):
        self.now = time.time()

    def __call__(self):
        return self.now


def make(folder, **mail):
    given = {"relay": "127.0.0.1", "tls": "off", "sender": "sluice@example.org", **mail}
    return Place(folder, mail=Mail(**given), server=Server(access_log=False)).settle()


@pytest.fixture
def hand(mailed, monkeypatch):
    made = Hand()
    monkeypatch.setattr(mailed.app.services.system.database, "clock", made)
    monkeypatch.setattr(mailed.app.postman, "_now", made)
    monkeypatch.setattr(mailed.app.services.mail, "_now", made)
    return made


def invite(place, email=ADA):
    return place.call("user.invite", {"email": email, "role": "viewer"}, place.token(Role.ADMINISTRATOR))


def shown(place):
    return place.call("mail.list", {}, place.token(Role.ADMINISTRATOR)).items


def test_a_mail_that_is_refused_for_now_is_tried_again_later_and_later(mailed, hand):
    mailed.relay.got.answer = lambda _: "450 later"
    invite(mailed)
    waits = []
    while True:
        mailed.post()
        (mail,) = shown(mailed)
        if mail.state != "waiting":
            break
        before = hand.now
        while not mailed.app.postman.work():
            hand.now += 10
        waits.append(hand.now - before)
        hand.now -= 0
    assert (mail.state, mail.tries) == ("failed", postman.TRIES)
    assert "refuses the recipient (450)" in mail.why
    assert waits == sorted(waits)
    assert waits[0] == postman.FIRST


@pytest.mark.security
def test_a_mail_that_is_refused_for_good_is_not_tried_again(mailed):
    mailed.relay.got.answer = lambda _: "550 lt_nobody here"
    invite(mailed)
    mailed.post()
    (mail,) = shown(mailed)
    assert (mail.state, mail.tries) == ("failed", 1)
    assert "lt_nobody" not in mail.why, "a relay's words can be anything"
    assert mailed.call("system.health").mail == "failing"
    users = mailed.call("user.list", {}, mailed.token(Role.ADMINISTRATOR)).items
    assert [each.mail for each in users if each.email == ADA] == [f"failed: {mail.why}"]
    mailed.relay.got.answer = lambda _: "250 OK"
    mailed.call("mail.test", {}, mailed.token(Role.ADMINISTRATOR))
    mailed.post()
    assert mailed.call("system.health").mail == "ok"


def test_a_relay_that_comes_back_gets_what_waited(tmp_path, monkeypatch):
    with Relay(None) as first:
        port = first.port
    place, hand = make(tmp_path / "home", port=port), Hand()
    monkeypatch.setattr(place.app.services.system.database, "clock", hand)
    monkeypatch.setattr(place.app.postman, "_now", hand)
    try:
        invite(place)
        assert place.app.postman.work()
        assert "Nothing listens" in shown(place)[0].why
        hand.now += postman.FIRST
        with Relay(None) as relay:
            mended = place.app.settings.model_copy(
                update={"mail": place.app.settings.mail.model_copy(update={"port": relay.port})}
            )
            again = postman.Postman(mended, place.app.services.system, place.app.services.mail, hand)
            assert again.work()
            assert len(relay.got.to(ADA)) == 1
        assert (shown(place)[0].state, shown(place)[0].tries) == ("sent", 2)
    finally:
        place.close()


@pytest.mark.security
@pytest.mark.parametrize("talk", [relays.hang, relays.flood, lambda sock: None], ids=["hangs", "floods", "closes"])
def test_no_operation_waits_for_or_fails_by_a_relay(tmp_path, talk, monkeypatch):
    monkeypatch.setattr(smtp, "WHOLE", 0.5)
    with relays.hostile(talk) as port:
        place = make(tmp_path / "home", port=port)
        try:
            assert invite(place).link is None
            assert place.app.postman.work()
            (mail,) = shown(place)
            assert (mail.state, mail.tries) == ("waiting", 1)
            assert mail.why
        finally:
            place.close()


def test_a_link_that_is_over_is_not_sent(mailed, hand):
    invite(mailed)
    hand.now += 73 * 3600
    mailed.post()
    assert [(each.state, each.why) for each in shown(mailed)] == [("failed", "It could not be sent in time.")]
    assert mailed.relay.got.mails == []


ENDS = {
    "cancelled": lambda place, user, admin: place.call("invitation.cancel", {"id": user}, admin),
    "deactivated": lambda place, user, admin: place.call("user.deactivate", {"id": user}, admin),
    "replaced": lambda place, user, admin: place.app.services.system.links().end(user, "invitation"),
}


@pytest.mark.security
@pytest.mark.req("SEC-A16")
@pytest.mark.parametrize("end", ENDS)
def test_a_link_that_ended_while_its_mail_waited_is_not_sent(mailed, end):
    user = invite(mailed).id
    ENDS[end](mailed, user, mailed.token(Role.ADMINISTRATOR))
    invite(mailed, "bob@north.example")
    mailed.post()
    assert [each["To"] for each in mailed.relay.got.mails] == ["bob@north.example"]
    assert {each.to: each.state for each in shown(mailed)} == {ADA: "withdrawn", "bob@north.example": "sent"}
    assert mailed.app.services.mail.state == "ok", "that is no fault of the relay"


@pytest.mark.security
@pytest.mark.req("SEC-A08", "SEC-T09")
def test_of_two_links_to_one_person_the_newer_alone_is_sent_and_none_once_they_are_deactivated(mailed):
    admin, viewer = mailed.token(Role.ADMINISTRATOR), mailed.people["north", Role.VIEWER]
    user = invite(mailed).id
    mailed.call("invitation.resend", {"id": user}, admin)
    mailed.call("user.reset", {"id": viewer.id}, admin)
    mailed.call("user.deactivate", {"id": viewer.id}, admin)
    mailed.post()
    assert [each["To"] for each in mailed.relay.got.mails] == [ADA]
    assert sorted(each.state for each in shown(mailed)) == ["sent", "withdrawn", "withdrawn"]


@pytest.mark.security
def test_a_try_that_dies_each_time_ends_all_the_same(mailed, hand):
    invite(mailed)
    for _ in range(postman.TRIES):
        assert mailed.app.services.system.outbox().claim(postman.LEASE), "a process took it, and died"
        hand.now += postman.LEASE
    mailed.post()
    assert [(each.state, each.tries) for each in shown(mailed)] == [("failed", postman.TRIES + 1)]
    assert mailed.relay.got.mails == []


@pytest.mark.security
def test_a_damaged_mail_stops_nobody_elses(mailed):
    invite(mailed)
    outbox = mailed.app.services.system.outbox()
    post = outbox.claim(60)
    outbox._set(post, sealed=b"damaged", due=0.0)
    invite(mailed, "bob@north.example")
    mailed.post()
    assert {each.to: each.state for each in shown(mailed)} == {ADA: "failed", "bob@north.example": "sent"}


@pytest.mark.security
def test_one_mail_is_sent_once_by_many_postmen(mailed):
    for number in range(6):
        invite(mailed, f"a{number}@north.example")
    given = mailed.app.settings, mailed.app.services.system, mailed.app.services.mail
    men = [postman.Postman(*given) for _ in range(4)]

    def work(man):
        while man.work():
            pass

    threads = [threading.Thread(target=work, args=(man,)) for man in men]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(each["To"] for each in mailed.relay.got.mails) == [f"a{number}@north.example" for number in range(6)]


def until(happens, seconds=30.0):
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@pytest.mark.slow
def test_the_thread_sends_as_soon_as_something_waits_and_goes_on_after_a_fault(mailed, monkeypatch):
    said = io.StringIO()
    mailed.app.postman._log = Log(said)
    mailed.app.postman.open()
    try:
        invite(mailed)
        until(lambda: mailed.relay.got.to(ADA))
        store = type(mailed.app.services.system.outbox())
        with monkeypatch.context() as patch:
            patch.setattr(store, "claim", lambda *_: 1 / 0)
            mailed.app.services.mail.wake.set()
            until(lambda: "could not be worked on" in said.getvalue())
        assert "ZeroDivisionError" in said.getvalue()
        invite(mailed, "bob@north.example")
        until(lambda: mailed.relay.got.to("bob@north.example"))
    finally:
        mailed.app.postman.close()
    assert not [each for each in threading.enumerate() if each.name == "postman"]


def test_without_a_relay_there_is_no_thread(fresh):
    fresh.app.postman.open()
    assert not [each for each in threading.enumerate() if each.name == "postman"]
    fresh.app.postman.close()


@pytest.mark.security
@pytest.mark.req("SEC-N03")
def test_mail_goes_under_starttls_with_a_password_from_a_file(tmp_path):
    folder = tmp_path / "relay"
    folder.mkdir()
    tls.create_authority(folder)
    tls.issue_server(folder, ("localhost", "127.0.0.1"))
    (tmp_path / "password").write_text("a canary of the relay\n")
    with Relay(folder, user="sluice", password="a canary of the relay") as relay:
        place = make(tmp_path / "home", port=relay.port, tls="starttls", ca=folder / "ca.pem", user="sluice",
                     password={"file": str(tmp_path / "password")})  # fmt: skip
        try:
            invite(place)
            while place.app.postman.work():
                pass
            assert [each.state for each in shown(place)] == ["sent"]
            assert relay.got.sessions[0].ssl is not None
        finally:
            place.close()


def test_certificates_that_cannot_be_read_are_told(tmp_path):
    place = make(tmp_path / "home", port=1, tls="starttls", ca=tmp_path / "missing.pem")
    try:
        invite(place)
        place.app.postman.work()
        assert "certificates cannot be read" in shown(place)[0].why
    finally:
        place.close()


def test_old_links_and_mails_are_forgotten(mailed, hand):
    assert isinstance(mailed, Mailed)
    invite(mailed)
    mailed.post()
    hand.now += 40 * 86400
    assert mailed.app.services.system.outbox().purge() == 1
    assert mailed.app.services.system.links().purge() == 1
