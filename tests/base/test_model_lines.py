"""What people call themselves: any script, nothing that hides or turns text round."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sluicegate.base.errors import Invalid
from sluicegate.base.model import DisplayName, Email, Line
from sluicegate.base.principal import Role

ANY = st.text(max_size=40) | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zs", "Zl", "Lu", "Mn"]), max_size=8)
BAD = (
    "\0",
    "\x1b[31m",
    "\u202e",
    "\u2066",
    "\u200b",
    "\u200d",
    "\ufeff",
    "\ud800",
    "\n",
    "\u2028",
    "\ue000",
    "\u00ad",
    "\u00a0x",
)


@pytest.mark.security
@given(ANY, ANY)
def test_what_is_taken_is_one_visible_line(name, place):
    for type_, text in ((Line, name), (DisplayName, name), (Email, f"{name}@{place}")):
        try:
            found = TypeAdapter(type_).validate_python(text)
        except ValidationError:
            continue
        assert found == unicodedata.normalize("NFC", found) == found.strip()
        assert not {unicodedata.category(sign) for sign in found} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
        assert found.isprintable()
        assert found.encode().decode() == found


@pytest.mark.parametrize(
    "name", ["Zoë O’Neil-Müller", "山田 太郎", "محمد علي", "अनिता शर्मा", "Ngô Bảo Châu", "J. R. 2nd"]
)
def test_names_of_any_script_are_taken(name):
    assert TypeAdapter(DisplayName).validate_python(name) == unicodedata.normalize("NFC", name)
    assert TypeAdapter(DisplayName).validate_python(f" {unicodedata.normalize('NFD', name)} ") == unicodedata.normalize(
        "NFC", name
    )


def test_a_display_name_is_not_empty():
    for text in ("", "  "):
        with pytest.raises(ValidationError, match="must not be empty"):
            TypeAdapter(DisplayName).validate_python(text)
    assert TypeAdapter(Line).validate_python("") == ""


@pytest.mark.security
@pytest.mark.req("SEC-L05")
@pytest.mark.parametrize("bad", BAD)
def test_no_operation_takes_a_name_that_hides_something(place, bad):
    admin = place.token(Role.ADMINISTRATOR)
    asks = [
        ("user.create", {"email": f"a{bad}b@north.example", "role": "viewer"}, admin),
        ("user.create", {"email": "fine@north.example", "name": f"a{bad}b", "role": "viewer"}, admin),
        ("session.bootstrap", {"code": "x", "email": f"a{bad}b@x.example", "name": "A", "password": "p" * 20}, None),
        ("session.bootstrap", {"code": "x", "email": "a@x.example", "name": f"a{bad}b", "password": "p" * 20}, None),
        ("session.login", {"email": f"a{bad}b@x.example", "password": "x"}, None),
        ("factor.begin", {"name": f"a{bad}b"}, admin),
        ("session.login", {"tenant": f"a{bad}b", "email": "a@x.example", "password": "x"}, None),
    ]  # fmt: skip
    for operation, ask, token in asks:
        with pytest.raises(Invalid):
            place.call(operation, ask, token)
    assert not [each for each in place.scope("north").people().list() if bad in each.email + each.name]
