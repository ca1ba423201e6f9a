from __future__ import annotations

import base64
import subprocess
import sys
from urllib.parse import quote

import pytest

from sluicegate.base.secret import Secret
from sluicegate.engine.drain import TAIL, Drain

CANARY = 'canary "hunter2" / ö+é'
KEY = "-----BEGIN KEY-----\ncanaryAAAAcanaryBBBB\ncanaryCCCC\n-----END KEY-----"


def said(code, *secrets):
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) as child:
        drain = Drain(child.stderr, [Secret(each) for each in secrets])
        child.wait(60)
        return drain.text()


def test_the_end_of_what_a_child_says_is_kept():
    assert said("import sys; sys.stderr.write('one\\ntwo\\n')") == "one\ntwo"


def test_a_child_that_says_much_is_not_held_up_and_whole_lines_are_kept():
    text = said("import sys\nfor n in range(100_000): sys.stderr.write(f'line {n}\\n')")
    assert len(text) <= TAIL
    lines = text.splitlines()
    assert lines[-1] == "line 99999"
    assert all(each.startswith("line ") for each in lines)


@pytest.mark.security
@pytest.mark.req("SEC-V02")
@pytest.mark.parametrize(
    "form",
    [str, lambda text: repr(text)[1:-1], quote, lambda text: base64.b64encode(text.encode()).decode(), lambda text: text.encode().hex()],
)  # fmt: skip
def test_no_secret_is_among_it_in_any_form(form):
    shown = form(CANARY)
    text = said(f"import sys; sys.stderr.buffer.write({f'password {shown} refused'.encode()!r})", CANARY)
    assert text == "password ******** refused"


@pytest.mark.security
@pytest.mark.req("SEC-V02")
def test_no_line_of_a_secret_of_several_lines_is_among_it():
    code = f"import sys; sys.stderr.write({KEY!r} + '\\n' + 'x' * {TAIL - 41} + '\\n')"
    text = said(code, KEY)  # the tail begins in the middle of the key: in its second line
    assert text.endswith("x" * 1000)
    assert len(text.splitlines()) == 3
    assert "canary" not in text
    assert "canary" not in said(f"import sys; sys.stderr.write({KEY!r})", KEY)


@pytest.mark.security
@pytest.mark.req("SEC-V02")
def test_a_secret_that_the_beginning_is_cut_off_of_is_left_out():
    secret = "canary" * 500
    assert "canary" not in said(f"import sys; sys.stderr.write({secret!r} + 'y' * {TAIL - 1000} + '\\nend\\n')", secret)
