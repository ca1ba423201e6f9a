from __future__ import annotations

import json
import stat
import time

import pyotp
import pytest

from tests.fixtures.home import PASSWORD

pytestmark = pytest.mark.slow


def enter(place, *more):
    return (
        "login",
        "--url",
        place.server.url,
        "--ca",
        place.server.ca,
        "--tenant",
        "acme",
        "--email",
        "editor@example.org",
        *more,
    )


def test_sign_in_by_file_standard_input_and_variable(place, call, tmp_path, secret_file, monkeypatch):
    told = call(*enter(place, "--password-file", secret_file))
    assert told.code == 0, told
    assert told.out == f"Signed in to {place.server.url} as editor@example.org (editor, tenant acme).\n"
    assert call(*enter(place, "--password-file", "-"), told=PASSWORD).code == 0
    assert call(*enter(place, "--json"), told=PASSWORD + "\n").json["email"] == "editor@example.org"
    monkeypatch.setenv("SLUICE_PASSWORD", PASSWORD)
    assert call(*enter(place)).code == 0
    assert PASSWORD not in (tmp_path / "home" / "login.json").read_text()
    assert stat.S_IMODE((tmp_path / "home" / "login.json").stat().st_mode) == 0o600


@pytest.mark.security
def test_a_prompt_hides_the_password(monkeypatch):
    asked = []
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda _self: True})())
    from sluicegate.cli.table import read_secret

    assert read_secret("password", None, lambda label, **how: asked.append((label, how)) or "typed") == "typed"
    assert asked == [("Password", {"hide_input": True})]


@pytest.mark.security
def test_a_wrong_password_is_denied_and_told_nowhere(place, call):
    told = call(*enter(place), told="canary-not-the-password")
    assert told.code == 4
    assert len(told.err.splitlines()) <= 2
    assert "canary" not in told.out + told.err
    assert call("whoami").code == 4
    asked = call(*enter(place, "--json"), told="canary")
    assert asked.json["error"]["code"] == "unauthenticated"


def test_sign_out_ends_it_here_and_on_the_server(place, call, tmp_path, secret_file):
    assert call(*enter(place, "--password-file", secret_file)).code == 0
    kept = (tmp_path / "home" / "login.json").read_text()
    assert call("whoami", "--json").json["role"] == "editor"
    assert call("logout").code == 0
    assert not (tmp_path / "home" / "login.json").exists()
    assert call("logout", "--json").json == {"signed_out": True}
    state = json.loads(kept)
    state["until"] = 0
    (tmp_path / "home" / "login.json").write_text(json.dumps(state))
    told = call("whoami")
    assert (told.code, told.err.splitlines()[0]) == (4, "sluice: Your sign-in is over.")


def test_a_first_password_must_be_changed(place, call, tmp_path, secret_file):
    made = call("user", "create", "fresh@example.org", "--role", "viewer", "--json", home=place.root)
    words = [
        "login",
        "--url",
        place.server.url,
        "--ca",
        place.server.ca,
        "--tenant",
        "acme",
        "--email",
        "fresh@example.org",
    ]
    told = call(*words, told=made.json["password"])
    assert told.code == 2
    assert "a new password must be chosen" in told.err
    assert not (tmp_path / "home" / "login.json").exists()
    assert call(*enter(place, "--password-file", secret_file)).code == 0
    kept = (tmp_path / "home" / "login.json").read_bytes()
    assert call(*words, told=made.json["password"]).code == 2
    short = tmp_path / "short.txt"
    short.write_text("short")
    once = tmp_path / "once.txt"
    once.write_text(made.json["password"])
    assert call(*words, "--password-file", once, "--new-password-file", short).code == 2
    assert (tmp_path / "home" / "login.json").read_bytes() == kept, "who was signed in before stays so"
    assert call("whoami", "--json").json["email"] == "editor@example.org"
    first = tmp_path / "first.txt"
    first.write_text(made.json["password"])
    new = tmp_path / "new.txt"
    new.write_text("twelve quiet foxes by the sea")
    assert call(*words, "--password-file", first, "--new-password-file", new).code == 0
    assert call("passwd", "--old-file", new, "--new-file", secret_file, "--json").json == {"changed": True}
    assert call(*words, "--password-file", new).code == 4
    assert call(*words, "--password-file", secret_file).code == 0


