"""The seal of a store that two servers share: what one of them does to it reaches the other, or stops it."""

from __future__ import annotations

import shutil
import time

import pytest

from tests.fixtures.home import sluice
from tests.fixtures.pair import Caller, apart

__all__ = ["apart"]

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pair"), pytest.mark.security, pytest.mark.timeout(300)]

A, B = 0, 1


def soon(ask, seconds=30.0):
    """Wait until ``ask`` says yes."""
    end = time.monotonic() + seconds
    while not ask():
        assert time.monotonic() < end
        time.sleep(0.05)


def seal(pair, node):
    """Return the files of a node's home that hold its seal."""
    home = pair.nodes[node].home
    return {name: (home / name).read_bytes() for name in ("root.key", "root.seal") if (home / name).exists()}


def root_of(pair, root, node):
    return root.ask(node, "GET", "/seal/about")["root"]


@pytest.mark.req("SEC-V05", "SEC-V06")
def test_keys_are_replaced_on_either_while_both_work_and_both_start_again(apart):
    apart.tenant("acme")
    root, editor = apart.root(), Caller(apart).sign_in("editor@acme.example", "acme")
    soon(lambda: len(root.ask(A, "GET", "/seal/about")["servers"]) == 1)
    seen = {root_of(apart, root, A)}
    for number in range(6):
        node, other = (A, B) if number % 2 == 0 else (B, A)
        made = root.ask(node, "POST", "/seal/renew", {})["root"]
        seen.add(made)
        for each in (other, node):  # at once: nothing is waited for
            told = editor.ask(each, "PUT", f"/secrets/s{number}-{each}", {"value": f"word {number}"})
            assert told["version"] == 1
        soon(lambda other=other, made=made: root_of(apart, root, other) == made)
        soon(lambda: seal(apart, A) == seal(apart, B))
    assert len(seen) == 7
    before = seal(apart, B)
    root.ask(A, "POST", "/system/rekey", {"shut_backups": True})
    for number in range(20):
        editor.ask(B if number % 2 else A, "PUT", f"/secrets/later-{number}", {"value": "x"})
    soon(lambda: seal(apart, A) != before)
    soon(lambda: seal(apart, A) == seal(apart, B))
    trail = root.ask(A, "GET", "/audit?action=vault.retire")["items"]
    assert [each["about"]["vault_key"] for each in trail] == [1], "one of the two has destroyed it, once"
    admin = Caller(apart).sign_in("administrator@acme.example", "acme")
    for node in (A, B):
        apart.nodes[node].stop()
        apart.nodes[node].start()
        found = admin.ask(node, "GET", "/vault")
        assert (found["secrets"], found["waiting"]) == (32, 0)


@pytest.mark.req("SEC-V05")
def test_a_server_that_is_handed_nothing_stops_and_says_what_to_do(apart):
    root, other = apart.root(), apart.nodes[B]
    before = seal(apart, B)
    made = root.ask(A, "POST", "/seal/renew", {"alone": True})["root"]
    assert other.child.wait(30) == 1
    said = (other.folder / "server.log").read_text()
    assert "has not got the root key" in said
    assert seal(apart, B) == before, "it has nothing, and writes nothing"
    again = sluice(other.home, "serve", "--port", "0", expect=None)
    assert again.returncode not in (0, 1), "the settings must change"
    for told in ("does not open this store", made, "copy root.key or root.seal"):
        assert told in again.stdout + again.stderr
    shutil.copyfile(apart.nodes[A].home / "root.key", other.home / "root.key")
    other.start()
    assert root_of(apart, root, B) == made


@pytest.mark.req("SEC-V06")
def test_another_seal_and_closing_it_reach_both(apart):
    root = apart.root()
    soon(lambda: len(root.ask(A, "GET", "/seal/about")["servers"]) == 1)
    made = root.ask(A, "POST", "/seal/change", {"to": "shamir"})
    assert root.send(B, "POST", "/seal/confirm", {"shares": made["shares"][:3]})[0] == 409, "who handed them out"
    root.ask(A, "POST", "/seal/confirm", {"shares": made["shares"][:3]})
    soon(lambda: seal(apart, A) == seal(apart, B))
    assert set(seal(apart, B)) == {"root.seal"}
    assert root.ask(B, "GET", "/seal/about")["seal"] == "shamir"
    root.ask(B, "POST", "/seal/close", {})
    anybody = Caller(apart)
    for node in (A, B):
        soon(lambda node=node: state(anybody, node) == "sealed")
    for node in (B, A):
        for share in made["shares"][2:]:
            anybody.ask(node, "POST", "/seal/open", {"share": share})
        soon(lambda node=node: state(anybody, node) == "ok")
    assert root_of(apart, apart.root(), A) == root_of(apart, apart.root(), B)


def state(caller, node):
    try:
        return caller.send(node, "GET", "/health")[1]["status"]
    except Exception:  # noqa: BLE001 - it is between two programs
        return ""
