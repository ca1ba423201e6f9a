"""The store in PostgreSQL: who may connect, and what is said when nobody answers."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Invalid, Unavailable
from sluicegate.store.database import Database
from tests.store.conftest import empty_postgres
from tests.store.rows import tables_of


def test_a_server_that_is_gone_is_unavailable(roles):
    gone = roles.as_user("sluice_app", "app-pw")
    store = Database(gone.url.replace(f":{gone.port}/", ":1/"))
    with pytest.raises(Unavailable) as told, store.read():
        pass
    assert "app-pw" not in str(told.value)
    store.close()


@pytest.mark.security
@pytest.mark.req("SEC-Z04")
@pytest.mark.parametrize("place", ["postgres"], indirect=True)
def test_a_role_that_row_level_security_does_not_hold_is_refused(place):
    server = place.server
    for url, why in ((server.url, "superuser"), (place.owner_url, "owns the tables")):
        store = Database(url)
        with pytest.raises(Invalid, match=why), store.read():
            pass
        store.close()


@pytest.mark.security
def test_the_application_is_not_its_own_owner(roles):
    place = empty_postgres(roles)
    store = Database(place.owner_url, place.owner_url)
    with pytest.raises(Invalid, match="owns the tables"):
        store.migrate()
    store.close()
    store = Database(place.url)
    with pytest.raises(Invalid, match="only their owner"):
        store.migrate()
    store.close()
    assert tables_of(place) == set()
    place.server.drop()
