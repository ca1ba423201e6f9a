from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.kit.pattern import explain, retell

GOOD = (r"[A-Z]{3}[0-9]+", r"(?i)abc", r"\pL+", r"[[:alpha:]]+", r"\Q(\E", r"a|b|", r"[]a]", r"[^]]", r"\(\?=", r"a--b", r"(?P<n>x)")  # fmt: skip
BAD = {
    "(": "not closed", ")": "was not opened", "[a": "bracket is not closed", "*": "nothing before", "a\\": "backslash",
    r"(a)\1": "back references", "(?=a)": "looks around", "(?<!a)b": "looks around", "[z-a]": "backwards",
    "a{3,1}": "wrong way round",
}  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_what_re2_reads_is_not_refused(text):
    pc.match_substring_regex(pa.array([""]), pattern=text)
    assert explain(text) == ""


@pytest.mark.parametrize("text", BAD)
def test_what_it_does_not_read_is_explained(text):
    assert BAD[text] in explain(text)
    with pytest.raises(pa.ArrowInvalid) as caught:
        pc.match_substring_regex(pa.array([""]), pattern=text)
    assert retell(str(caught.value))


@pytest.mark.security
@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from(r"ab()[]{}|*+?\^$-:<>=!P19,&~QE"), max_size=12))
def test_nothing_that_re2_reads_is_refused_and_no_text_takes_it_down(text):
    why = explain(text)
    if why:
        with pytest.raises(pa.ArrowInvalid):
            pc.match_substring_regex(pa.array([""]), pattern=text)
