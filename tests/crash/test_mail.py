"""The server dies while a mail is on its way: it comes all the same, and the link in it works."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
import time
from pathlib import Path

import pytest

from tests.fixtures.home import PASSWORD, Served, sluice
from tests.fixtures.relay import Relay, hostile

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
ADA = "ada@acme.example"


def rows(server, sql, *values):
    with sqlite3.connect(server.home / "store.db", timeout=20) as link:
        found = link.execute(sql, values).fetchall()
    link.close()
    return found


def until(happens, seconds=60.0):
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


@pytest.mark.security
@pytest.mark.parametrize("when", ["before the try", "during the try"])
def test_a_mail_survives_kill_9(when):
    with tempfile.TemporaryDirectory(prefix="sluice-mail-") as name:
        server = Served(Path(name))
        met = threading.Event()

        def silent(sock):
            met.set()
            while sock.recv(4096):
                pass

        with hostile(silent) as port:
            with (server.home / "sluice.toml").open("a") as out:
                out.write(f'[mail]\nrelay = "127.0.0.1"\nport = {port}\ntls = "off"\nsender = "sluice@acme.example"\n')
            server.start()
            try:
                server.settle()
                sluice(server.folder / "root", "user", "invite", ADA, "--role", "viewer")
                if when == "during the try":
                    until(met.is_set)
                server.kill()
            finally:
                server.stop()
        ((state, tries),) = rows(server, "select state, tries from outbox where kind = 'invitation'")
        assert state == "waiting"
        assert tries <= 1
        rows(server, "update outbox set due = 0")  # the time that a try may take has passed
        with Relay(None, port=port) as relay:
            server.start()
            try:
                until(lambda: relay.got.to(ADA))
                until(lambda: rows(server, "select state from outbox where kind = 'invitation'") == [("sent",)])
                assert len(relay.got.to(ADA)) == 1
                link = server.folder / "link.txt"
                link.write_text(next(word for word in relay.got.to(ADA)[0].get_content().split() if "/#/" in word))
                password = server.folder / "p.txt"
                password.write_text(PASSWORD)
                me = sluice(
                    server.folder / "ada", "accept", "--ca", str(server.ca), "--link-file", str(link), "--name", "Ada",
                    "--password-file", str(password),
                )  # fmt: skip
                assert me["email"] == ADA
            finally:
                server.stop()
                server.close()
