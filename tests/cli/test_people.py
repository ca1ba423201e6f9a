from __future__ import annotations

import pytest

from tests.fixtures.home import PASSWORD, sluice

pytestmark = pytest.mark.slow


def names(told, column):
    head, *rows = told.out.splitlines()
    place = head.index(column)
    return {row[place:].split()[0] for row in rows}


@pytest.mark.security
def test_people_are_named_as_far_as_the_reader_may_know_them(place, call):
    """An administrator may list the users; a viewer knows but themselves, and is told nobody's address."""
    sluice(place.editor, "secret", "set", "named", told=PASSWORD)
    who = sluice(place.editor, "whoami")["id"]
    admin, viewer = place.user("administrator"), place.user("viewer")
    assert names(call("flow", "list", home=place.editor), "AUTHOR") == {"editor@example.org"}
    assert names(call("get", "flows", home=admin), "AUTHOR") == {"editor@example.org"}
    assert names(call("secret", "list", home=admin), "SET_BY") == {"editor@example.org"}
    told = call("flow", "list", home=viewer)
    assert names(told, "AUTHOR") == {f"…{who[-8:]}"}
    assert "editor@" not in told.out
    assert {each["author"] for each in call("flow", "list", "--json", home=viewer).json["items"]} == {who}


def test_what_names_nobody_stays_as_it_is(place, call):
    assert call("tenant", "list", home=place.root).out.split()[0] == "ID"
