"""A secret goes to one server. Who may write connections tries to have somebody else's secret sent to their own."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from sluicegate.base.errors import Invalid
from sluicegate.base.principal import Role

CONNECTION = "kind: connection\nname: {name}\ntype: postgres\nhost: {host}\ndatabase: {database}\nuser: u\npassword: {{ secret: {secret} }}\n"


def source(name, host, secret="s", database="shop"):
    return CONNECTION.format(name=name, host=host, secret=secret, database=database)


def apply(place, *sources):
    return place.call("definition.apply", {"source": "---\n".join(sources)}, place.token(Role.EDITOR)).items


def put(place, name="s", value="hunter2"):
    return place.call("secret.set", {"name": name, "value": value}, place.token(Role.ADMINISTRATOR))


def test_the_usual_way_is_easy(fresh):
    apply(fresh, source("shop", "db.example"), source("more", "db.example", database="warehouse"))
    assert put(fresh).used_by == ("more", "shop")
    apply(fresh, source("third", "db.example"))
    assert put(fresh, value="changed").version == 2


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_a_connection_made_ahead_does_not_get_the_secret(fresh):
    apply(fresh, source("evil", "evil.example"))
    with pytest.raises(Invalid, match="'evil', which leads elsewhere"):
        apply(fresh, source("shop", "db.example"))
    with pytest.raises(Invalid, match="leads elsewhere"):
        apply(fresh, source("one", "one.example", "both"), source("two", "two.example", "both"))


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_a_secret_is_not_set_while_two_places_wait_for_it(fresh):
    """Both were made before a release that looks when they are applied: the secret itself is refused."""
    apply(fresh, source("evil", "evil.example", "other"), source("shop", "db.example"))
    with closing(sqlite3.connect(fresh.home / "store.db", isolation_level=None)) as link:
        (body,) = link.execute("select body from definitions where name = 'evil'").fetchone()
        changed = json.dumps(json.loads(body) | {"password": {"secret": "s"}})
        for (trigger,) in link.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            link.execute(f'drop trigger "{trigger}"')
        link.execute("update definitions set body = ? where name = 'evil'", (changed,))
    before = fresh.head()
    with pytest.raises(Invalid, match="different places: evil, shop"):
        put(fresh)
    assert fresh.scope("north").secrets().list() == []
    assert [each["result"] for each in fresh.records(after=before)][-2:] == ["asked", "invalid"]
    fresh.call("connection.delete", {"name": "evil"}, fresh.token(Role.EDITOR))
    assert put(fresh).used_by == ("shop",)


@pytest.mark.security
@pytest.mark.req("SEC-V08")
@pytest.mark.parametrize("keeps", [True, False])
def test_deleting_a_secret_does_not_erase_where_it_led(fresh, keeps):
    token = fresh.token(Role.EDITOR)
    apply(fresh, source("shop", "db.example"))
    put(fresh)
    fresh.call("secret.delete", {"name": "s"}, token)
    if not keeps:
        fresh.call("connection.delete", {"name": "shop"}, token)
    with pytest.raises(Invalid, match="'shop', which leads elsewhere"):
        apply(fresh, source("evil", "evil.example"))
    apply(fresh, source("shop", "db.example"))
    assert put(fresh).used_by == ("shop",)


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_connections_that_share_a_secret_move_together(fresh):
    apply(fresh, source("one", "db.example"), source("two", "db.example"))
    put(fresh)
    with pytest.raises(Invalid, match="'two', which leads elsewhere"):
        apply(fresh, source("one", "new.example"))
    moved = apply(fresh, source("one", "new.example"), source("two", "new.example"))
    assert moved[0].cleared == ("s",)
    assert put(fresh).version == 2
