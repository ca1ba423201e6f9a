from __future__ import annotations

import hashlib
import os
import shutil
import ssl
import subprocess

import pytest

from sluicegate.base.errors import Invalid
from sluicegate.cli import trust
from sluicegate.cli.trust import NICKNAME, change


@pytest.fixture
def machine(call, tmp_path):
    """A home, a system store of its own, and a person with a Chromium and a Firefox."""
    call("init")
    (tmp_path / "store").mkdir()
    (tmp_path / "certs").mkdir()
    for name in (".pki/nssdb", ".mozilla/firefox/abc.default"):
        folder = tmp_path / "person" / name
        folder.mkdir(parents=True)
        subprocess.run(["certutil", "-d", f"sql:{folder}", "-N", "--empty-password"], check=True)
    (tmp_path / "person" / ".mozilla" / "firefox" / "Crash Reports").mkdir()
    return {"system": tmp_path / "store", "person": tmp_path / "person"}


def known(folder):
    """Return the fingerprint of the CA in a browser's store, and what it is trusted for."""
    words = ["certutil", "-d", f"sql:{folder}", "-n", NICKNAME, "-L"]
    done = subprocess.run([*words, "-a"], capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    listed = subprocess.run([*words[:3], "-L"], capture_output=True, text=True, check=True).stdout
    flags = next(line.split()[-1] for line in listed.splitlines() if NICKNAME in line)
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(done.stdout)).hexdigest(), flags


@pytest.mark.slow
@pytest.mark.security
@pytest.mark.req("SEC-N01")
def test_every_store_gets_the_ca_and_loses_it(machine, tmp_path):
    home, browsers = (
        tmp_path / "home",
        [tmp_path / "person" / ".pki" / "nssdb", *tmp_path.glob("person/.mozilla/*/abc*")],
    )
    der = hashlib.sha256(ssl.PEM_cert_to_DER_cert((home / "tls" / "ca.pem").read_text())).hexdigest()
    for _ in range(2):  # twice is no error, and no second entry
        steps = change(home, remove=False, **machine)
        assert [(step.done, step.left) for step in steps] == [("put in", "")] * 3, steps
    assert [known(each) for each in browsers] == [(der, "C,,")] * 2
    (bundle,) = (tmp_path / "certs").glob("ca-certificates.crt")
    ours = (home / "tls" / "ca.pem").read_text().strip()
    assert ours in bundle.read_text()
    steps = change(home, remove=True, **machine)
    assert [(step.done, step.left) for step in steps] == [("taken out", "")] * 3, steps
    assert [known(each) for each in browsers] == [None, None]
    assert ours not in bundle.read_text()
    assert [step.done for step in change(home, remove=True, **machine)] == ["not in"] * 3


@pytest.mark.slow
@pytest.mark.security
def test_a_key_never_leaves_the_home(machine, tmp_path):
    change(tmp_path / "home", remove=False, **machine)
    for folder in ("store", "certs", "person"):
        for file in (tmp_path / folder).rglob("*"):
            assert not file.is_file() or b"PRIVATE KEY" not in file.read_bytes()


def test_what_cannot_be_done_is_said(machine, tmp_path, monkeypatch):
    home = tmp_path / "home"
    shutil.rmtree(machine["system"])
    system, *browsers = change(home, remove=False, **machine)
    assert (system.done, system.left) == ("", "No such file or directory; run this once more as root")
    assert {step.done for step in browsers} == {"put in"}
    machine["system"].mkdir()
    monkeypatch.setattr(trust, "_PATH", str(tmp_path))
    told = change(home, remove=False, **machine)
    assert "install ca-certificates" in told[0].left
    assert all("install libnss3-tools" in step.left and not step.done for step in told[1:])


def test_without_a_browser_that_is_said_too(machine, tmp_path):
    shutil.rmtree(machine["person"])
    assert change(tmp_path / "home", remove=True, **machine)[1:] == [trust.Step("browsers", "none found")]


def test_the_command_shows_each_store_and_what_is_left(call, machine, tmp_path, monkeypatch):
    monkeypatch.setattr(trust, "SYSTEM", tmp_path / "none")
    monkeypatch.setattr(trust, "change", lambda home, *, remove: change(home, remove=remove, system=tmp_path / "none",
                                                                       person=machine["person"]))  # fmt: skip
    told = call("trust")
    assert told.code == 1
    assert told.out.splitlines()[0].startswith(f"left  {tmp_path / 'none'}: ")
    assert told.out.count("put in  ") == 2
    told = call("trust", "--remove", "--json")
    assert (told.code, [each["done"] for each in told.json["items"]]) == (0, ["not in", "taken out", "taken out"])


@pytest.mark.security
def test_without_a_ca_nothing_is_touched(tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    with pytest.raises(Invalid, match="there is no local CA"):
        change(tmp_path, remove=False, system=store, person=tmp_path)
    assert os.listdir(store) == []
