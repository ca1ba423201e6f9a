"""The attack suite: green against the real server, red against servers that do one thing wrong each."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from sluicegate.base.errors import Invalid
from sluicegate.base.secret import Secret
from sluicegate.conformance.tokens import suite
from sluicegate.conformance.tokens.__main__ import main
from sluicegate.conformance.tokens.client import Account, Target, bare
from tests.fixtures.home import served  # noqa: F401 - a fixture
from tests.fixtures.leaky import EMAIL, FLAWS, PASSWORD, serve_leaky

pytestmark = [pytest.mark.security]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = trustme.CA()
    made.file = tmp_path_factory.mktemp("ca") / "ca.pem"
    made.cert_pem.write_to_path(str(made.file))
    return made


def attack(server, authority, **more):
    target = Target(server.url, authority.file)
    try:
        return list(suite.run(target, Account(EMAIL, Secret(PASSWORD)), authority.file.read_bytes(), **more))
    finally:
        target.close()


def red(found):
    return {(each.group, each.name) for each in found if not each.ok}


@pytest.mark.req("SEC-T01", "SEC-T12", "SEC-T13")
def test_a_server_that_does_it_right_is_green(authority):
    with serve_leaky(authority) as server:
        found = attack(server, authority)
    assert red(found) == set()
    assert len(found) > 230
    assert len({(each.group, each.name) for each in found}) == len(found), "each has a name of its own"
    assert {each.group for each in found} == {
        "good", "algorithm", "keys", "claims", "signature", "form", "proof", "place", "refresh", "sign-out",
    }  # fmt: skip


@pytest.mark.req("SEC-T01", "SEC-T02", "SEC-T04", "SEC-T07", "SEC-T12", "SEC-T13", "SEC-T19")
@pytest.mark.parametrize("flaw", FLAWS)
def test_a_server_that_does_one_thing_wrong_is_red_for_it(authority, flaw):
    with serve_leaky(authority, flaw) as server:
        found = red(attack(server, authority))
    assert FLAWS[flaw] in found, found


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.req("SEC-T01", "SEC-T02", "SEC-T04", "SEC-T07", "SEC-T08", "SEC-T12", "SEC-T13", "SEC-T19")
def test_the_real_server_refuses_every_attack(served):  # noqa: F811 - the fixture
    served.settle()
    done = run(
        served.url, "--ca", served.ca, "--tenant", "acme", "--email", "editor@example.org",
        "--password-file", served.folder / "password.txt", "--json",
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert [each for each in told["findings"] if not each["ok"]] == []
    assert (done.returncode, told["ok"], done.stderr) == (0, True, "")
    log = (served.folder / "server.log").read_text()
    assert "Traceback" not in log
    assert '"log.level": "error"' not in log


def run(*words):
    """Run it as others do."""
    command = [sys.executable, "-m", "sluicegate.conformance.tokens", *map(str, words)]
    source = Path(suite.__file__).parents[3]
    environment = {"PYTHONPATH": str(source), "PATH": "/usr/bin"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=200)


def words(server, authority, tmp_path, *more):
    (tmp_path / "password").write_text(PASSWORD + "\n")
    return [
        server.url,
        "--ca",
        str(authority.file),
        "--email",
        EMAIL,
        "--password-file",
        str(tmp_path / "password"),
        *more,
    ]


def test_it_prints_a_table_and_ends_with_what_came_of_it(authority, tmp_path, capsys):
    with serve_leaky(authority) as server:
        assert main(words(server, authority, tmp_path)) == 0
    out = capsys.readouterr().out
    assert out.endswith("findings, none red\n")
    with serve_leaky(authority, "alg none") as server:
        assert main(words(server, authority, tmp_path)) == 1
        assert "RED  200" in capsys.readouterr().out
        assert main(words(server, authority, tmp_path, "--json")) == 1
        told = json.loads(capsys.readouterr().out)
    assert {"group": "algorithm", "name": "alg 'none', no signature", "ok": False, "told": "200"} in told["findings"]
    assert told["ok"] is False


def test_what_keeps_it_from_beginning_is_told_in_a_line(authority, tmp_path, capsys):
    with serve_leaky(authority) as server:
        given = words(server, authority, tmp_path)
        (tmp_path / "password").write_text("canary-not-the-password")
        assert main(given) == 2
        (tmp_path / "password").write_text("\n")
        assert main(given) == 2
        (tmp_path / "password").unlink()
        assert main(given) == 2
        assert main([server.url, *given[3:]]) == 2, "its certificate is nobody's we know"
    assert main(["http://127.0.0.1:1", *given[1:]]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert all(line.startswith(("tokens: ", "        ")) for line in told.err.splitlines())
    assert "canary" not in told.err
    assert "Traceback" not in told.err


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([{"standing": "factor", "access": "a", "refresh": "", "expires_in": 300}], "second factor is owed"),
        ([{"standing": "password", "access": "a", "refresh": "r", "expires_in": 300}], "has not finished signing in"),
    ],
)
def test_a_sign_in_that_is_not_finished_is_told(monkeypatch, answers, why):
    target = Target("https://127.0.0.1:1", None)
    monkeypatch.setattr(target, "post", lambda *_, **__: _Reply(answers.pop(0)))
    with pytest.raises(Invalid, match=why):
        target.sign_in(Account("a@b.example", Secret("x")))


class _Reply:
    status, headers = 200, {}

    def __init__(self, told):
        self.body = json.dumps(told).encode()


def test_headers_are_sent_as_they_are_given():
    assert bare("t", None) == (("authorization", "DPoP t"),)
    assert bare("t", "p", ("dpop", "q")) == (("authorization", "DPoP t"), ("dpop", "p"), ("dpop", "q"))
