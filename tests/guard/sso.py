"""A tenant with a provider of single sign-on, and people who come by it."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Unauthenticated
from sluicegate.base.principal import Peer, Role
from sluicegate.base.settings import Grant
from tests.fixtures.idp import ask, provider
from tests.fixtures.server import BY_NAME, Place, address


@pytest.fixture
def idp():
    with provider() as held:
        yield held


@pytest.fixture
def home(tmp_path, idp):
    made = Place(tmp_path / "home", egress=(Grant(host="127.0.0.1"),)).settle()
    made.idp = idp
    yield made
    made.close()


def set_up(place, **more):
    return place.call("sso.set", ask(place.idp, **more), place.token(Role.ADMINISTRATOR))


def begin(place, tenant="north", key=None, **more):
    told = place.credentials(None, "POST", key)
    return place.app.gate.call(BY_NAME["sso.begin"], {"tenant": tenant, **more}, told, Peer(address(), "t", "r")).url


def finish(place, back, key=None, peer=None):
    told = place.credentials(None, "POST", key)
    return place.app.gate.call(BY_NAME["sso.finish"], back, told, peer or Peer(address(), "t", "r"))


def enter(place, key=None, **person):
    place.idp.person = {**place.idp.person, **person}
    return finish(place, place.idp.visit(begin(place, key=key)), key)


def people(place, tenant="north"):
    return {each.email: each for each in place.scope(tenant).people().list()}


def why(place, action="sso.finish"):
    """Return the reason on the newest record of a refusal."""
    found = [each for each in place.records() if each["action"] == action and each["result"] == "denied"]
    return found[-1]["about"]["reason"]


def refused(place, reason, **person):
    """Assert that a person is refused in the one way there is, for this reason, and that nothing was made."""
    before = people(place)
    with pytest.raises(Unauthenticated) as told:
        enter(place, **person)
    assert told.value.message == "Single sign-on did not let you in."
    assert reason in why(place)
    assert people(place) == before
