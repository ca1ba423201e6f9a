from __future__ import annotations

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sluicegate.base.errors import Invalid
from sluicegate.kit.reference import LENGTH, Reference

_part = st.text(string.ascii_letters + string.digits + "_.+=@,:-", min_size=1, max_size=12).filter(
    lambda text: text not in (".", "..")
)
REFERENCES = st.builds(
    lambda source, lead, parts, version, field: Reference(source, lead + "/".join(parts), version, field),
    st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,8}[a-z0-9])?", fullmatch=True),
    st.sampled_from(["", "/"]),
    st.lists(_part, min_size=1, max_size=4),
    st.text(string.ascii_letters + string.digits + "_.-", max_size=8),
    st.text(string.ascii_letters + string.digits + "_./@-", max_size=8),
)


@given(REFERENCES)
def test_a_reference_is_read_as_it_is_written(reference):
    assert Reference.parse(str(reference)) == reference


@pytest.mark.security
@given(st.text(max_size=40) | st.text(":/?#=.%@ \\\n\0a1", max_size=40))
@example("a:b?version=1?version=2")
@example("a:b\n")
@example("a:../b")
def test_what_is_read_has_one_spelling_and_nothing_else_is(text):
    try:
        found = Reference.parse(text)
    except Invalid as fault:
        assert len(text) < 4 or text not in f"{fault.message} {fault.where}"
        return
    assert str(found) == text
    assert not {".", "..", ""} & set(found.path.removeprefix("/").split("/"))
    assert not set(found.path) & set("?#%\\ \n\0")


@pytest.mark.security
@pytest.mark.parametrize(
    "text",
    [
        "", "canary", ":canary", "bao:", "Bao:canary", "bao:canary//x", "bao:canary/", "bao:./canary", "bao:canary/..",
        "bao:%2e%2e/canary", "bao:canary#", "bao:canary?version=", "bao:canary#a#b", "bao:canary?v=1", "bao: canary",
        "bao:canary\\x", "bao:canary\0", "bao:cänary", "bao:canary#f?version=1", "bao:" + "canary/" * 200 + "x",
        "bao:slg_0123456789012345678901", "bao:" + "a" * LENGTH,
    ],
)  # fmt: skip
def test_what_is_no_reference_is_refused_and_not_repeated(text):
    with pytest.raises(Invalid) as told:
        Reference.parse(text)
    assert "canary" not in str(told.value)


def test_what_has_no_versions_says_so():
    Reference.parse("file:a").plain()
    for text in ("file:a#b", "file:a?version=1"):
        with pytest.raises(Invalid, match="no versions and no fields"):
            Reference.parse(text).plain()
