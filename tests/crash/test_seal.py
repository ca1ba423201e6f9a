"""``kill -9`` while the root key is replaced: the next start finishes it or undoes it, and all secrets open."""

from __future__ import annotations

import threading
import time

import pytest

from tests.crash.test_rotation import within
from tests.fixtures.home import sluice


def fill(vault, scope):
    from sluicegate.base.secret import Secret

    vault.put(scope, "word", Secret("kept"))


def read(vault, scope):
    return vault.use(scope, "word", purpose="a test").reveal()


@pytest.mark.slow
@pytest.mark.security
@pytest.mark.req("SEC-V05")
@pytest.mark.timeout(400)
def test_a_new_root_key_that_is_cut_off(served):
    served.settle()
    served.stop()
    within(served, fill)
    root, password = served.folder / "root", served.folder / "password.txt"
    for pause in (0.0, 0.05, 0.3):
        served.start()
        here = ("--url", served.url, "--ca", str(served.ca), "--tenant", "acme", "--email", "root@example.org")
        sluice(root, "login", *here, "--password-file", str(password))
        asking = threading.Thread(target=sluice, args=(root, "seal", "renew"), kwargs={"expect": None})
        before = (served.home / "root.key").read_bytes()
        asking.start()
        end = time.monotonic() + 20
        while (served.home / "root.key").read_bytes() == before and not (served.home / "root.next").exists():
            if time.monotonic() > end:
                break
        time.sleep(pause)
        served.kill()
        asking.join()
        assert within(served, read) == "kept"
        assert not (served.home / "root.next").exists()
