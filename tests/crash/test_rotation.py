"""``kill -9`` while secrets are put under another key: it goes on at the next start, and every secret opens."""

from __future__ import annotations

import time

import pytest

from sluicegate.app import build
from sluicegate.base import settings
from sluicegate.base.principal import Principal, Role, Via
from sluicegate.base.secret import Secret
from tests.fixtures.home import sluice

COUNT = 3000


def within(served, work):
    """Do something with the vault of a server that is stopped."""
    app = build(settings.load({"SLUICE_HOME": str(served.home)}))
    try:
        (tenant,) = app.services.system.tenants().list()
        who = Principal("system", tenant.id, Role.API_USER, Via.SYSTEM)
        return work(app.services.vault, app.services.scope(tenant.id, who))
    finally:
        app.close()


def fill(vault, scope):
    with scope.transaction():
        for number in range(COUNT):
            vault.put(scope, f"s{number}", Secret(f"word {number}"))


def check(vault, scope):
    for number in range(0, COUNT, 7):
        assert vault.use(scope, f"s{number}", purpose="a test").reveal() == f"word {number}"
    return [each.version for each in scope.secrets().tenant_keys()], scope.secrets().under()


@pytest.mark.slow
@pytest.mark.security
@pytest.mark.req("SEC-V05")
@pytest.mark.timeout(300)
def test_a_rotation_that_is_killed_goes_on(served):
    served.settle()
    served.stop()
    within(served, fill)
    root = served.folder / "root"
    for round_, pause in enumerate((0.0, 0.1, 0.3), 2):
        served.start()
        password = served.folder / "password.txt"
        here = ("--url", served.url, "--ca", str(served.ca), "--tenant", "acme", "--email", "root@example.org")
        sluice(root, "login", *here, "--password-file", str(password))  # a new proof of who it is
        assert sluice(root, "vault", "rotate")["key"] == round_
        time.sleep(pause)
        served.kill()
        served.start()
        end = time.monotonic() + 60
        while len(sluice(root, "audit", "list", "--action", "vault.retire")["items"]) < round_ - 1:
            assert time.monotonic() < end
        served.stop()
        versions, under = within(served, check)
        assert versions == [round_]
        assert under == {round_: COUNT}
