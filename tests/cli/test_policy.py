"""``sluice policy set`` changes what it names and takes nothing else away."""

from __future__ import annotations

import json

import pytest

from sluicegate.cli import policy
from sluicegate.operations import find

TOLD = {"factor_required": True, "addresses": ["192.0.2.0/24"], "sso_required": True, "key_days": 90}


@pytest.fixture
def asked(monkeypatch):
    """What is asked of a server whose tenant has said ``TOLD`` but for the days, which are the installation's."""
    sent = []

    class Server:
        def call(self, operation, ask=None):
            if operation.name == "policy.set":
                sent.append(ask)
            origin = {name: "installation" if name == "key_days" else "tenant" for name in TOLD}
            return {
                "revision": "r1",
                "items": [{"name": name, "value": TOLD[name], "origin": origin[name]} for name in TOLD],
            }

    monkeypatch.setattr(policy, "Server", Server)
    return sent


@pytest.mark.security
@pytest.mark.parametrize(
    ("words", "sent"),
    [
        (("--no-sso-required",), {"factor_required": True, "addresses": ["192.0.2.0/24"], "sso_required": False}),
        (
            ("--password-length", "20"),
            {"factor_required": True, "addresses": ["192.0.2.0/24"], "sso_required": True, "password_length": 20},
        ),
        (("--addresses", "10.0.0.0/8"), {"factor_required": True, "addresses": ("10.0.0.0/8",), "sso_required": True}),
        (("--reset", "addresses", "--reset", "sso-required"), {"factor_required": True}),
        (("--reset", "all", "--key-days", "7"), {"key_days": 7}),
        (("--reset", "all"), {}),
    ],
)
def test_what_is_not_named_stays(call, asked, words, sent):
    assert call("policy", "set", *words).code == 0
    assert asked == [{**sent, "revision": "r1"}]
    assert call("policy", "set", *words, "--revision", "r0").code == 0
    assert asked[1]["revision"] == "r0"  # what was read before this command, and not by it


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "nothing is set"),
        (("--revision", "r0"), "nothing is set"),
        (("--reset", "revision"), "revision"),
        (("--reset", "key-days", "--key-days", "7"), "--key-days is set and reset"),
        (("--reset", "zap"), "zap"),
    ],
)
def test_what_makes_no_sense_changes_nothing(call, asked, words, says):
    told = call("policy", "set", *words)
    assert (told.code, says in told.err) == (2, True)
    assert asked == []
    assert json.loads(call("policy", "set", *words, "--json").out)["error"]["code"] == "usage"


def test_every_setting_can_be_reset():
    choice = next(each for each in policy.command("policy").commands["set"].params if each.name == "reset").type
    assert {each.replace("-", "_") for each in choice.choices} == {"all", *find("policy.set").takes.model_fields} - {
        "revision"
    }
