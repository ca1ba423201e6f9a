from __future__ import annotations

import pytest

from sluicegate.base.errors import Denied, Invalid
from sluicegate.base.principal import Peer, Principal, Role
from sluicegate.guard.desk import Desk


@pytest.mark.security
@pytest.mark.req("SEC-Z01")
def test_a_desk_without_a_principal_or_tenant_gives_neither(place):
    desk = Desk(place.app.services, Peer("10.0.0.1"), None, None)
    with pytest.raises(Denied, match="signed in"):
        _ = desk.who
    with pytest.raises(Invalid, match="no tenant is chosen"):
        _ = desk.scope


def test_a_desk_gives_the_caller_and_their_tenant(place):
    who = Principal("u", place.tenants["north"], Role.VIEWER)
    scope = place.app.services.scope(who.tenant, who)
    desk = Desk(place.app.services, Peer("10.0.0.1"), who, scope)
    assert desk.who is who
    assert desk.scope.tenant == place.tenants["north"]


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
def test_a_desk_and_its_services_cannot_be_changed(place):
    desk = Desk(place.app.services, Peer("10.0.0.1"), None, None)
    for thing, name in (
        (desk, "principal"),
        (desk, "inside"),
        (place.app.services, "vault"),
        (place.app.services, "audit"),
    ):
        with pytest.raises(AttributeError):
            setattr(thing, name, None)


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
def test_services_open_no_tenant_for_somebody_elses_principal(place):
    with pytest.raises(Denied):
        place.app.services.scope(place.tenants["south"], Principal("u", place.tenants["north"], Role.ADMINISTRATOR))
