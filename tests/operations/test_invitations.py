"""Inviting and reactivating, as the users list shows it."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Missing, Unauthenticated
from sluicegate.base.model import new_id
from sluicegate.base.principal import Role
from tests.fixtures.server import Person


def listed(place, id_):
    found = place.call("user.list", {}, place.token(Role.ADMINISTRATOR)).items
    return next(each for each in found if each.id == id_)


def test_who_is_invited_without_a_name_is_called_after_the_address(fresh):
    admin = fresh.token(Role.ADMINISTRATOR)
    sent = fresh.call("user.invite", {"email": "Grace.Hopper@North.example", "role": "viewer"}, admin)
    shown = listed(fresh, sent.id)
    assert (shown.name, shown.email, shown.state) == ("Grace.Hopper", "grace.hopper@north.example", "invited")
    assert shown.link_expires == sent.expires
    assert (shown.role, shown.factor, shown.last_sign_in) == ("viewer", False, None)


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_a_deactivated_user_comes_back_with_what_they_know_and_not_with_what_they_held(fresh):
    editor, admin = fresh.people["north", Role.EDITOR], fresh.token(Role.ADMINISTRATOR)
    held = fresh.sign_in(editor)
    fresh.call("user.deactivate", {"id": editor.id}, admin)
    assert listed(fresh, editor.id).state == "disabled"
    with pytest.raises(Unauthenticated):
        fresh.sign_in(editor)
    for _ in range(2):
        fresh.call("user.reactivate", {"id": editor.id}, admin)
    assert listed(fresh, editor.id).state == "active"
    with pytest.raises(Unauthenticated):
        fresh.call("session.refresh", {"refresh": held["refresh"]})
    assert fresh.sign_in(Person(editor.id, editor.email, Role.EDITOR, "north"))["access"]
    with pytest.raises(Missing):
        fresh.call("user.reactivate", {"id": new_id()}, admin)


@pytest.mark.security
def test_nobody_is_ever_deleted():
    from sluicegate.operations import OPERATIONS

    assert not [each.name for each in OPERATIONS if each.name.startswith("user.") and each.http.method == "DELETE"]
