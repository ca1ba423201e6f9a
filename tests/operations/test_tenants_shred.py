"""A tenant's keys are destroyed: nothing of it opens any more, in yesterday's store neither (SEC-V09)."""

from __future__ import annotations

import sqlite3

import pytest

from sluicegate.app import adopt_keyring, build
from sluicegate.base.errors import Conflict, Corrupt, Invalid, Missing
from sluicegate.base.principal import Role
from sluicegate.base.secret import Secret
from sluicegate.crypto.signing import verify
from sluicegate.guard.sealfile import RING_FILE
from sluicegate.guard.vault import canonical

SHRED = "tenant.shred"


@pytest.fixture
def root(fresh):
    for tenant in ("north", "south"):
        fresh.app.services.vault.put(fresh.scope(tenant), "word", Secret(f"of {tenant}"))
    return fresh.token(Role.SUPERADMIN, None)


def copy(source, target):
    """Make a backup of a store, as sqlite3 does it while the server runs."""
    with sqlite3.connect(source) as here, sqlite3.connect(target) as there:
        here.backup(there)
    here.close()
    there.close()


def shred(fresh, root):
    ask = {"id": fresh.tenants["north"], "name": "north"}
    fresh.call("tenant.suspend", {"id": ask["id"]}, root)
    return fresh.call(SHRED, ask, root)


def use(app, fresh, tenant):
    scope = app.services.scope(fresh.tenants[tenant], fresh.scope(tenant).who)
    return app.services.vault.use(scope, "word", purpose="a test").reveal()


@pytest.mark.security
@pytest.mark.req("SEC-V09")
def test_neither_the_store_nor_a_backup_from_before_opens(fresh, root, tmp_path):
    yesterday = tmp_path / "yesterday.db"
    copy(fresh.home / "store.db", yesterday)
    shred(fresh, root)
    with pytest.raises(Missing):
        use(fresh.app, fresh, "north")
    assert use(fresh.app, fresh, "south") == "of south"
    fresh.app.services.system.database.close()
    copy(yesterday, fresh.home / "store.db")
    with pytest.raises(Invalid, match="the root key does not open this store") as told:
        build(fresh.settings)
    assert "sluice seal adopt" in told.value.hint
    adopt_keyring(fresh.settings, ())
    app = build(fresh.settings)
    try:
        assert use(app, fresh, "south") == "of south", "the others come back"
        with pytest.raises(Corrupt):
            use(app, fresh, "north")
    finally:
        app.services.system.database.close()


@pytest.mark.security
@pytest.mark.req("SEC-V09")
def test_it_is_certified(fresh, root):
    made = shred(fresh, root)
    told = made.certificate
    assert (told["kind"], told["tenant"], told["keys"], told["secrets"]) == (
        "tenant-shredding",
        fresh.tenants["north"],
        [1],
        1,
    )
    assert verify(fresh.app.services.vault.public, canonical(told), told["signature"])
    assert [each["about"] for each in fresh.records() if each["action"] == "vault.shred"] == [told]
    assert made.root == fresh.app.services.sealing.standing().root


@pytest.mark.security
def test_it_takes_a_suspended_tenant_and_its_name(fresh, root):
    ask = {"id": fresh.tenants["north"], "name": "north"}
    with pytest.raises(Conflict, match="active"):
        fresh.call(SHRED, ask, root)
    fresh.call("tenant.suspend", {"id": ask["id"]}, root)
    with pytest.raises(Invalid, match="not the name"):
        fresh.call(SHRED, {**ask, "name": "south"}, root)
    assert use(fresh.app, fresh, "north") == "of north"


@pytest.mark.security
@pytest.mark.req("SEC-V09")
def test_a_tenant_that_begins_anew_has_new_keys(fresh, root):
    shred(fresh, root)
    fresh.call("tenant.resume", {"id": fresh.tenants["north"]}, root)
    fresh.app.services.vault.put(fresh.scope("north"), "word", Secret("anew"))
    assert use(fresh.app, fresh, "north") == "anew"


@pytest.mark.security
@pytest.mark.req("SEC-V09")
def test_cut_off_before_the_root_key_is_replaced_it_goes_on(fresh, root, monkeypatch):
    before = fresh.app.services.sealing.standing().root

    def cut(*_given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(fresh.app.services.sealing), "renew", cut)
        with pytest.raises(KeyboardInterrupt):
            shred(fresh, root)
    assert fresh.app.services.sealing.standing().root == before
    fresh.app.services.sealing.tend()
    assert fresh.app.services.sealing.standing().root != before
    assert use(fresh.app, fresh, "south") == "of south"


@pytest.mark.security
def test_only_a_copy_from_under_this_root_key_is_taken(fresh, root):
    fresh.app.services.sealing.tend()
    fresh.app.services.system.database.close()
    file = fresh.home / RING_FILE
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(Invalid, match="not under this root key"):
        adopt_keyring(fresh.settings, ())
    file.unlink()
    with pytest.raises(Invalid, match="no copy"):
        adopt_keyring(fresh.settings, ())
