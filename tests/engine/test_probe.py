"""The self-test finds each wall, and each that only claims to stand."""

from __future__ import annotations

import json
import tempfile
import threading

import pytest

from sluicegate.base.errors import JailUnavailable
from sluicegate.engine import cell, confine
from sluicegate.engine import probe as module
from sluicegate.engine.probe import Level, Proof, probe


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


@pytest.mark.security
def test_the_probe_leaves_no_file_and_needs_none(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    assert probe().tier == "full"


# -- what comes of it --------------------------------------------------------------------------------------------------


def known(proof, record=lambda _level: None):
    proof.begin(record)
    for thread in threading.enumerate():
        if thread.name == "jail-probe":
            thread.join(60)
    return proof


def test_a_jail_that_holds_is_good_and_who_needs_it_waits_for_the_result():
    held = Proof(fallback=False)
    held.begin(lambda _level: None)
    held.require()
    assert held.level.tier == "full"


@pytest.mark.security
@pytest.mark.req("SEC-S05")
def test_nothing_runs_before_the_self_test_is_over_and_waiting_has_an_end(monkeypatch):
    with pytest.raises(JailUnavailable, match="not probed"):
        Proof(fallback=True).require()
    go = threading.Event()
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    held = Proof(fallback=True)
    held.begin(lambda _level: go.wait(30))
    try:
        with pytest.raises(JailUnavailable, match="not probed"):
            held.require("step m")
    finally:
        go.set()
    known(held).require()


@pytest.mark.security
@pytest.mark.req("SEC-S05")
def test_the_weaker_tier_is_good_only_where_the_setting_says_so(monkeypatch):
    monkeypatch.setattr(cell, "find_bwrap", lambda: None)
    known(Proof(fallback=True)).require()
    held = known(Proof(fallback=False))
    with pytest.raises(JailUnavailable, match="bubblewrap") as caught:
        held.require("step m")
    assert "apt-get install bubblewrap" in caught.value.hint
    assert caught.value.where == "step m"
    held.level = Level(**{**held.level.model_dump(), "tier": "fallback"})
    with pytest.raises(JailUnavailable):
        held.require()


@pytest.mark.security
@pytest.mark.req("SEC-S06")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_result_that_cannot_be_recorded_does_not_count():
    def refuse(_level):
        raise OSError("the audit trail is shut")

    held = known(Proof(fallback=False), refuse)
    with pytest.raises(JailUnavailable, match="not probed"):
        held.require()
