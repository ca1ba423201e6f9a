from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from dataclasses import asdict, dataclass

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.secret import MASK, Secret, hide_tokens

CANARY = "canary-hunter2"

SHOWN = {
    "str": str,
    "repr": repr,
    "format": format,
    "f-string": lambda held: f"{held}",
    "f-string with a width": lambda held: f"{held:>40}",
    "f-string of its repr": lambda held: f"{held!r:.3}",
    "percent": lambda held: "%s %r" % (held, held),  # noqa: UP031 - one of the ways
    "str.format": "{0} {0!r} {0!s:20}".format,
    "in a list": lambda held: str([held]),
    "in a map": lambda held: repr({"password": held}),
    "ascii": ascii,
}
REFUSED = {
    "pickle": pickle.dumps,
    "oldest pickle": lambda held: pickle.dumps(held, 0),
    "pickle in a map": lambda held: pickle.dumps({"password": held}),
    "copy": copy.copy,
    "deep copy": copy.deepcopy,
    "json": json.dumps,
    "json in a map": lambda held: json.dumps({"password": held}),
    "orjson": orjson.dumps,
    "equal": lambda held: held == Secret(CANARY),
    "equal to text": lambda held: held == CANARY,
    "unequal": lambda held: held != CANARY,
    "within": lambda held: held in ["x", "y"],
    "hash": hash,
    "set": lambda held: {held},
    "key": lambda held: {held: 1},
    "bytes": bytes,
    "length": len,
    "letters": list,
    "index": lambda held: held[0],
    "joined": lambda held: "".join(each for each in (held,)),
    "added": lambda held: "password=" + held,
    "order": lambda held: held < Secret("z"),
}


def told(act):
    try:
        return repr(act(Secret(CANARY)))
    except (TypeError, ValueError) as fault:
        return "".join(traceback.format_exception(fault))


@pytest.mark.security
@pytest.mark.req("SEC-V02")
@pytest.mark.parametrize("way", SHOWN)
def test_showing_it_gives_a_mask(way):
    shown = SHOWN[way](Secret(CANARY))
    assert "canary" not in shown
    assert "***" in shown


@pytest.mark.security
@pytest.mark.req("SEC-V02")
@pytest.mark.parametrize("way", REFUSED)
def test_storing_sending_or_comparing_it_is_an_error_that_does_not_show_it(way):
    with pytest.raises(TypeError):
        REFUSED[way](Secret(CANARY))
    said = told(REFUSED[way]).replace(f'Secret("{CANARY}")', "")
    assert CANARY not in said


@pytest.mark.security
@pytest.mark.req("SEC-V02")
def test_a_value_that_holds_one_cannot_be_spread_out():
    @dataclass
    class Login:
        name: str
        password: Secret

    held = Login("ada", Secret(CANARY))
    assert CANARY not in repr(held)
    with pytest.raises(TypeError):
        asdict(held)


@pytest.mark.security
@pytest.mark.req("SEC-V02", "SEC-L04")
def test_a_log_line_and_a_trace_with_locals_show_a_mask(caplog):
    held = Secret(CANARY)
    with caplog.at_level(logging.INFO):
        logging.getLogger("any").info("the password is %s, really %r", held, held)
    assert CANARY not in caplog.text
    assert MASK in caplog.text
    try:
        raise RuntimeError(held)
    except RuntimeError as fault:
        trace = "".join(traceback.TracebackException.from_exception(fault, capture_locals=True).format())
    assert "held = " + MASK in trace
    assert CANARY not in trace


@pytest.mark.security
@pytest.mark.req("SEC-V02")
def test_it_has_no_attribute_that_gives_the_text_but_its_own_word():
    held = Secret(CANARY)
    assert not hasattr(held, "__dict__")
    public = [name for name in dir(held) if not name.startswith("_")]
    assert public == ["reveal"]


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_the_text_comes_back_whole_and_by_one_word_only(text):
    held = Secret(text)
    assert held.reveal() == text
    assert bool(held) is bool(text)
    assert str(held) == MASK


@pytest.mark.security
@pytest.mark.req("SEC-T19")
@pytest.mark.parametrize(
    "token",
    [
        "eyJ" + "hbGciOiJIUzUxMiJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJl",
        "eyJ" + "hbGciOiJIUzUxMiJ9.eyJpc3",
        "rt_" + "Ab-_" * 10,
        "tk_" + "Ab-_" * 10,
        "slg_" + "0aA" * 20 + "_Zz9",
    ],
)
def test_tokens_are_hidden_in_whatever_text(token):
    for text in (token, f"/api/v1/flows/{token}", f"GET {token} twice {token}?ticket={token}&x", f'"{token}"'):
        told = hide_tokens(text)
        assert MASK in told
        assert not any(part in told for part in token.split("."))
        assert told.replace(MASK, "") == text.replace(token, ""), "nothing else is"


@pytest.mark.parametrize("text", ["", "rt_short", "a@b.example", "start_of_it", "01a20ae5-c678-7dd4-b306-5c38cdec57df"])
def test_other_text_is_left_as_it_is(text):
    assert hide_tokens(text) == text
