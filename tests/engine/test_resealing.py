"""Sealing anew, in the task: the new file takes the old one's place when all of the old one has verified."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Cancelled, Corrupt, Invalid, SluiceError
from sluicegate.engine.job import Job
from sluicegate.engine.resealing import reseal, verify
from tests.fixtures.seals import KINDS, opened, pair, sealed

pytestmark = pytest.mark.slow

ROWS = b"id\n" + b"7\n" * 200_000


def job(folder, kind, **ask):
    made = pair(kind)
    keys = {**made.keys.secrets, "other": made.strange.secrets["key"]}
    how = made.how.model_dump(mode="json", exclude_unset=True)
    how |= {"passphrase": {"secret": "other"}} if kind == "zip" else {"to": ["new"]}
    if kind == "openpgp":
        how["sign"] = {"secret": "other"}
    told = {"open": made.back.model_dump(mode="json", exclude_unset=True), "seal": how, "bare": True, **ask}
    return Job(
        what="reseal", run="", root=folder, local=True, secrets=keys,
        connections={"here": {"kind": "connection", "name": "here", "type": "files"}},
        recipients={"dpo": made.keys.recipients.get("dpo", ""), "new": made.strange.recipients.get("dpo", "")},
        ask={"connection": "here", "item": "a", **told},
    )  # fmt: skip


def quiet(*_):
    """Say nothing."""


@pytest.mark.security
@pytest.mark.req("SEC-F05")
@pytest.mark.parametrize("kind", KINDS)
def test_the_new_one_opens_for_the_new_key_and_not_for_the_old(tmp_path, kind):
    (tmp_path / "a").write_bytes(sealed(kind, ROWS))
    reseal(job(tmp_path, kind), quiet, lambda: False)
    blob = (tmp_path / "a").read_bytes()
    with pytest.raises(Corrupt):
        opened(kind, blob)
    assert opened(kind, blob, pair(kind).strange) == ROWS
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


@pytest.mark.security
@pytest.mark.req("SEC-F02")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", [lambda blob: blob[:-20], lambda blob: blob + b"x", lambda blob: blob[:200] + bytes([blob[200] ^ 1]) + blob[201:]], ids=["cut", "longer", "flipped"])  # fmt: skip
def test_a_changed_one_stays_as_it_is(tmp_path, kind, wrong):
    blob = wrong(sealed(kind, ROWS))
    (tmp_path / "a").write_bytes(blob)
    with pytest.raises(Corrupt):
        reseal(job(tmp_path, kind), quiet, lambda: False)
    assert (tmp_path / "a").read_bytes() == blob
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


@pytest.mark.security
def test_one_that_is_cancelled_or_cannot_be_sealed_stays(tmp_path):
    blob = sealed("age", ROWS)
    (tmp_path / "a").write_bytes(blob)
    with pytest.raises(Cancelled):
        reseal(job(tmp_path, "age"), quiet, lambda: True)
    with pytest.raises(Invalid, match="no recipient"):
        reseal(job(tmp_path, "age", seal={"to": ["nobody"]}), quiet, lambda: False)
    with pytest.raises(SluiceError, match="manifest"):
        reseal(job(tmp_path, "age", bare=False), quiet, lambda: False)
    with pytest.raises(SluiceError, match="manifest"):
        verify(job(tmp_path, "age"), quiet, lambda: False)
    assert (tmp_path / "a").read_bytes() == blob
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
