from __future__ import annotations

import io

import pytest

from sluicegate.base.errors import TooLarge
from sluicegate.engine import frame


def test_messages_arrive_whole_whatever_is_in_them():
    pipe = io.BytesIO()
    sent = [b"", b"line\nline\n", bytes(range(256)) * 100]
    for each in sent:
        frame.send(pipe, each)
    pipe.seek(0)
    assert [frame.take(pipe) for _ in sent] == sent
    assert frame.take(pipe) is None


@pytest.mark.parametrize("kept", [3, 8, 12])
def test_a_message_that_is_cut_off_is_none(kept):
    pipe = io.BytesIO()
    frame.send(pipe, b"twelve bytes")
    assert frame.take(io.BytesIO(pipe.getvalue()[:kept])) is None


@pytest.mark.security
@pytest.mark.req("SEC-D05")
def test_what_is_too_long_is_refused_by_both_sides_and_nothing_of_it_is_taken():
    pipe = io.BytesIO()
    with pytest.raises(TooLarge, match="11 bytes; 10 are allowed"):
        frame.send(pipe, b"x" * 11, 10)
    assert pipe.getvalue() == b""
    claim = io.BytesIO((1 << 62).to_bytes(8, "big") + b"x")
    with pytest.raises(TooLarge):
        frame.take(claim)
    assert claim.read() == b"x"
