"""Keys are replaced: record keys under another tenant key, in memory and in the store (SEC-V05)."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from sluicegate.app import build, make_home
from sluicegate.base.principal import Principal, Role, Via
from sluicegate.base.secret import Secret
from sluicegate.base.settings import Settings
from sluicegate.crypto.envelope import Rewrap, wrap
from sluicegate.crypto.keys import new_key

COUNT, ROUNDS = 20_000, 5
STORED = 10_000


def measure() -> dict[str, float]:
    """Return rewraps a second."""
    return {"vault, in memory: rewraps/s": in_memory(), "vault, with the store: rewraps/s": in_store()}


def in_memory() -> float:
    """Return the best of a few rounds, with the associated data that the vault uses."""
    old, new, aad = new_key(), new_key(), ("secret", "01a22d07-2578-7ed7-a0c3-92fd4bd8994b", "warehouse-password", "3")
    blobs = [wrap(old, new_key(), (*aad, "1")) for _ in range(COUNT)]
    move, best = Rewrap(old, new, "1", "2"), 0.0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for blob in blobs:
            move(blob, aad)
        best = max(best, COUNT / (time.perf_counter() - began))
    return best


def in_store() -> float:
    """Return what a whole rotation of one tenant does, SQLite and its journal included."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        home = Path(folder) / "home"
        make_home(home, (), None, None)
        app = build(Settings(home=home))
        services = app.services
        tenant = services.system.tenants().create("bench").id
        scope = services.scope(tenant, Principal("system", tenant, Role.API_USER, Via.SYSTEM))
        with scope.transaction():
            for number in range(STORED):
                services.vault.put(scope, f"s{number}", Secret("a value"))
        services.vault.renew(scope)
        began, last = time.perf_counter(), ""
        while last is not None:
            last = services.vault.rewrap(scope, after=last)
        taken = time.perf_counter() - began
        if scope.secrets().under() != {2: STORED}:
            raise RuntimeError("not all secrets are under the new key")
        app.close()
        return STORED / taken
