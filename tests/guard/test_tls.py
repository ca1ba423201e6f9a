"""What a connection may leave out of TLS is the operator's word: at apply, at each use, and on record."""

from __future__ import annotations

from typing import get_args

import pytest

from sluicegate.base.errors import Denied
from sluicegate.base.principal import Role
from sluicegate.base.settings import Tls
from sluicegate.guard.tls import ORDER
from sluicegate.kit import connection
from tests.fixtures.server import Place

SOURCE = "kind: connection\nname: {tls}\ntype: postgres\nhost: 203.0.113.7\ndatabase: d\nuser: u\ntls: {tls}\n"


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    made = {each: Place(tmp_path_factory.mktemp(each) / "home", tls=Tls(weakest=each)).settle() for each in ORDER}
    yield made
    for each in made.values():
        each.close()


def apply(place, mode, operation="definition.apply"):
    return place.call(operation, {"source": SOURCE.format(tls=mode)}, place.token(Role.EDITOR))


def test_the_modes_are_those_of_connections_and_the_strongest_is_the_default():
    assert set(ORDER) == set(get_args(connection.Tls)) == set(get_args(Tls.model_fields["weakest"].annotation))
    assert Tls().weakest == "verify-full" == ORDER[-1]


@pytest.mark.security
@pytest.mark.req("SEC-N03")
@pytest.mark.parametrize("weakest", ORDER)
@pytest.mark.parametrize("mode", ORDER)
def test_what_is_weaker_than_allowed_is_not_saved(places, weakest, mode):
    place = places[weakest]
    for operation in ("definition.validate", "definition.apply"):
        before = place.head()
        if ORDER.index(mode) >= ORDER.index(weakest):
            apply(place, mode, operation)
            expected = [("tls.weak", "ok")] if mode != "verify-full" else []
        else:
            with pytest.raises(Denied, match=f"tls: {mode} is weaker"):
                apply(place, mode, operation)
            expected = [("tls.weak", "denied")]
        found = [(each["action"], each["result"]) for each in place.records(after=before)]
        if operation == "definition.apply":
            assert [each for each in found if each[0] == "tls.weak"] == expected


@pytest.mark.security
@pytest.mark.req("SEC-N03")
def test_what_was_saved_before_the_operator_said_no_does_not_run(tmp_path):
    place = Place(tmp_path / "home", tls=Tls(weakest="disable")).settle()
    apply(place, "disable")
    place.close()
    again = Place(tmp_path / "home")
    again.tenants, again.people = place.tenants, place.people
    before = again.head()
    with pytest.raises(Denied, match="tls: disable is weaker"):
        again.call("connection.test", {"name": "disable"}, again.token(Role.OPERATOR))
    assert ("tls.weak", "denied") in [(each["action"], each["result"]) for each in again.records(after=before)]
    again.close()
