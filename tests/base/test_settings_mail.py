"""The settings of mail: what does not go together is refused, and the password is shown nowhere."""

from __future__ import annotations

import json

import pytest

from sluicegate.base.errors import Invalid
from sluicegate.base.secret import MASK, SecretText
from sluicegate.base.settings import load

CANARY = "canary://hunter2@relay"
WHOLE = '[mail]\nrelay = "smtp.example.org"\nsender = "s@example.org"\n'


def found(folder, text="", **variables):
    (folder / "sluice.toml").write_text(text)
    return load({"SLUICE_HOME": str(folder), **variables})


def test_a_relay_needs_a_host_and_a_sender_and_speaks_starttls(tmp_path):
    got = found(tmp_path, WHOLE).mail
    assert (got.relay, got.port, got.tls, bool(got.password)) == ("smtp.example.org", 587, "starttls", False)
    assert found(tmp_path).mail.relay == ""


@pytest.mark.security
@pytest.mark.req("SEC-N03")
@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('tls = "off"\n', "this very machine"),
        ('tls = "none"\n', "mail.tls"),
        ('user = "u"\n', "go together"),
        ('password = "p"\n', "go together"),
        ("port = 0\n", "mail.port"),
        ("verify = false\n", "mail.verify"),
    ],
)
def test_what_is_weak_or_half_is_refused(tmp_path, more, says):
    with pytest.raises(Invalid, match=says):
        found(tmp_path, WHOLE + more)


@pytest.mark.security
@pytest.mark.req("SEC-N03")
def test_tls_is_off_for_this_machine_alone_and_then_without_a_password(tmp_path):
    here = WHOLE.replace("smtp.example.org", "localhost") + 'tls = "off"\n'
    assert found(tmp_path, here).mail.tls == "off"
    with pytest.raises(Invalid, match="not sent without TLS"):
        found(tmp_path, here + 'user = "u"\npassword = "p"\n')
    with pytest.raises(Invalid, match="sender is required"):
        found(tmp_path, '[mail]\nrelay = "localhost"\n')


@pytest.mark.security
@pytest.mark.req("SEC-V02")
def test_the_password_stands_in_a_file_and_is_shown_nowhere(tmp_path):
    (tmp_path / "password").write_text(CANARY + "\n")
    for text, variables in (
        (WHOLE + f'user = "u"\npassword = {{ file = "{tmp_path}/password" }}\n', {}),
        (WHOLE + f'user = "u"\npassword = "{CANARY}"\n', {}),
        (WHOLE + 'user = "u"\n', {"SLUICE_MAIL_PASSWORD_FILE": str(tmp_path / "password")}),
        (WHOLE + 'user = "u"\n', {"SLUICE_MAIL_PASSWORD": CANARY}),
    ):
        got = found(tmp_path, text, **variables)
        assert got.mail.password.reveal() == CANARY
        shown = repr(got) + str(got.mail) + got.model_dump_json() + f"{got.mail.password}{got.mail.password!r}"
        assert "hunter2" not in shown
        assert json.loads(got.model_dump_json())["mail"]["password"] == MASK
    assert str(SecretText("")) == ""


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "https://localhost:8443"),
        ('[server]\nnames = ["etl.example.org"]\nport = 443\n', "https://etl.example.org"),
        ('[server]\nnames = ["::1"]\n', "https://[::1]:8443"),
        ('[server]\nurl = "https://out.example.org"\nport = 1\n', "https://out.example.org"),
    ],
)
def test_links_lead_to_where_people_reach_the_server(tmp_path, text, url):
    assert found(tmp_path, text).url == url


@pytest.mark.security
@pytest.mark.parametrize(
    "url",
    [
        "http://a.example",
        "https://a.example/path",
        "https://u@a.example",
        "https://a b",
        "javascript:x",
        "https://a.example/#",
    ],
)
def test_what_is_not_where_a_server_is_is_refused(tmp_path, url):
    with pytest.raises(Invalid, match=r"server\.url"):
        found(tmp_path, f'[server]\nurl = "{url}"\n')
