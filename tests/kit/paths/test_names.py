"""Names that lead out, or that another system would read differently, are refused before they are used."""

from __future__ import annotations

import os
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import Denied, Invalid, SluiceError
from sluicegate.kit.paths import check
from tests.fixtures.files import TRAVERSAL, UNUSABLE, USABLE, put, read


@pytest.mark.security
@pytest.mark.req("SEC-F06")
@pytest.mark.parametrize("path", TRAVERSAL)
def test_a_path_that_leads_out_is_denied(path):
    with pytest.raises(Denied):
        check(path)


@pytest.mark.security
@pytest.mark.req("SEC-F06")
@pytest.mark.parametrize("path", UNUSABLE)
def test_an_unusable_name_is_invalid(path):
    with pytest.raises(Invalid):
        check(path)


@pytest.mark.parametrize("path", USABLE)
def test_an_ordinary_name_is_taken(path, root):
    assert check(path) == tuple(path.split("/"))
    put(root, path, path.encode())
    assert read(root, path) == path.encode()
    assert root.exists(path)


@pytest.mark.security
@pytest.mark.req("SEC-F06")
def test_every_verb_checks_the_name(verb):
    for path in TRAVERSAL:
        with pytest.raises(Denied):
            verb(path)


@pytest.mark.security
def test_a_refusal_prints_no_control_characters():
    for path in ("a\x1b[2J/../x", "a\u202eb", "a\nb", "a\0b", "a\udc80"):
        with pytest.raises(SluiceError) as caught:
            check(path)
        assert all(unicodedata.category(sign) not in ("Cc", "Cf", "Cs") for sign in str(caught.value))


def test_the_refusal_names_the_problem():
    for path, word in (
        ("/x", "absolute"),
        ("a/../b", "'..'"),
        ("a\\b", "backslash"),
        ("a\0", "NUL"),
        ("%2e", "percent"),
    ):
        with pytest.raises(Denied, match=word):
            check(path)
    with pytest.raises(Invalid, match="device"):
        check("aux.csv")


SIGNS = st.sampled_from([*"./\\%2eEfFcC5a: \0\x1f~", "．", "／", "＼", "‥", "％", "é", "\u202e"])


@pytest.mark.security
@pytest.mark.req("SEC-F06")
@given(st.one_of(st.text(SIGNS, max_size=12), st.text(max_size=40)))
@example("a/‥/b")
@settings(max_examples=100, deadline=None)
def test_what_passes_the_check_stays_beneath_however_it_is_read(path):
    try:
        parts = check(path)
    except (Denied, Invalid):
        return
    for reading in (path, unicodedata.normalize("NFKC", path), path.replace("\\", "/")):
        joined = os.path.normpath(os.path.join("/root/of", reading))  # noqa: PTH118 - the text is the point
        assert joined.startswith("/root/of/")
        assert "\0" not in reading
    assert "/".join(parts) == path
    assert all(0 < len(part.encode()) <= 255 for part in parts)
