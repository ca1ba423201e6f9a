"""``kill -9`` while the key above all tenants is replaced: it goes on at the next start, and then all copies are shut."""

from __future__ import annotations

import shutil
import sqlite3
import time

import pytest

from sluicegate.app import build
from sluicegate.base import settings
from sluicegate.base.errors import Invalid
from sluicegate.base.principal import Principal, Role, Via
from sluicegate.base.secret import Secret
from tests.fixtures.home import sluice

TENANTS = 150


def opened(served, work):
    """Do something with each tenant's scope of a server that is stopped."""
    app = build(settings.load({"SLUICE_HOME": str(served.home)}))
    try:
        services = app.services
        for tenant in services.system.tenants().list():
            who = Principal("system", tenant.id, Role.API_USER, Via.SYSTEM)
            work(services.vault, services.scope(tenant.id, who))
        return services.vault._ring.versions
    finally:
        app.close()


def fill(served):
    app = build(settings.load({"SLUICE_HOME": str(served.home)}))
    with app.services.system.transaction():
        for number in range(TENANTS):
            app.services.system.tenants().create(f"t{number}")
    app.close()
    opened(served, lambda vault, scope: vault.put(scope, "word", Secret(scope.tenant)))


def check(vault, scope):
    assert vault.use(scope, "word", purpose="a test").reveal() == scope.tenant


def caught(served, above):
    """Return how many tenants' keys are under the newest vault key."""
    with sqlite3.connect(f"file:{served.home}/store.db?mode=ro", uri=True) as link:
        found = link.execute("select count(*) from tenant_keys where above = ?", (above,)).fetchone()[0]
    link.close()
    return found


@pytest.mark.slow
@pytest.mark.security
@pytest.mark.req("SEC-V05")
@pytest.mark.timeout(300)
def test_a_rekey_that_is_killed_goes_on_and_shuts_all_copies(served):
    served.settle()
    served.stop()
    fill(served)
    root, password, middle = served.folder / "root", served.folder / "password.txt", 0
    for version, until in ((2, 1), (3, TENANTS // 2), (4, TENANTS + 1)):
        served.stop()
        shutil.copytree(served.home, served.folder / f"copy-{version}")
        served.start()
        here = ("--url", served.url, "--ca", str(served.ca), "--tenant", "acme", "--email", "root@example.org")
        sluice(root, "login", *here, "--password-file", str(password))
        before = sluice(root, "seal", "about")["root"]
        assert sluice(root, "system", "rekey", "--shut-backups")["key"] == version
        end = time.monotonic() + 30
        while caught(served, version) < until and time.monotonic() < end:
            time.sleep(0.001)
        served.kill()
        middle += caught(served, version) < TENANTS + 1
        served.start()
        while sluice(root, "seal", "about")["root"] == before:
            assert time.monotonic() < end + 60
            time.sleep(0.1)
        served.stop()
        assert opened(served, check) == (version,)
    assert middle, "never caught in the middle"
    for version in (2, 3, 4):
        for each in served.home.glob("store.db*"):
            each.unlink()
        for each in (served.folder / f"copy-{version}").glob("store.db*"):
            shutil.copyfile(each, served.home / each.name)
        with pytest.raises(Invalid, match="does not open this store"):
            opened(served, check)
