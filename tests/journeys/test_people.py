"""A person's way in and back in, by command line and mail, against a real server and a real relay."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest

from sluicegate.crypto import tls
from tests.fixtures.home import PASSWORD, Served, sluice
from tests.fixtures.relay import Relay

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("people")]
NEW = "eight slow trains before dawn"
ADA = "ada@acme.example"


@pytest.fixture(scope="module")
def town():
    with tempfile.TemporaryDirectory(prefix="sluice-people-") as name:
        folder = Path(name)
        (folder / "relay").mkdir()
        tls.create_authority(folder / "relay")
        tls.issue_server(folder / "relay", ("localhost", "127.0.0.1"))
        (folder / "relay-password").write_text("a canary of the relay\n")
        with Relay(folder / "relay", user="sluice", password="a canary of the relay") as relay:
            server = Served(folder)
            with (server.home / "sluice.toml").open("a") as out:
                out.write(
                    f'[mail]\nrelay = "127.0.0.1"\nport = {relay.port}\nsender = "sluice@acme.example"\nuser = "sluice"\n'
                )
                out.write(f'ca = "{folder}/relay/ca.pem"\npassword = {{ file = "{folder}/relay-password" }}\n')
            server.start()
            try:
                server.settle()
                server.relay = relay
                yield server
            finally:
                server.stop()
                server.close()


def mail_to(town, recipient, count=1, seconds=60.0):
    end = time.monotonic() + seconds
    while len(town.relay.got.to(recipient)) < count:
        assert time.monotonic() < end, "no mail came"
        time.sleep(0.05)
    return town.relay.got.to(recipient)[-1].get_content()


def link_in(text):
    return next(word for word in text.split() if "/#/" in word)


def keep(town, name, text):
    file = town.folder / name
    file.write_text(text)
    return str(file)


@pytest.mark.security
@pytest.mark.req("SEC-A08", "SEC-A16", "SEC-A18", "SEC-T19")
def test_from_the_invitation_to_a_forgotten_password_and_back(town):
    root, ada = town.folder / "root", town.folder / "ada"
    password, new = keep(town, "p.txt", PASSWORD), keep(town, "n.txt", NEW)
    sent = sluice(root, "user", "invite", ADA, "--role", "viewer")
    assert (sent["email"], sent["link"]) == (ADA, None)
    link = link_in(mail_to(town, ADA))
    assert link.startswith(f"{town.url}/#/invitation/lt_")
    at = ("--ca", str(town.ca), "--link-file", keep(town, "link.txt", link + "\n"))
    me = sluice(ada, "accept", *at, "--name", "Ada Marsh", "--password-file", password)
    assert (me["name"], me["role"], me["tenant_name"]) == ("Ada Marsh", "viewer", "acme")
    again = sluice(town.folder / "eve", "accept", *at, "--name", "Eve", "--password-file", password, expect=4)
    assert again["error"]["code"] == "unauthenticated"

    where = {"SLUICE_URL": town.url, "SLUICE_CA": str(town.ca)}
    sluice(town.folder / "lost", "password", "forgot", ADA, "--tenant", "acme", **where)
    token = keep(town, "reset.txt", link_in(mail_to(town, ADA, 2)))
    sluice(town.folder / "lost", "password", "reset", "--token-file", token, "--password-file", new, **where)
    enter = ("login", "--url", town.url, "--ca", str(town.ca), "--tenant", "acme", "--email", ADA, "--password-file")
    assert sluice(ada, "whoami", expect=4)["error"]["code"] == "unauthenticated"
    assert sluice(ada, *enter, password, expect=4)["error"]["code"] == "unauthenticated"
    assert sluice(ada, *enter, new)["email"] == ADA
    assert sluice(town.folder / "phone", *enter, new)["email"] == ADA
    assert "set anew through a one-time link" in mail_to(town, ADA, 3)

    grants = sluice(ada, "grant", "list")["items"]
    assert [each["current"] for each in grants].count(True) == 1
    assert sluice(ada, "grant", "others")["count"] == len(grants) - 1
    assert sluice(town.folder / "phone", "whoami", expect=4)["error"]["code"] == "unauthenticated"
    assert {each["kind"] for each in sluice(ada, "notice", "list")["items"]} == {
        "password_reset"
    }  # the address is known
    assert sluice(ada, "profile", "update", "--name", "Ada M.", "--zone", "Europe/Berlin")["name"] == "Ada M."
    states = {each["state"] for each in sluice(root, "mail", "list")["items"]}
    assert states <= {"sent", "waiting"}
    log = (town.folder / "server.log").read_text()
    for secret in (link.rpartition("/")[2], Path(token).read_text().rpartition("/")[2], "canary of the relay"):
        assert secret not in log


def test_an_invitation_is_sent_again_and_cancelled(town):
    root = town.folder / "root"
    sent = sluice(root, "user", "invite", "bob@acme.example", "--role", "viewer", "--name", "Bob")
    mail_to(town, "bob@acme.example")
    sluice(root, "invitation", "resend", sent["id"])
    mail_to(town, "bob@acme.example", 2)
    sluice(root, "invitation", "cancel", sent["id"])
    users = {each["email"]: each for each in sluice(root, "user", "list")["items"]}
    assert users["bob@acme.example"]["state"] == "disabled"
    sluice(root, "mail", "test")
    assert "reaches you" in mail_to(town, "root@example.org")


@pytest.mark.security
def test_settings_show_no_password(town):
    shown = sluice(town.home, "settings")
    told = {each["setting"]: each["value"] for each in shown["items"]}
    assert told["mail.password"] == "********"
    assert "canary" not in str(shown)
