"""Handing mails to a real relay, and to some that mean ill."""

from __future__ import annotations

import ssl
import threading
import time
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from sluicegate.base.errors import Egress as EgressRefused
from sluicegate.base.errors import MailRefused, SluiceError, Unreachable
from sluicegate.base.secret import Secret
from sluicegate.crypto import tls
from sluicegate.kit.net import Egress, Net, Relay, send_mail, smtp
from tests.fixtures import relay as relays
from tests.fixtures.web import grants

CANARY = "a canary in the password"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("relay")
    tls.create_authority(folder)
    tls.issue_server(folder, ("localhost", "127.0.0.1"))
    return folder


@pytest.fixture
def mail():
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"], made["Subject"] = "sluice@example.org", "ada@example.org", "A test"
    made.set_content("One line.\n.\nA line after a lone dot.\n")
    return made


def given(port, certificates=None, *, mode="off", host="127.0.0.1", user="", password=""):
    ca = (certificates / "ca.pem").read_text() if certificates else None
    return Relay(host, port, mode, ca, user, Secret(password), "sluice.example.org")


def hand_in(relay, mail, recipient="ada@example.org", net=None):
    send_mail(net or Net(grants("127.0.0.1", "localhost")), relay, mail, "sluice@example.org", recipient)


@pytest.mark.parametrize(("mode", "implicit"), [("starttls", False), ("tls", True)])
def test_a_mail_arrives_under_tls_as_it_was_written(certificates, mail, mode, implicit):
    with relays.Relay(certificates, implicit=implicit, user="sluice", password=CANARY) as relay:
        hand_in(given(relay.port, certificates, mode=mode, user="sluice", password=CANARY), mail)
        (got,) = relay.got.mails
        assert got.get_content().replace("\r\n", "\n") == "One line.\n.\nA line after a lone dot.\n"
        assert (got["From"], got["To"], got["Subject"]) == ("sluice@example.org", "ada@example.org", "A test")
        assert relay.got.sessions[0].host_name == "sluice.example.org"
        assert relay.got.sessions[0].ssl is not None or implicit


def test_a_relay_on_this_machine_may_do_without_tls(mail):
    with relays.Relay(None) as relay:
        hand_in(given(relay.port), mail)
        assert len(relay.got.mails) == 1


@pytest.mark.security
@pytest.mark.req("SEC-N03")
def test_a_relay_that_offers_no_tls_gets_neither_mail_nor_password(certificates, mail):
    heard = []

    def listen(sock):
        lines = sock.makefile("rb")
        sock.sendall(b"220 here\r\n")
        while line := lines.readline():
            heard.append(line)
            sock.sendall(b"250-here\r\n250 AUTH PLAIN LOGIN\r\n" if line.startswith(b"ehlo") else b"250 yes\r\n")

    with relays.hostile(listen) as port:
        ask = given(port, certificates, mode="starttls", user="sluice", password=CANARY)
        with pytest.raises(MailRefused, match="offers no TLS"):
            hand_in(ask, mail)
    assert not [line for line in heard if not line.lower().startswith((b"ehlo", b"quit"))]


@pytest.mark.security
@pytest.mark.req("SEC-N03")
@pytest.mark.parametrize("mode", ["starttls", "tls"])
def test_a_relay_without_a_certificate_that_holds_gets_nothing(certificates, mail, mode, tmp_path):
    tls.create_authority(tmp_path)
    tls.issue_server(tmp_path, ("localhost", "127.0.0.1"))
    with relays.Relay(tmp_path, implicit=mode == "tls") as relay:
        with pytest.raises(Unreachable, match="certificate"):
            hand_in(given(relay.port, certificates, mode=mode), mail)
        assert relay.got.mails == []


@pytest.mark.security
@pytest.mark.req("SEC-N03")
def test_a_certificate_for_another_host_is_none(mail, tmp_path):
    tls.create_authority(tmp_path)
    tls.issue_server(tmp_path, ("elsewhere.example.org",))
    with relays.Relay(tmp_path) as relay:
        with pytest.raises(Unreachable, match="another host"):
            hand_in(given(relay.port, tmp_path, mode="starttls"), mail)
        assert relay.got.mails == []


