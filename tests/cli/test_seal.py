"""The seal from the command line, against a real server: ceremony, sealed start, sealing again, rehearsal."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import pytest

from tests.fixtures.home import Served, sluice
from tests.fixtures.unsealing import WORDS


@pytest.fixture(scope="module")
def sealed():
    """Give a server that has been moved from its key file to shares, and the shares."""
    with tempfile.TemporaryDirectory(prefix="sluice-seal-") as folder:
        server = Served(Path(folder))
        server.start()
        try:
            server.settle()
            root = server.folder / "root"
            made = sluice(root, "seal", "change", "--to", "shamir")
            assert (made["done"], len(made["shares"])) == (False, 5)
            sluice(root, "seal", "confirm", "--file", "-", told="\n".join(made["shares"][:3]))
            assert sluice(root, "seal", "about")["seal"] == "shamir"
            server.shares = made["shares"]
            yield server
        finally:
            server.stop()
            server.close()


def give(server, home, share, expect=0):
    return sluice(
        home, "unseal", "--url", server.url, "--ca", str(server.ca), "--file", "-", told=share + "\n", expect=expect
    )


def wait(server, home, sealed):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = sluice(home, "seal", "get", expect=None)
        if found.returncode == 0 and json.loads(found.stdout)["sealed"] is sealed:
            return
        time.sleep(0.2)
    raise AssertionError((server.folder / "server.log").read_text()[-2000:])


@pytest.mark.slow
@pytest.mark.security
@pytest.mark.req("SEC-V06")
@pytest.mark.timeout(300)
def test_the_ceremony_from_end_to_end(sealed):
    root = sealed.folder / "root"
    assert not (sealed.home / "root.key").exists()
    pid = sealed.child.pid
    sluice(root, "seal", "close")
    wait(sealed, root, True)
    assert sealed.child.pid == pid
    assert sealed.child.poll() is None, "the same process, and a new program in it"
    refused = sluice(root, "flow", "list", expect=1)
    assert refused["error"]["code"] == "sealed"
    assert [give(sealed, root, each)["given"] for each in sealed.shares[:2]] == [1, 2]
    assert give(sealed, root, "sgs1-nothing", expect=2)["error"]["code"] == "invalid"
    assert give(sealed, root, sealed.shares[4])["sealed"] is False
    assert sluice(root, "tenant", "list")["items"], "who was signed in still is"
    log = (sealed.folder / "server.log").read_text()
    assert not any(each[20:60] in log for each in sealed.shares)


@pytest.mark.slow
@pytest.mark.security
@pytest.mark.req("SEC-V06")
@pytest.mark.timeout(300)
def test_init_with_a_passphrase(tmp_path):
    home = tmp_path / "home"
    cost = {"SLUICE_PASSPHRASE_MEMORY": "19456", "SLUICE_PASSPHRASE_ROUNDS": "2"}
    short = sluice(home, "init", "--seal", "passphrase", "--passphrase-file", "-", told="short", expect=2, **cost)
    assert "20 to 1024" in short["error"]["title"]
    made = sluice(home, "init", "--seal", "passphrase", "--passphrase-file", "-", told=WORDS, **cost)
    assert "root.seal" in made["made"]
    assert WORDS not in (home / "root.seal").read_text()
    again = sluice(home, "init", "--seal", "shamir", expect=1)
    assert again["error"]["code"] == "conflict"


@pytest.mark.slow
@pytest.mark.security
@pytest.mark.req("SEC-B09")
def test_a_rehearsal_needs_no_server_and_no_home(tmp_path):
    found = sluice(tmp_path / "none", "seal", "rehearse")
    assert (len(found["shares"]), found["opened"], found["stayed_shut"]) == (5, 10, 10)
    assert not (tmp_path / "none").exists()
