from __future__ import annotations

from dataclasses import replace

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


ASKED = {
    "https://localhost/api/v1/sso": "https://localhost",
    "https://localhost:8443/api/v1/sso": "https://localhost:8443",
    "https://[::1]:8443/x": "https://[::1]:8443",
    "https://localhost:9999/x": None,
}


@pytest.mark.security
@pytest.mark.req("SEC-N08", "SEC-A13")
@pytest.mark.parametrize("asked", ASKED)
def test_where_people_come_back_to_is_a_port_of_its_own(place, asked):
    desk = Desk(place.app.services, Peer("10.0.0.1"), None, None, url=asked)
    if ASKED[asked] is not None:
        assert desk.origin == ASKED[asked]
        return
    with pytest.raises(Invalid, match="not known where people reach"):
        _ = desk.origin


@pytest.mark.security
@pytest.mark.req("SEC-N08", "SEC-A13")
def test_a_server_that_is_called_anything_must_be_told_where_it_is(place):
    for url, told in (("", None), ("https://etl.example.org", "https://etl.example.org")):
        server = place.settings.server.model_copy(update={"names": ("*",), "url": url})
        services = replace(place.app.services, settings=place.settings.model_copy(update={"server": server}))
        desk = Desk(services, Peer("10.0.0.1"), None, None, url="https://evil.example/api/v1/sso")
        if told:
            assert desk.origin == told
        else:
            with pytest.raises(Invalid, match=r"server\.url"):
                _ = desk.origin
        assert services.settings.url == (told or "https://localhost:8443"), "nor do links in mails lead to it"
