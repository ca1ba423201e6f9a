from __future__ import annotations

import io

from sluicegate.engine.tap import Tap


def test_bytes_pass_until_it_is_shut():
    below = io.BytesIO()
    tap = Tap(below)
    assert tap.write(b"one") == 3
    tap.shut()
    assert tap.write(b"two") == 3
    assert below.getvalue() == b"one"
    assert tap.tell() == 6
