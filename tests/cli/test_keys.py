"""Keys on the command line, and jobs that have nothing else."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request

import pytest

from tests.fixtures.home import sluice

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(place):
    """Give an administrator's home, and a key of a service user."""
    home = place.user("administrator")
    robot = sluice(home, "service", "create", "nightly", "--role", "operator")
    key = sluice(
        home, "key", "create", "nightly-run", "--user", robot["id"], "--days", "30", "--scopes", "flow:read", "--scopes",
        "run:read", "--scopes", "run:control", "--scopes", "self:use", "--addresses", "127.0.0.0/8", "--addresses", "::1",
    )  # fmt: skip
    return home, robot, key


def job(place, tmp_path, *words, expect=0, **variables):
    """Run a command as a job does: no sign-in, an empty home, the key from the environment."""
    home = tmp_path / "job"
    done = sluice(home, *words, expect=expect, SLUICE_URL=place.server.url, SLUICE_CA=str(place.server.ca), **variables)
    assert not home.exists() or not [each for each in home.rglob("*") if each.is_file()], "nothing is kept"
    return done


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_a_job_needs_a_key_and_no_sign_in(place, made, tmp_path):
    home, robot, key = made
    me = job(place, tmp_path, "whoami", SLUICE_API_KEY=key["key"])
    assert (me["id"], me["role"], me["email"]) == (robot["id"], "operator", "nightly")
    file = tmp_path / "key"
    file.write_text(key["key"] + "\n")
    assert job(place, tmp_path, "runs", SLUICE_API_KEY_FILE=str(file)) is not None
    denied = job(place, tmp_path, "user", "list", expect=None, SLUICE_API_KEY=key["key"])
    assert denied.returncode == 4
    shown = next(each for each in sluice(home, "key", "list")["items"] if each["id"] == key["id"])
    assert (shown["state"], shown["owner"], shown["last_address"]) == ("active", "nightly", "127.0.0.1")
    assert shown["uses"] >= 3
    assert key["key"] not in json.dumps(shown)


@pytest.mark.security
@pytest.mark.req("SEC-K01")
def test_a_key_that_is_wrong_or_given_twice_is_told_and_not_repeated(place, made, tmp_path):
    _, _, key = made
    wrong = key["key"][:-8] + "A" * 8
    told = job(place, tmp_path, "whoami", expect=None, SLUICE_API_KEY=wrong)
    assert (told.returncode, wrong in told.stdout + told.stderr) == (4, False)
    for variables in (
        {"SLUICE_API_KEY": wrong, "SLUICE_API_KEY_FILE": "x"},
        {"SLUICE_API_KEY_FILE": str(tmp_path / "none")},
    ):
        told = job(place, tmp_path, "whoami", expect=None, **variables)
        assert (told.returncode, wrong in told.stdout + told.stderr) == (2, False)


def token(place, key, **fields):
    """Ask for a token as any OAuth client does."""
    body = urllib.parse.urlencode({"grant_type": "client_credentials", **fields}).encode()
    context = ssl.create_default_context(cafile=str(place.server.ca))
    request = urllib.request.Request(f"{place.server.url}/oauth/token", body)
    import base64

    request.add_header("Authorization", "Basic " + base64.b64encode(f"{key['id']}:{key['key']}".encode()).decode())
    with urllib.request.urlopen(request, context=context) as answer:
        return json.loads(answer.read())


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-K02")
def test_an_oauth_client_gets_a_token_until_the_key_is_revoked(place, made):
    home, robot, _ = made
    key = sluice(home, "key", "create", "metrics", "--user", robot["id"], "--scopes", "flow:read")
    told = token(place, key)
    assert (told["token_type"], told["scope"]) == ("Bearer", "flow:read")
    context = ssl.create_default_context(cafile=str(place.server.ca))
    request = urllib.request.Request(f"{place.server.url}/api/v1/flows")
    request.add_header("Authorization", f"Bearer {told['access_token']}")
    with urllib.request.urlopen(request, context=context) as answer:
        assert json.loads(answer.read())["items"]
    assert sluice(home, "key", "leaked", told=key["key"]) == {}
    for ask in (lambda: token(place, key), lambda: urllib.request.urlopen(request, context=context)):
        with pytest.raises(urllib.error.HTTPError) as fault:
            ask()
        assert fault.value.code == 401
        fault.value.close()
    states = {each["id"]: each["state"] for each in sluice(home, "key", "list")["items"]}
    assert states[key["id"]] == "leaked"


def test_the_rules_of_a_tenant_are_shown_and_set(place, made):
    home, *_ = made
    lists = ("--addresses", "127.0.0.0/8", "--addresses", "::1/128")
    made = sluice(home, "policy", "set", "--key-days", "60", "--no-key-proof", *lists)
    told = {each["name"]: each["origin"] for each in made.pop("items")}
    assert (made["addresses"], made["key_days"], made["key_proof"]) == (["127.0.0.0/8", "::1/128"], 60, False)
    assert {name for name, origin in told.items() if origin == "tenant"} == {"addresses", "key_days", "key_proof"}
    assert sluice(home, "policy", "get")["key_days"] == 60
    again = sluice(home, "policy", "set", "--key-days", "50")
    assert (again["addresses"], again["key_days"]) == (["127.0.0.0/8", "::1/128"], 50), "what is not named stays"
    away = sluice(home, "policy", "set", "--addresses", "192.0.2.0/24", expect=None)
    assert away.returncode == 2
    assert "lock you out" in away.stdout
    sluice(home, "policy", "set", "--reset", "all")
    assert os.environ.get("SLUICE_API_KEY") is None
