from __future__ import annotations

import hashlib
import io

import pytest

from sluicegate.base.errors import Failed
from sluicegate.kit.putting import Putting


class Draft:
    """Keeps what it is told."""

    def __init__(self, fault=None):
        self.out, self.fault, self.said = io.BytesIO(), fault, []

    def commit(self):
        self.said.append("commit")
        if self.fault:
            raise self.fault

    def abort(self):
        self.said.append("abort")


def test_what_goes_through_is_counted_and_digested():
    draft = Draft()
    stage = Putting(draft)
    assert stage.out.write(b"ab") == 2
    assert stage.out.write(memoryview(bytearray(b"cd"))) == 2
    stage.out.flush()
    assert stage.out.tell() == 4
    receipt = stage.commit(rows=3)
    assert (receipt.rows, receipt.bytes, receipt.sha256) == (3, 4, hashlib.sha256(b"abcd").hexdigest())
    assert (draft.out.getvalue(), draft.said) == (b"abcd", ["commit"])


@pytest.mark.security
def test_what_is_not_published_has_no_receipt():
    draft = Draft(Failed("no"))
    stage = Putting(draft)
    with pytest.raises(Failed):
        stage.commit(rows=1)
    stage.abort()
    assert (stage.done, draft.said) == (None, ["commit", "abort"])
