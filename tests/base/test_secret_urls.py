"""Addresses with passwords in them are shown without."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from sluicegate.base.secret import MASK, SecretUrl
from sluicegate.base.settings import Settings, Store

WORDS = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=8, max_size=30)

USUAL = repr(Settings()) + Settings().model_dump_json()
"""What stands in all settings anyway."""


@pytest.mark.security
@pytest.mark.req("SEC-V02")
@example("@0000000")
@given(WORDS.filter(lambda text: text.strip("*") == text and text not in USUAL))
def test_no_spelling_of_a_password_is_shown(password):
    for spelled in (password, quote(password, safe="")):
        for url in (f"postgresql://app:{spelled}@db.example/store", f"postgresql://:{spelled}@db.example/store",
                    f"postgresql://db.example/store?user=app&password={spelled.replace('&', '')}",
                    f"host=db.example password={spelled}"):  # fmt: skip
            found = Settings(store=Store(url=url))
            shown = [
                repr(found),
                str(found.store.url),
                f"{found.store.url}",
                found.model_dump_json(),
                repr(found.store),
            ]
            assert not [each for each in shown if spelled.replace("&", "") in each.replace("db.example", "")]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://app:pw@db.example:5432/store?sslmode=verify-full", f"postgresql://app:{MASK}@db.example:5432/store?sslmode=verify-full"),
        ("postgresql://app@db.example/store", "postgresql://app@db.example/store"),
        ("postgresql://app:p@ss/w#rd@db.example/store", f"postgresql://app:{MASK}@db.example/store"),
        ("postgresql://db/store?password=a@b&sslmode=disable", f"postgresql://{MASK}"),
        ("postgresql://app:p?w@db/store", f"postgresql://{MASK}"),
        ("sqlite:////var/lib/store.db", "sqlite:////var/lib/store.db"),
        ("", ""),
        ("no address", MASK),
    ],
)  # fmt: skip
def test_what_is_shown_still_says_where(url, shown):
    assert str(SecretUrl(url)) == shown
    assert SecretUrl(url).reveal() == url


@pytest.mark.security
@pytest.mark.parametrize(
    "given", [7, None, {"file": 7}, {"file": "relative"}, {"file": "/no/such/file-canary"}, {"path": "/x"}, "a\0canary"]
)
def test_what_is_no_address_is_refused_without_showing_it(given):
    with pytest.raises(ValidationError) as told:
        Store(url=given)
    assert "canary" not in str(told.value)


def test_an_address_may_stand_in_a_file(tmp_path):
    (tmp_path / "url").write_text("postgresql://app:pw@db/store\n")
    assert Store(url={"file": str(tmp_path / "url")}).url.reveal() == "postgresql://app:pw@db/store"
    assert (
        json.loads(Store(url={"file": str(tmp_path / "url")}).model_dump_json())["url"]
        == f"postgresql://app:{MASK}@db/store"
    )
