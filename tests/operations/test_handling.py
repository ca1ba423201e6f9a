"""Tags of connections: an Editor makes them stricter, an Administrator looser, too."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Denied
from sluicegate.base.principal import Role

CLINIC = "kind: connection\nname: %s\ntype: postgres\nhost: db.example.org\ndatabase: clinic\nuser: u\n"
TAGS = "tags: { Email: [personal], pan: [card] }\n"
LAB = "kind: connection\nname: lab\ntype: files\n"


def save(place, source, role=Role.EDITOR):
    for operation in ("definition.validate", "definition.apply"):
        place.call(operation, {"source": source}, place.token(role))


@pytest.fixture
def tagged(fresh):
    """Give an installation with a source whose columns are tagged, and a destination that refuses some."""
    save(fresh, CLINIC % "clinic" + TAGS + "---\n" + LAB + "refuses: [personal]\n", Role.ADMINISTRATOR)
    return fresh


@pytest.mark.security
@pytest.mark.req("SEC-B10")
@pytest.mark.parametrize(
    ("source", "says"),
    [
        (CLINIC % "clinic", "'Email' is not tagged 'personal'"),
        (CLINIC % "clinic" + "tags: { email: [personal] }\n", "'pan' is not tagged 'card'"),
        (CLINIC % "again", "as in the connection 'clinic'"),
        (LAB, "no longer refuses the tag 'personal'"),
        (LAB + "refuses: [personal]\naccepts: [card]\n", "accepts the tag 'card'"),
        (LAB.replace("lab", "other") + "accepts: [card]\n", "accepts the tag 'card'"),
    ],
)
def test_an_editor_lets_nothing_more_through(tagged, source, says):
    with pytest.raises(Denied, match=says):
        save(tagged, source)
    save(tagged, source, Role.ADMINISTRATOR)
    save(tagged, source + "description: what stays is nobody's business\n")


@pytest.mark.security
@pytest.mark.req("SEC-B10")
def test_what_was_deleted_is_remembered(tagged):
    editor = tagged.token(Role.EDITOR)
    tagged.call("connection.delete", {"name": "clinic"}, editor)
    for name in ("clinic", "again"):
        with pytest.raises(Denied, match="is not tagged"):
            save(tagged, CLINIC % name)


def test_an_editor_makes_it_stricter(tagged):
    save(tagged, CLINIC % "again" + TAGS)
    save(tagged, CLINIC % "clinic" + TAGS.replace("}", ", iban: [account] }"))
    save(tagged, LAB + "refuses: [personal, card]\n")
    save(tagged, (CLINIC % "elsewhere").replace("db.example.org", "other.example.org"))
