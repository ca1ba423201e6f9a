from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from dataclasses import FrozenInstanceError, replace

import pytest

from sluicegate import app as app_
from sluicegate.app import build, certificate, make_home
from sluicegate.base import settings as settings_
from sluicegate.base.errors import Conflict, Invalid, SluiceError
from sluicegate.base.permission import Permission, Public
from sluicegate.base.principal import Role
from sluicegate.base.settings import Passwords, Server, Settings, Store
from sluicegate.crypto.keys import load_key_file
from sluicegate.guard import policy
from sluicegate.guard.sealfile import KEY_FILE
from sluicegate.operations import OPERATIONS
from tests.fixtures.server import Place

CANARY = "canary-hunter2"
TABLES = {
    "one name twice": (OPERATIONS + OPERATIONS[:1], "share a route"),
    "public without a reason": ((replace(OPERATIONS[0], permission=Public(" ")),), "without a reason"),
    "a path with a field too many": (
        (replace(OPERATIONS[0], http=replace(OPERATIONS[0].http, path="/a/{nobody}")),), "the question does not",
    ),
}  # fmt: skip


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    make_home(folder, (), None, None)
    return folder


def cheap(folder, **more):
    return Settings(home=folder, passwords=Passwords(memory=19456, rounds=2), **more)


def open_files(folder):
    """Return the files below ``folder`` that this process holds open."""
    found = set()
    for each in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink(f"/proc/self/fd/{each}")
        except FileNotFoundError:
            continue
        if path.startswith(str(folder)):
            found.add(path)
    return found


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


# -- build -------------------------------------------------------------------------------------------------------------


def test_what_was_made_is_there_after_a_restart(tmp_path):
    first = Place(tmp_path / "home").settle()
    who = first.people["north", Role.EDITOR]
    token = first.token(who)
    first.close()
    again = build(first.settings)
    try:
        assert {each.id for each in again.services.system.accounts().list()} == {
            each.id for each in first.people.values()
        }
        assert again.services.login.authenticate(first.credentials(token)).id == who.id
    finally:
        again.close()


def test_closing_lets_go_of_every_file(home):
    made = build(cheap(home))
    assert made.services.login.bootstrapping
    assert open_files(home)
    made.close()
    assert open_files(home) == set()


@pytest.mark.security
@pytest.mark.req("SEC-Z01")
@pytest.mark.parametrize("name", TABLES)
def test_an_unsound_table_is_refused_before_anything_is_opened(home, monkeypatch, name):
    table, says = TABLES[name]
    monkeypatch.setattr(app_, "OPERATIONS", table)
    with pytest.raises(Invalid, match=says):
        build(cheap(home))
    assert not (home / "store.db").exists()


@pytest.mark.security
@pytest.mark.req("SEC-Z01")
def test_a_permission_that_no_role_has_is_refused(home, monkeypatch):
    grants = {role: granted - {Permission.AUDIT_READ} for role, granted in policy.GRANTS.items()}
    monkeypatch.setattr(policy, "GRANTS", grants)
    with pytest.raises(Invalid, match="no role has the permission of audit"):
        build(cheap(home))


@pytest.mark.security
def test_a_folder_that_is_no_home_is_told_with_what_to_do(tmp_path):
    with pytest.raises(Invalid, match="it has no root key") as told:
        build(cheap(tmp_path))
    assert (told.value.where, told.value.hint) == (str(tmp_path), "Run: sluice init")
    assert list(tmp_path.iterdir()) == [], "nothing is made by the way"


@pytest.mark.security
@pytest.mark.req("SEC-T03")
@pytest.mark.parametrize("fault", ["cut", "zeros", "text", "empty", "readable by all"])
def test_a_bad_root_key_stops_the_start_and_is_not_shown(home, fault):
    file = home / KEY_FILE
    good = file.read_text()
    bad = {"cut": good.strip()[:-4], "zeros": "A" * 86 + "==", "text": CANARY, "empty": ""}.get(fault, good)
    file.chmod(0o600)
    file.write_text(bad)
    file.chmod(0o644 if fault == "readable by all" else 0o600)
    with pytest.raises(SluiceError) as told:
        build(cheap(home))
    assert str(file) in str(told.value)
    assert CANARY not in str(told.value)
    assert good.strip()[:20] not in str(told.value)
    assert not (home / "store.db").exists()


@pytest.mark.security
@pytest.mark.req("SEC-L01")
def test_the_root_key_of_another_installation_is_refused(tmp_path):
    place = Place(tmp_path / "home").settle()
    place.token(Role.SUPERADMIN, None)
    place.close()
    other = tmp_path / "other"
    make_home(other, (), None, None)
    (place.home / KEY_FILE).unlink()
    shutil.copy(other / KEY_FILE, place.home / KEY_FILE)
    (place.home / KEY_FILE).chmod(0o600)
    with pytest.raises(Invalid, match="the root key does not open this store"):
        build(place.settings)
    assert open_files(place.home) == set(), "a start that is refused holds nothing open"


