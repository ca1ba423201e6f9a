"""``sluice login --sso`` as a person uses it: real server, real provider, and a browser that goes where it is told."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from urllib.parse import urlsplit

import httpx
import pytest

from sluicegate.base.errors import Unauthenticated
from sluicegate.cli import sso
from tests.fixtures.home import served, sluice
from tests.fixtures.idp import ask, provider

__all__ = ["served"]


def begin(home, *words):
    """Start a command that sends somebody to their browser."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "SLUICE_HOME": str(home),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "sluicegate", *words, "--json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def address(child):
    for line in child.stderr:
        if found := re.search(r"https://\S+/auth\?\S+", line):
            return found[0]
    raise AssertionError(child.stdout.read())


@pytest.mark.slow
@pytest.mark.security
@pytest.mark.req("SEC-A13", "SEC-T12")
def test_a_person_signs_in_by_their_browser_and_works_on(served):
    with (served.home / "sluice.toml").open("a") as out:
        out.write('\n[[egress]]\nhost = "127.0.0.1"\n')
    served.stop()
    served.start()
    served.settle()
    root = served.folder / "root"
    with provider() as idp:
        file = served.folder / "client-secret.txt"
        file.write_text(ask(idp)["secret"])
        (served.folder / "idp-ca.pem").write_text(idp.ca)
        shown = sluice(
            root, "sso", "set", "--issuer", idp.issuer, "--client-id", "sluice", "--secret-file", str(file), "--ca", idp.ca,
            "--roles", "eng=editor", "--roles", "a=b=viewer", "--domains", "corp.example",
        )  # fmt: skip
        assert shown["roles"] == [{"group": "eng", "role": "editor"}, {"group": "a=b", "role": "viewer"}]
        assert shown["scopes"] == ["openid", "email", "profile"]
        assert sluice(root, "sso", "test")["ok"] is True

        home = served.folder / "ann"
        child = begin(home, "login", "--sso", "--url", served.url, "--ca", str(served.ca), "--tenant", "acme")
        back = idp.visit(address(child))
        port = urlsplit(idp.codes[back["code"]][0]["redirect_uri"]).port
        bogus = httpx.get(
            f"http://127.0.0.1:{port}/sso/callback/x", params={**back, "state": "another"}, trust_env=False
        )
        assert bogus.status_code == 404
        place = f"http://127.0.0.1:{port}/sso/callback/{back.pop('at')}"
        assert httpx.get(place, params=back, trust_env=False).status_code == 200
        out, _ = child.communicate(timeout=60)
        assert child.returncode == 0, out
        assert (json.loads(out)["email"], json.loads(out)["role"]) == ("ann@corp.example", "editor")
        assert sluice(home, "whoami")["name"] == "Ann"
        kept = json.loads((home / "login.json").read_text())
        assert kept["sso"] is True
        child = begin(home, "prove", "--sso")
        back = idp.visit(address(child))
        place = f"{idp.codes[back['code']][0]['redirect_uri']}"
        back.pop("at")
        assert httpx.get(place, params=back, trust_env=False).status_code == 200
        out, _ = child.communicate(timeout=60)
        assert (child.returncode, json.loads(out)) == (0, {"proved": True}), out
        refused = sluice(home, "login", "--sso", "--url", served.url, "--ca", str(served.ca), expect=2)
        assert "tenant" in refused["error"]["title"]
        nowhere = sluice(
            home, "login", "--sso", "--tenant", "nowhere", "--url", served.url, "--ca", str(served.ca), expect=1
        )
        assert nowhere["error"]["code"] == "missing"
        assert sluice(root, "sso", "remove") == {}


@pytest.mark.security
@pytest.mark.req("SEC-A13")
def test_an_answer_without_a_code_lets_nobody_in(monkeypatch):
    class Door:
        port = 50000

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def wait(self, wanted, _seconds):
            assert not wanted("/x", "state=t")
            assert wanted("/x", "state=s")
            return "/sso/callback/t", "state=s&error=access_denied"

    class Server:
        def call(self, _operation, told):
            assert told == {"tenant": "acme", "port": 50000}
            return {"url": "https://id.example/auth?state=s"}

    monkeypatch.setattr("sluicegate.kit.net.Loopback", Door)
    with pytest.raises(Unauthenticated, match="let nobody in"):
        sso.go(Server(), None, {"tenant": "acme"})
