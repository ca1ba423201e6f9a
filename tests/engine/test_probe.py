"""The self-test finds each wall, and each that only claims to stand."""

from __future__ import annotations

import json

import pytest

from sluicegate.engine import confine
from sluicegate.engine.probe import Level, probe


@pytest.mark.security
@pytest.mark.req("SEC-S06")
def test_the_probe_finds_every_layer_here():
    level = probe()
    assert level == Level(bwrap=True, userns=True, landlock=confine.landlock_abi(), seccomp=True, rlimits=True,
                               ok=True, missing=(), tier="full")  # fmt: skip
    assert level.landlock >= 1
    assert json.loads(level.model_dump_json())["tier"] == "full"


@pytest.mark.security
def test_with_bubblewrap_the_fallback_setting_changes_nothing():
    assert probe(fallback=True).tier == "full"


@pytest.mark.security
@pytest.mark.req("SEC-S06")
@pytest.mark.parametrize(
    ("name", "old", "new", "found"),
    [
        ("jailed.py", "    confine.seccomp()\n", "", {"socket", "fork", "code", "memfd_create", "signal", "ptrace", "unshare", "clone3", "personality"}),
        ("jailed.py", '    abi = confine.landlock(write=(asked["spill"],) if asked["spill"] else ())\n', "    abi = 7\n", {"list", "python"}),
        ("confine.py", '"--clearenv", ', '"--setenv", "LEAK", "x", ', {"environ"}),
    ],
)  # fmt: skip
def test_the_probe_finds_a_wall_that_only_claims_to_stand(altered, monkeypatch, name, old, new, found):
    if "clearenv" in old:
        kept = confine.wrapped
        monkeypatch.setattr(confine, "wrapped", lambda *given: [
            word for place in kept(*given) for word in (("--setenv", "LEAK", "x", "--setenv", "PWD", "/") if place == "--chdir" else ())
            + (place,)])  # fmt: skip
    else:
        altered(name, old, new)
    level = probe()
    assert not level.ok
    assert level.tier == "none"
    assert found <= {text.removeprefix("refusal of ") for text in level.missing}
