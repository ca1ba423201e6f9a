"""The seal through the gate: SuperAdmins with a fresh proof, shares shown once, nothing of them on record."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Conflict, Denied
from sluicegate.base.principal import Role

ABOUT = "seal.about"


@pytest.fixture
def root(fresh):
    return fresh.token(Role.SUPERADMIN, None)


def test_an_open_server_says_that_it_is_open_and_no_more(fresh):
    assert fresh.call("seal.get").model_dump() == {"sealed": False, "kind": "", "given": 0, "needed": 0, "set": ""}


@pytest.mark.security
@pytest.mark.req("SEC-V06")
def test_an_open_server_looks_at_no_share(fresh):
    before = fresh.head(None)
    with pytest.raises(Conflict, match="open already"):
        fresh.call("seal.open", {"share": "canary-hunter2"})
    assert fresh.head(None) == before


@pytest.mark.security
@pytest.mark.req("SEC-V06", "SEC-V02")
def test_from_a_key_file_to_shares(fresh, root):
    assert fresh.call(ABOUT, {}, root).model_dump()["seal"] == "file"
    made = fresh.call("seal.change", {"to": "shamir"}, root)
    assert (made.done, len(made.shares)) == (False, 5)
    assert fresh.call(ABOUT, {}, root).pending
    with pytest.raises(Denied):
        fresh.call("seal.confirm", {"shares": made.shares[:2]}, root)
    done = fresh.call("seal.confirm", {"shares": made.shares[:3]}, root)
    found = fresh.call(ABOUT, {}, root)
    assert (found.seal, found.root, found.shares, found.threshold, found.pending) == ("shamir", done.root, 5, 3, False)
    told = str(fresh.records(None))
    assert not any(each[20:60] in told for each in made.shares)
    actions = [(each["action"], each["result"]) for each in fresh.records(None) if each["action"].startswith("seal.")]
    asked = [("seal.change", "asked"), ("seal.change", "ok"), ("seal.confirm", "asked"), ("seal.confirm", "denied")]
    assert actions == [*asked, ("seal.confirm", "asked"), ("seal.retire", "ok"), ("seal.confirm", "ok")]


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_a_new_root_key_under_the_same_seal(fresh, root):
    before = fresh.call(ABOUT, {}, root).root
    assert fresh.call("seal.renew", {}, root).root == fresh.call(ABOUT, {}, root).root != before


def test_what_opens_by_itself_is_not_sealed(fresh, root):
    with pytest.raises(Conflict, match="opens by itself"):
        fresh.call("seal.close", {}, root)
