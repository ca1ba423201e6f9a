"""Writing mails: plain, sealed while they wait, and no header but ours."""

from __future__ import annotations

import sqlite3
from email import message_from_bytes, policy

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sluicegate.base.errors import Corrupt, Invalid
from sluicegate.base.model import new_id
from sluicegate.base.principal import Role
from sluicegate.base.secret import Secret
from sluicegate.crypto import opaque
from sluicegate.guard.mail import compose, mailbox, plain_address

HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Type", "Content-Transfer-Encoding",
           "MIME-Version"]  # fmt: skip


def write(recipient="ada@example.org", subject="S", text="T\n", sender="s@example.org"):
    return compose(sender, recipient, subject, text, new_id(), 1_800_000_000.0, "host.example.org")


def test_a_mail_is_plain_and_says_when_and_that_nobody_wrote_it():
    mail = write(text="Zeile ä\n")
    read = message_from_bytes(bytes(mail), policy=policy.default)
    assert read.get_content_type() == "text/plain"
    assert read.get_content().splitlines() == ["Zeile ä"]
    assert read["Date"] == "Fri, 15 Jan 2027 08:00:00 +0000"
    assert read["Auto-Submitted"] == "auto-generated"
    assert read["Message-ID"].endswith("@host.example.org>")


@pytest.mark.security
@example("a@b.example\r\nBcc: eve@x.example")
@example("a@b.example\nBcc: eve@x.example")
@example("a@b.example, eve@x.example")
@example("a@b.example> <eve@x.example")
@example('"a\r\n"@b.example')
@example("a@b.example\u2028Bcc: eve@x.example")
@example("a@b.example\x00")
@example("=?utf-8?q?a=0d=0aBcc=3a_eve?=@b.example")
@given(st.text(max_size=80) | st.text(alphabet='a@b.\r\n,:<>;"\\() =?', max_size=40))
def test_no_recipient_adds_a_header_or_another_recipient(recipient):
    try:
        mail = write(recipient)
        told = plain_address(recipient)
    except Invalid:
        return
    read = message_from_bytes(bytes(mail), policy=policy.default)
    assert sorted(read.keys()) == sorted(HEADERS)
    assert not set(told) & set("\r\n<>, ;")
    assert len(read["To"].addresses) == 1
    assert read["Bcc"] is None


@pytest.mark.security
@example("S\r\nBcc: eve@x.example", "T")
@example("S\nBcc: eve@x.example\n\nbody", "T")
@example("=?utf-8?q?a=0d=0aBcc=3a_eve?=", "T")
@example("S", "\r\n.\r\nMAIL FROM:<eve@x.example>\r\n")
@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=400),
)
def test_no_text_adds_a_header(subject, text):
    try:
        mail = write(subject=subject, text=text)
    except Invalid:
        assert len(subject.splitlines()) > 1 or subject.splitlines() != [subject] or "=?" in subject
        return
    read = message_from_bytes(bytes(mail), policy=policy.default)
    assert sorted(read.keys()) == sorted(HEADERS)


@pytest.mark.parametrize(
    "good",
    [
        "a@b.example",
        "a.b+c@b-d.example",
        "o'hara@x.example",
        "jürgen@example.org",
        "a@bücher.example",
        "root@localhost",
    ],
)
def test_usual_addresses_do(good):
    assert plain_address(good).rpartition("@")[2].isascii()
    assert mailbox(good).username == good.rpartition("@")[0]


@pytest.mark.security
@pytest.mark.parametrize(
    "bad", ["", "a", "@b", "a@", "a b@c.d", "a@b c", "a@-b.c", "a@b..c", ".a@b.c", "a.@b.c", "a@b.c.", "a@" + "b" * 64 + ".c",
            "a@[127.0.0.1]", '"a"@b.c', "a,b@c.d", "a:b@c.d", "a@b@c", "a%0d%0a @b.c", "a@ｂ。c\u200b"]
)  # fmt: skip
def test_what_a_relay_could_read_otherwise_is_no_address(bad):
    with pytest.raises(Invalid) as told:
        mailbox(bad)
    assert "no mail can be sent" in told.value.message


@pytest.mark.security
@pytest.mark.req("SEC-T19", "SEC-V01")
def test_what_waits_is_sealed_and_gone_once_sent(mailed):
    admin = mailed.token(Role.ADMINISTRATOR)
    mailed.call("user.invite", {"email": "ada@north.example", "role": "viewer"}, admin)

    def stored():
        with sqlite3.connect(mailed.home / "store.db") as link:
            found = "\n".join(link.iterdump())
        link.close()
        return found

    waiting = stored()
    assert "#/invitation/" not in waiting
    assert "lt_" not in waiting
    token = mailed.link("ada@north.example")
    assert token not in stored()
    with sqlite3.connect(mailed.home / "store.db") as link:
        assert link.execute("select sealed from outbox").fetchall() == [(b"",)]
    link.close()


@pytest.mark.security
@pytest.mark.req("SEC-V01")
def test_a_sealed_mail_is_bound_to_its_row(mailed):
    mail, outbox = mailed.app.services.mail, mailed.app.services.system.outbox()
    admin = mailed.token(Role.ADMINISTRATOR)
    mailed.call("user.invite", {"email": "ada@north.example", "role": "viewer"}, admin)
    post = outbox.claim(60)
    assert mail.open(post)["subject"] == "Sluicegate: Invitation"
    for other in (post._replace(recipient="eve@x.example"), post._replace(kind="test"), post._replace(id=new_id()),
                  post._replace(sealed=post.sealed[:-1] + b"\0")):  # fmt: skip
        with pytest.raises(Corrupt):
            mail.open(other)


@pytest.mark.security
@pytest.mark.req("SEC-T19")
def test_a_link_carries_its_token_behind_the_hash(mailed):
    token = opaque.new_link()
    assert mailed.app.services.mail.link("reset", token) == f"https://sluice.example.org/#/reset/{token.reveal()}"


@pytest.mark.security
def test_the_host_of_a_request_has_no_say_in_links(mailed):
    ask = {"tenant": "north", "email": "editor@north.example"}
    for headers in ({"host": "localhost"}, {"host": "127.0.0.1"}, {"x-forwarded-host": "evil.example"}):
        mailed.request("POST", "/api/v1/password/forgot", json=ask, headers=headers)
        mailed.post()
    mails = mailed.relay.got.to("editor@north.example")
    assert len(mails) == 3
    assert all("https://sluice.example.org/#/" in each.get_content() for each in mails)


def test_without_a_relay_nothing_is_put_aside(fresh):
    mail, system = fresh.app.services.mail, fresh.app.services.system
    user = system.accounts().get(fresh.people["north", Role.EDITOR].id)
    assert not mail.put("test", user, "S", "T")
    assert (mail.on, mail.state) == (False, "off")
    assert system.outbox().claim(1) is None
    assert mail.link("x", Secret("y")) == "https://localhost:8443/#/x/y"