def test_wrong_use_is_told(place, call, tmp_path):
    assert call("login", "--url", place.server.url, told=PASSWORD).code == 2
    assert call(*enter(place, "--password-file", tmp_path / "none")).code == 2
    assert call("login", "--url", "http://localhost", "--email", "e@x", told="p").code == 2


@pytest.mark.security
def test_the_code_for_the_first_administrator_works_once(place, call, secret_file):
    told = call(
        "bootstrap", "--url", place.server.url, "--ca", place.server.ca, "--code-file", place.server.folder / "code.txt",
        "--email", "thief@example.org", "--name", "Thief", "--password-file", secret_file,
    )  # fmt: skip
    assert told.code != 0
    assert call("whoami").code == 4


def _code(seed, file):
    """Write the code that an app shows next: none is shown twice."""
    totp = pyotp.TOTP(seed)
    while (code := totp.now()) == (file.read_text() if file.exists() else ""):
        time.sleep(0.5)
    file.write_text(code)
    return file


@pytest.mark.security
@pytest.mark.req("SEC-A09", "SEC-A12")
def test_a_second_factor_from_setting_up_to_signing_in(place, call, tmp_path, secret_file):
    made = call("user", "create", "two@example.org", "--role", "editor", "--json", home=place.root).json
    who = [*enter(place)[:-1], "two@example.org"]
    first, code = tmp_path / "first.txt", tmp_path / "code.txt"
    first.write_text(made["password"])
    assert call(*who, "--password-file", first, "--new-password-file", secret_file).code == 0
    begun = call("factor", "begin", "--name", "phone", "--json").json
    assert begun["uri"].startswith("otpauth://totp/")
    wrong = call("factor", "confirm", begun["id"], "--code-file", "-", told="000000")
    assert (wrong.code, "wrong or has been used" in wrong.err) == (2, True)
    codes = call("factor", "confirm", begun["id"], "--code-file", _code(begun["seed"], code), "--json").json["codes"]
    assert len(codes) == 10
    call("logout")
    told = call(*who, "--password-file", secret_file, "--code-file", "-", told="000000")
    assert told.code == 2
    assert call("whoami").code == 4, "half a sign-in is none"
    assert call(*who, "--password-file", secret_file, "--code-file", _code(begun["seed"], code)).code == 0
    assert call("prove", "--password-file", secret_file, "--code-file", "-", told=codes[0]).code == 0
    assert call("prove", "--password-file", secret_file, "--code-file", "-", told=codes[0]).code == 2
    assert call("factor", "list", "--json").json["codes_left"] == 9


@pytest.mark.security
@pytest.mark.req("SEC-T16")
def test_the_signing_key_is_replaced_under_the_hands_of_everybody(place, call, secret_file):
    assert call(*enter(place, "--password-file", secret_file)).code == 0
    assert call("system", "rotate").code == 4, "not by an editor"
    for words in (("system", "rotate"), ("system", "rotate", "--at-once")):
        assert call(*words, "--json", home=place.root).json["kid"]
        assert call("whoami").code == 0, "a token that is void now is traded for a new one, unseen"


@pytest.mark.security
def test_a_superadmin_switches_and_nobody_else(place, call, tmp_path, secret_file):
    call("tenant", "create", "switched", home=place.root)
    home = tmp_path / "root"
    words = ["login", "--url", place.server.url, "--ca", place.server.ca, "--email", "root@example.org"]
    assert call(*words, "--password-file", secret_file, home=home).code == 0
    assert call("flow", "list", home=home).code == 2
    assert call("switch", "switched", "--json", home=home).json == {"tenant": "switched"}
    assert call("whoami", "--json", home=home).json["tenant_name"] == "switched"
    assert call("flow", "list", "--json", home=home).json == {"items": []}
    state = json.loads((home / "login.json").read_text())
    (home / "login.json").write_text(json.dumps({**state, "until": 0}))
    assert call("whoami", "--json", home=home).json["tenant_name"] == "switched", "a refresh stays there"
    assert call("switch", "--none", home=home).out.split() == ["tenant", "none"]
    assert call("whoami", "--json", home=home).json["tenant"] is None
    for wrong in ((), ("switched", "--none")):
        assert call("switch", *wrong, home=home).code == 2
    told = call("switch", "switched", home=place.editor)
    assert told.code == 4
    assert call("whoami", "--json", home=place.editor).json["tenant_name"] == "acme"