@pytest.mark.security
def test_what_is_said_before_tls_counts_for_nothing_after_it(certificates, mail):
    """Answers slipped in with the one to STARTTLS must not be taken for those under TLS (CVE-2011-0411)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server-key.pem")
    heard = []

    def talk(sock):
        lines = sock.makefile("rb", buffering=0)
        sock.sendall(b"220 here\r\n")
        lines.readline()
        sock.sendall(b"250-here\r\n250 STARTTLS\r\n")
        lines.readline()
        sock.sendall(b"220 go\r\n250-slipped in\r\n250 AUTH PLAIN\r\n")
        try:
            with context.wrap_socket(sock, server_side=True) as inner:
                heard.append(inner.recv(4096))
        except ssl.SSLError:
            heard.append(b"")

    with relays.hostile(talk) as port, pytest.raises(SluiceError):
        hand_in(given(port, certificates, mode="starttls", user="u", password=CANARY), mail)
    assert b"AUTH" not in b"".join(heard)


@pytest.mark.security
@pytest.mark.req("SEC-E01")
def test_a_relay_is_reached_only_where_the_policy_allows(mail):
    with relays.Relay(None) as relay:
        with pytest.raises(EgressRefused):
            hand_in(given(relay.port), mail, net=Net(Egress()))
        with pytest.raises(EgressRefused):
            hand_in(given(relay.port), mail, net=Net(grants("127.0.0.1", ports=(25,))))
        assert relay.got.mails == []


@pytest.mark.security
def test_tls_is_never_off_for_another_machine(mail, monkeypatch):
    with relays.Relay(None) as relay:
        monkeypatch.setattr(smtp, "_is_here", lambda _sock: False)  # what the kernel would say of another address
        with pytest.raises(Unreachable, match="not on this machine"):
            hand_in(given(relay.port), mail)
        assert relay.got.mails == []


REFUSALS = {
    "greeting": ((b"554 no\r\n",), "to talk to us", False),
    "greeting for now": ((b"421 not now\r\n",), "to talk to us", False),
    "sender": ((b"220 hi\r\n", b"250 hi\r\n", b"550 no\r\n", b"250 ok\r\n"), "the sender", False),
    "recipient for now": ((b"220 hi\r\n", b"250 hi\r\n", b"250 ok\r\n", b"450 later\r\n", b"250 ok\r\n"), "the recipient", False),
    "recipient": ((b"220 hi\r\n", b"250 hi\r\n", b"250 ok\r\n", b"550 lt_secret\r\n", b"250 ok\r\n"), "the recipient", True),
    "data": ((b"220 hi\r\n", b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"554 lt_secret\r\n", b"250 ok\r\n"), "the mail", True),
    "data for now": ((b"220 hi\r\n", b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"451 lt_secret\r\n", b"250 ok\r\n"), "the mail", False),
}  # fmt: skip


@pytest.mark.security
@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_is_told_by_its_number_and_whether_it_lasts(mail, case):
    answers, what, lasting = REFUSALS[case]
    with relays.hostile(relays.script(*answers, then=relays.hang)) as port, pytest.raises(MailRefused) as told:
        hand_in(given(port), mail)
    assert what in told.value.message
    assert told.value.lasting is lasting
    assert "lt_secret" not in str(told.value), "a relay's words can be what was sent to it"


def test_a_wrong_password_is_told_and_not_shown(certificates, mail):
    with relays.Relay(certificates, user="sluice", password="another") as relay:
        with pytest.raises(MailRefused, match="name or password") as told:
            hand_in(given(relay.port, certificates, mode="starttls", user="sluice", password=CANARY), mail)
        assert not told.value.lasting, "the operator mends it, and the mail goes"
        assert CANARY not in str(told.value)
        assert relay.got.mails == []


@pytest.mark.security
@pytest.mark.parametrize(
    "talk",
    [
        lambda sock: None,
        relays.script(b"220 hi\r\n"),
        relays.script(b"220 hi\r\n", b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"),
        relays.script(b"220 hi\r\n", b"\x00\xff\xfe nonsense\r\n", b"\x00\r\n", b"\x00\r\n"),
        relays.script(b"2" * 9000),
        relays.script(b"220 hi\r\n", b"250 hi\r\n", b"421 I go\r\n"),
    ],
    ids=["at once", "after the greeting", "in the middle of the mail", "nonsense", "a long line", "421"],
)
def test_a_relay_that_breaks_off_is_one_clear_error(mail, talk):
    with relays.hostile(talk) as port, pytest.raises((Unreachable, MailRefused)) as told:
        hand_in(given(port), mail)
    assert told.value.message


@pytest.mark.security
@pytest.mark.parametrize(
    "talk", [relays.hang, relays.drip, relays.script(b"220 hi\r\n", b"250 hi\r\n", then=relays.hang)]
)
def test_a_relay_that_never_ends_is_cut_off(mail, talk, monkeypatch):
    monkeypatch.setattr(smtp, "WHOLE", 1.0)
    began = time.monotonic()
    with relays.hostile(talk) as port, pytest.raises((Unreachable, MailRefused)):
        hand_in(given(port), mail)
    assert time.monotonic() - began < smtp.STEP, "the whole has its own limit"


SILENT = {
    "tls": relays.hang,
    "starttls": relays.script(b"220 hi\r\n", b"250-hi\r\n250 STARTTLS\r\n", b"220 go\r\n", then=relays.hang),
}


@pytest.mark.security
@pytest.mark.parametrize("mode", SILENT)
def test_a_relay_that_accepts_and_shakes_no_hands_is_cut_off(certificates, mail, mode, monkeypatch):
    monkeypatch.setattr(smtp, "WHOLE", 0.5)
    began = time.monotonic()
    with relays.hostile(SILENT[mode]) as port, pytest.raises(Unreachable):
        hand_in(given(port, certificates, mode=mode), mail)
    assert time.monotonic() - began < 5 < smtp.STEP, "a step of a handshake would last longer"


@pytest.mark.security
def test_a_connection_that_comes_after_the_limit_is_cut_at_once(mail, monkeypatch):
    monkeypatch.setattr(smtp, "WHOLE", 0.0)
    net = Net(grants("127.0.0.1"))
    connect = net.connect

    def late(*given):
        time.sleep(0.2)  # as a resolver may
        return connect(*given)

    monkeypatch.setattr(net, "connect", late)
    began = time.monotonic()
    with relays.hostile(relays.hang) as port, pytest.raises(Unreachable):
        hand_in(given(port), mail, net=net)
    assert time.monotonic() - began < 5 < smtp.STEP


@pytest.mark.security
def test_a_relay_that_talks_without_end_fills_no_memory(mail):
    with relays.hostile(relays.flood) as port, pytest.raises(Unreachable):
        hand_in(given(port), mail)


@pytest.mark.security
def test_no_timer_is_left_behind(mail):
    with relays.Relay(None) as relay:
        before = threading.active_count()
        hand_in(given(relay.port), mail)
        until = time.monotonic() + 10
        while threading.active_count() > before and time.monotonic() < until:
            time.sleep(0.02)
        assert threading.active_count() <= before


def test_an_address_beyond_ascii_goes_to_who_takes_it_and_is_refused_else(mail):
    with relays.Relay(None) as relay:
        hand_in(given(relay.port), mail, "jürgen@example.org")
        assert relay.got.envelopes[0].rcpt_tos == ["jürgen@example.org"]
    with relays.Relay(None, enable_SMTPUTF8=False) as relay:
        with pytest.raises(MailRefused, match="SMTPUTF8"):
            hand_in(given(relay.port), mail, "jürgen@example.org")
        assert relay.got.mails == []
