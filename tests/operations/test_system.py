from __future__ import annotations

import pytest

from sluicegate import __version__
from sluicegate.base.errors import Invalid
from sluicegate.base.principal import Role


@pytest.fixture
def administrator(place):
    return place.token(Role.ADMINISTRATOR)


@pytest.mark.security
@pytest.mark.req("SEC-C11")
def test_health_says_four_things_and_no_version(place):
    got = place.call("system.health").model_dump()
    assert got == {"status": "ok", "bootstrap": False, "jail": "none", "mail": "off"}
    assert __version__ not in str(got)


def test_health_says_when_there_is_nobody_yet(empty):
    assert empty.call("system.health").bootstrap is True


def test_about_says_what_is_installed_to_who_has_signed_in(place):
    got = place.call("system.about", {}, place.token(Role.API_USER))
    assert got.version == __version__
    assert set(got.engine) == {"jail", "jail_missing", "running"}
    assert got.engine["running"] == 0


def test_the_jail_is_told_once_it_has_been_looked_at(engine):
    level = engine.call("system.health").jail
    assert level in {"full", "fallback", "none"}
    about = engine.call("system.about", {}, engine.token(Role.VIEWER)).engine
    assert about["jail"] == level
    assert (level == "full") is (about["jail_missing"] == [])
    (probed,) = (each for each in engine.records(None) if each["action"] == "jail.probe")
    assert probed["result"] == level


def test_the_trail_is_told_newest_first_with_what_each_record_has(place, administrator):
    place.call("definition.apply", {"source": "kind: flow\nname: traced\nsteps: []\n"}, place.token(Role.EDITOR))
    ended, asked = place.call("audit.list", {"limit": 2}, administrator).items
    assert (ended.action, ended.result, asked.action, asked.result) == (
        "definition.apply",
        "ok",
        "definition.apply",
        "asked",
    )
    assert (ended.who, ended.role, ended.via) == (place.people["north", Role.EDITOR].id, "editor", "password")
    assert ended.request == "request-1"
    assert ended.about["items"] == ["flow/traced"]
    assert ended.seq == asked.seq + 1


@pytest.mark.security
@pytest.mark.req("SEC-D05")
@pytest.mark.parametrize(
    "ask", [{"limit": 0}, {"limit": 501}, {"limit": "all"}, {"before": 0}, {"action": "x" * 101}, {"order": "seq"}]
)
def test_a_page_of_the_trail_has_a_form_and_a_largest_size(place, administrator, ask):
    with pytest.raises(Invalid):
        place.call("audit.list", ask, administrator)


def test_pages_meet_without_a_gap(place, administrator):
    place.call("user.create", {"email": "paged@north.example", "role": "viewer"}, administrator)
    head = place.head()
    seen, before = [], head + 1
    while page := place.call("audit.list", {"limit": 3, "before": before}, administrator).items:
        seen += [each.seq for each in page]
        before = page[-1].seq
        if before <= 1:
            break
    assert seen == list(range(head, 0, -1))


@pytest.mark.security
@pytest.mark.req("SEC-P01")
def test_a_filter_is_a_value_and_no_pattern(place, administrator):
    for action in ("%", "session.%", "' or 1=1 --", "session.login' --", "SESSION.LOGIN"):
        assert place.call("audit.list", {"action": action}, administrator).items == ()


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
def test_the_trail_of_another_tenant_or_of_the_installation_is_not_shown(place, administrator):
    place.call("tenant.create", {"name": "trail-elsewhere"}, place.token(Role.SUPERADMIN, None))
    place.call("secret.set", {"name": "trail-south", "value": "x"}, place.token(Role.EDITOR, "south"))
    told = [each.model_dump_json() for each in place.call("audit.list", {"limit": 500}, administrator).items]
    assert not [each for each in told if "trail-elsewhere" in each or "trail-south" in each]