@pytest.mark.security
@pytest.mark.req("SEC-C12")
def test_a_store_of_a_newer_release_is_refused_and_left_as_it_is(home):
    build(cheap(home)).close()
    with sqlite3.connect(home / "store.db") as link:
        link.execute("update alembic_version set version_num = '9999'")
    link.close()
    with pytest.raises(Conflict, match="version 9999") as told:
        build(cheap(home))
    assert "newer Sluicegate" in told.value.hint
    assert open_files(home) == set()
    with sqlite3.connect(home / "store.db") as link:
        assert link.execute("select version_num from alembic_version").fetchall() == [("9999",)]
    link.close()


@pytest.mark.security
@pytest.mark.req("SEC-V02")
@pytest.mark.parametrize("url", [f"mysql://app:{CANARY}@db/x", f"no url {CANARY}", f"sqlite:///x.db?key={CANARY}"])
def test_a_store_that_cannot_be_is_refused_without_its_password(home, url):
    with pytest.raises(Invalid) as told:
        build(cheap(home, store=Store(url=url)))
    assert CANARY not in str(told.value)


@pytest.mark.security
def test_what_is_wired_cannot_be_rewired(home):
    made = build(cheap(home))
    try:
        for name in ("gate", "services", "worker", "settings"):
            with pytest.raises(FrozenInstanceError):
                setattr(made, name, None)
    finally:
        made.close()


# -- the home ----------------------------------------------------------------------------------------------------------


@pytest.mark.security
@pytest.mark.req("SEC-V01")
def test_a_home_is_this_users_alone(home):
    assert mode(home) == mode(home / "tls") == 0o700
    assert mode(home / KEY_FILE) & 0o077 == 0
    assert mode(home / "sluice.toml") == 0o600
    for key in (home / "tls").glob("*key*"):
        assert mode(key) & 0o077 == 0, key


@pytest.mark.security
def test_a_home_that_stood_open_is_closed(tmp_path):
    (tmp_path / "home").mkdir(mode=0o755)
    make_home(tmp_path / "home", (), None, None)
    assert mode(tmp_path / "home") == 0o700


@pytest.mark.security
def test_no_two_homes_share_a_key(tmp_path):
    for name in ("one", "two"):
        make_home(tmp_path / name, (), None, None)
    assert (tmp_path / "one" / KEY_FILE).read_bytes() != (tmp_path / "two" / KEY_FILE).read_bytes()
    assert load_key_file(tmp_path / "one" / KEY_FILE).raw != load_key_file(tmp_path / "two" / KEY_FILE).raw


def test_what_is_there_stays_as_it_is(home):
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    assert make_home(home, ("etl.example.org",), None, None) == []
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


def test_what_is_missing_is_made(home):
    key = (home / KEY_FILE).read_bytes()
    shutil.rmtree(home / "tls")
    assert make_home(home, (), None, None) == ["tls/"]
    assert (home / KEY_FILE).read_bytes() == key


def test_the_settings_it_writes_name_the_server(tmp_path):
    make_home(tmp_path, ("etl.example.org", "localhost"), None, None)
    found = settings_.load({"SLUICE_HOME": str(tmp_path)})
    assert found.server.names == ("etl.example.org", "localhost", "127.0.0.1", "::1")
    assert found.server.certificate is None


@pytest.mark.security
@pytest.mark.parametrize("name", ['a"]\nport = 1 #', "a b", "", "a/b"])
def test_a_name_that_is_none_gets_into_neither_certificate_nor_settings(tmp_path, name):
    with pytest.raises(Invalid):
        make_home(tmp_path / "home", (name,), None, None)
    assert not (tmp_path / "home" / "sluice.toml").exists()
    assert not (tmp_path / "home" / "tls" / "server.pem").exists()
    make_home(tmp_path / "home", ("etl.example.org",), None, None)
    assert "etl.example.org" in settings_.load({"SLUICE_HOME": str(tmp_path / "home")}).server.names


def test_a_certificate_of_ones_own_is_named_and_no_authority_made(home, tmp_path):
    folder = tmp_path / 'a "folder" \\ of keys'
    shutil.copytree(home / "tls", folder)
    pair = folder / "server.pem", folder / "server-key.pem"
    make_home(tmp_path / "other", (), *pair)
    found = settings_.load({"SLUICE_HOME": str(tmp_path / "other")})
    assert (found.server.certificate, found.server.key) == pair
    assert certificate(found) == pair
    assert not (tmp_path / "other" / "tls").exists()


@pytest.mark.security
def test_a_pair_that_does_not_belong_together_is_refused(home, tmp_path):
    make_home(tmp_path / "other", (), None, None)
    strange = tmp_path / "other" / "tls" / "server-key.pem"
    with pytest.raises(Invalid, match="does not belong"):
        certificate(cheap(home, server=Server(key=strange)))
    with pytest.raises(Invalid, match="does not belong"):
        make_home(tmp_path / "third", (), home / "tls" / "server.pem", strange)
    assert not (tmp_path / "third" / "sluice.toml").exists()


def test_a_home_without_a_certificate_says_what_to_do(home):
    assert certificate(cheap(home)) == (home / "tls" / "server.pem", home / "tls" / "server-key.pem")
    (home / "tls" / "server.pem").unlink()
    with pytest.raises(Invalid, match="there is no certificate") as told:
        certificate(cheap(home))
    assert told.value.hint == "Run: sluice init"
