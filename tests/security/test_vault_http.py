"""Secrets from the API to the disk and back: put, used, moved, never shown (SEC-V01, V03, V04, V08)."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import get_args

import pytest
from pydantic import SecretStr

from sluicegate.base.errors import Corrupt, Invalid, Missing, SluiceError
from sluicegate.base.permission import Public
from sluicegate.base.principal import Role
from sluicegate.base.settings import Tls
from sluicegate.kit import registry
from sluicegate.kit.connection import Connection
from sluicegate.operations import OPERATIONS
from tests.fixtures.canary import CANARY, spellings
from tests.fixtures.server import Place
from tests.security.asks import ask_for

POSTGRES = """\
kind: connection
name: {name}
type: postgres
host: {host}
port: {port}
database: {database}
user: loader
password: {{ secret: {secret} }}
tls: {tls}
"""
HERE = {
    "name": "shop",
    "host": "db.example.org",
    "port": 5432,
    "database": "shop",
    "secret": "shop-password",
    "tls": "verify-full",
}


@pytest.fixture
def lax(tmp_path):
    """Give an installation whose operator allows connections without TLS."""
    made = Place(tmp_path / "home", tls=Tls(weakest="disable")).settle()
    yield made
    made.close()


def use(place, name, tenant="north"):
    return place.app.services.vault.use(place.scope(tenant), name, purpose="a test").reveal()


def apply(place, source, token=None):
    return place.call("definition.apply", {"source": source}, token or place.token(Role.EDITOR)).items


@contextlib.contextmanager
def raw(place):
    connection = sqlite3.connect(place.home / "store.db", isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


@pytest.mark.security
@pytest.mark.req("SEC-V01")
def test_no_file_of_the_installation_holds_a_secret(place):
    place.call("secret.set", {"name": "canary", "value": CANARY}, place.token(Role.EDITOR))
    assert use(place, "canary") == CANARY
    looked = 0
    for file in place.files():
        held = file.read_bytes()
        looked += len(held)
        for spelled in spellings(CANARY):
            assert spelled not in held, file
    assert (place.home / "store.db-wal").stat().st_size + (place.home / "store.db").stat().st_size <= looked


@pytest.mark.security
@pytest.mark.req("SEC-V08", "SEC-Z07")
@pytest.mark.parametrize("role", [Role.SUPERADMIN, Role.ADMINISTRATOR, Role.EDITOR, Role.OPERATOR])
def test_no_operation_gives_a_secret_back(place, role):
    editor = place.token(Role.EDITOR)
    place.call("secret.set", {"name": "shown-to-nobody", "value": CANARY}, editor)
    apply(place, POSTGRES.format(**{**HERE, "name": "keeper", "secret": "shown-to-nobody"}))
    token, answered = place.token(role), 0
    for each in OPERATIONS:
        if isinstance(each.permission, Public) or each.name.startswith(
            ("session.", "secret.set", "secret.delete", "connection.items", "connection.test")
        ):
            continue
        ask = ask_for(each.name)
        ask |= {"name": "keeper"} if each.name in {"connection.get", "connection.versions"} else {}
        try:
            said = place.call(each, ask, token).model_dump_json()
        except SluiceError as fault:
            said = str(fault)
        answered += "keeper" in said
        assert not any(spelled.decode("latin-1") in said for spelled in spellings(CANARY)), each.name
    assert answered >= 3


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_no_answer_has_a_field_for_a_secret():
    for each in OPERATIONS:
        for name, field in each.gives.model_fields.items():
            assert field.annotation is not SecretStr
            shown_once = {
                ("user.create", "password"),
                ("superadmin.create", "password"),
                *(
                    (op, key)
                    for op in (
                        "session.login",
                        "session.bootstrap",
                        "session.refresh",
                        "session.factor",
                        "invitation.accept",
                        "sso.finish",
                    )
                    for key in ("refresh",)
                ),
            }
            assert (each.name, name) in shown_once or name not in {
                "password",
                "value",
                "secret",
                "plaintext",
                "refresh",
                "ciphertext",
            }, each.name


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_secrets_are_taken_as_a_type_that_hides_them():
    wanted = {("session.login", "password"), ("session.bootstrap", "password"), ("session.bootstrap", "code"), ("session.refresh", "refresh"),
              ("session.logout", "refresh"), ("session.password", "old"), ("session.password", "new"), ("secret.set", "value"),
              ("session.key", "key"), ("key.leaked", "key"),
              ("invitation.accept", "token"), ("invitation.accept", "password"), ("password.reset", "token"),
              ("password.reset", "password"), ("profile.confirm", "token"),
              ("session.factor", "code"), ("session.prove", "password"), ("session.prove", "code"), ("factor.confirm", "code"),
              ("seal.open", "share"), ("seal.change", "passphrase"),
              ("sso.set", "secret"), ("sso.prove", "code"), *((f"sso.{verb}", name) for verb in ("finish", "confirm") for name in ("code", "state"))}  # fmt: skip
    found = {
        (each.name, name)
        for each in OPERATIONS
        for name, field in each.takes.model_fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    }
    assert found == wanted
    for each in OPERATIONS:
        if each.name == "secret.set":
            assert CANARY not in repr(each.takes(name="a", value=CANARY))


@pytest.mark.security
@pytest.mark.req("SEC-V08")
@pytest.mark.parametrize(("field", "value"), [("host", "evil.example"), ("port", 5433), ("database", "other")])
def test_a_connection_that_leads_elsewhere_loses_its_secret(place, field, value):
    token = place.token(Role.EDITOR)
    apply(place, POSTGRES.format(**HERE))
    apply(place, POSTGRES.format(**HERE))
    place.call("secret.set", {"name": "shop-password", "value": CANARY}, token)
    moved = apply(place, POSTGRES.format(**{**HERE, field: value}))
    assert moved[0].cleared == ("shop-password",)
    assert moved[0].changed is True
    with pytest.raises(Missing):
        use(place, "shop-password")
    back = apply(place, POSTGRES.format(**HERE))
    assert back[0].cleared == (), "there is nothing left to clear"


@pytest.mark.security
@pytest.mark.req("SEC-V08", "SEC-N03")
def test_a_connection_that_asks_for_less_proof_loses_its_secret(lax):
    apply(lax, POSTGRES.format(**HERE))
    lax.call("secret.set", {"name": "shop-password", "value": CANARY}, lax.token(Role.EDITOR))
    assert apply(lax, POSTGRES.format(**{**HERE, "tls": "disable"}))[0].cleared == ("shop-password",)


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_a_connection_that_stays_where_it_is_keeps_its_secret(place):
    apply(place, POSTGRES.format(**{**HERE, "name": "stays", "secret": "stays"}))
    place.call("secret.set", {"name": "stays", "value": CANARY}, place.token(Role.EDITOR))
    same = apply(
        place,
        POSTGRES.format(**{**HERE, "name": "stays", "secret": "stays"}).replace("loader", "other")
        + "description: the shop\n",
    )
    assert (same[0].changed, same[0].cleared) == (True, ())
    assert use(place, "stays") == CANARY


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_a_move_that_fails_clears_nothing(place):
    apply(place, POSTGRES.format(**{**HERE, "name": "half", "secret": "half"}))
    place.call("secret.set", {"name": "half", "value": CANARY}, place.token(Role.EDITOR))
    moved = POSTGRES.format(**{**HERE, "name": "half", "secret": "half", "host": "evil.example"})
    for wrong in (
        "kind: flow\nname: f\nsteps:\n- read: {name: a, connection: none, item: t}\n",
        "kind: connection\nname: x\ntype: postgres\n",
    ):
        with pytest.raises(Invalid):
            apply(place, f"{moved}---\n{wrong}")
        assert use(place, "half") == CANARY


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_a_secret_is_not_lent_to_a_connection_that_leads_elsewhere(place):
    """The way round: a second connection, at one's own server, that names the first one's secret."""
    apply(place, POSTGRES.format(**{**HERE, "name": "owner", "secret": "lent"}))
    place.call("secret.set", {"name": "lent", "value": CANARY}, place.token(Role.EDITOR))
    thief = POSTGRES.format(**{**HERE, "name": "thief", "secret": "lent", "host": "evil.example"})
    with pytest.raises(Invalid, match="leads elsewhere"):
        apply(place, thief)
    own = POSTGRES.format(**{**HERE, "name": "thief", "secret": "own", "host": "evil.example"})
    apply(place, own)
    with pytest.raises(Invalid, match="leads elsewhere"):  # the destination stays, the secret is swapped
        apply(place, thief)
    assert use(place, "lent") == CANARY


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_a_secret_is_not_carried_off_by_deleting_its_connection(place):
    token = place.token(Role.EDITOR)
    first = POSTGRES.format(**{**HERE, "name": "gone", "secret": "orphan"})
    apply(place, first)
    place.call("secret.set", {"name": "orphan", "value": CANARY}, token)
    place.call("connection.delete", {"name": "gone"}, token)
    with pytest.raises(Invalid, match="leads elsewhere"):
        apply(place, POSTGRES.format(**{**HERE, "name": "thief2", "secret": "orphan", "host": "evil.example"}))
    again = apply(place, first)
    assert again[0].cleared == ()
    assert use(place, "orphan") == CANARY, "the same connection again is not another one"
    place.call("connection.delete", {"name": "gone"}, token)
    assert apply(place, first.replace("db.example.org", "evil.example"))[0].cleared == ("orphan",)


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_a_secret_is_not_carried_off_by_dropping_its_name(place):
    apply(place, POSTGRES.format(**{**HERE, "name": "dropper", "secret": "dropped"}))
    place.call("secret.set", {"name": "dropped", "value": CANARY}, place.token(Role.EDITOR))
    apply(place, POSTGRES.format(**{**HERE, "name": "dropper", "secret": "another"}))
    with pytest.raises(Invalid, match="leads elsewhere"):
        apply(place, POSTGRES.format(**{**HERE, "name": "thief3", "secret": "dropped", "host": "evil.example"}))


def test_two_connections_to_one_server_may_share_a_secret(place):
    token = place.token(Role.EDITOR)
    place.call("secret.set", {"name": "shared", "value": CANARY}, token)
    apply(place, POSTGRES.format(**{**HERE, "name": "one", "secret": "shared"}))
    two = apply(place, POSTGRES.format(**{**HERE, "name": "two", "secret": "shared", "database": "warehouse"}))
    assert two[0].cleared == ()
    assert use(place, "shared") == CANARY


@pytest.mark.security
@pytest.mark.req("SEC-V08")
@pytest.mark.parametrize("type_", registry.types("connection"))
def test_every_field_that_says_where_is_in_the_destination(type_):
    """Conformance of every connector: what leads elsewhere clears the secret."""
    plugin = registry.find("connection", type_)
    assert issubclass(plugin, Connection)
    where = ("host", "hosts", "port", "url", "uri", "endpoint", "address", "server", "servers", "broker", "bootstrap", "proxy", "path", "root",
             "database", "bucket", "account", "region", "tls", "ca", "socket", "dsn", "domain", "tunnel", "jump", "token_url", "auth_url")  # fmt: skip
    leads = {
        name
        for name in plugin.model_fields
        if name in where or any(name.startswith(f"{each}_") or name.endswith(f"_{each}") for each in where)
    }
    assert leads, "a connection leads somewhere"
    assert leads <= plugin.destination
    assert plugin.destination <= set(plugin.model_fields)


# -- ciphertext moved about in the database ------------------------------------------------------------------------------


@pytest.mark.security
@pytest.mark.req("SEC-V03")
@pytest.mark.parametrize("what", ["name", "tenant", "wrapped alone", "ciphertext alone"])
def test_ciphertext_put_elsewhere_does_not_open(fresh, what):
    place = fresh
    for tenant in ("north", "south"):
        for name in ("a", "b"):
            place.call("secret.set", {"name": name, "value": f"{tenant} {name}"}, place.token(Role.EDITOR, tenant))
    north, south = place.tenants["north"], place.tenants["south"]
    source = (south, "a") if what == "tenant" else (north, "b")
    columns = {"wrapped alone": "wrapped", "ciphertext alone": "ciphertext"}.get(what, "wrapped, ciphertext").split(
        ", "
    )
    with raw(place) as connection:
        row = connection.execute(
            f"select {', '.join(columns)} from secrets where tenant_id = ? and name = ?", source
        ).fetchone()
        connection.execute(
            f"update secrets set {', '.join(f'{each} = ?' for each in columns)} where tenant_id = ? and name = 'a'",
            (*row, north),
        )
    with pytest.raises(Corrupt) as told:
        use(place, "a")
    assert str(told.value) == "Stored data does not verify."
    assert use(place, "b") == "north b"


@pytest.mark.security
@pytest.mark.req("SEC-V03", "SEC-V09")
def test_a_tenants_key_does_not_open_for_another_tenant(fresh):
    place = fresh
    for tenant in ("north", "south"):
        place.call("secret.set", {"name": "a", "value": tenant}, place.token(Role.EDITOR, tenant))
    with raw(place) as connection:
        key = connection.execute(
            "select wrapped from tenant_keys where tenant_id = ?", (place.tenants["south"],)
        ).fetchone()
        connection.execute("update tenant_keys set wrapped = ? where tenant_id = ?", (*key, place.tenants["north"]))
    place.app.services.vault._held.clear()
    with pytest.raises(Corrupt):
        use(place, "a")
    assert use(place, "a", "south") == "south"


@pytest.mark.security
@pytest.mark.req("SEC-V04")
def test_an_older_ciphertext_put_back_does_not_open(fresh):
    place, token = fresh, fresh.token(Role.EDITOR)
    place.call("secret.set", {"name": "a", "value": "old"}, token)
    with raw(place) as connection:
        old = connection.execute("select wrapped, ciphertext, fingerprint from secrets where name = 'a'").fetchone()
    place.call("secret.set", {"name": "a", "value": "new"}, token)
    with raw(place) as connection:
        connection.execute("update secrets set wrapped = ?, ciphertext = ?, fingerprint = ? where name = 'a'", old)
    with pytest.raises(Corrupt):
        use(place, "a")


@pytest.mark.security
@pytest.mark.req("SEC-V04")
def test_deleting_and_setting_again_does_not_let_the_old_one_back_in(fresh):
    place, token = fresh, fresh.token(Role.EDITOR)
    place.call("secret.set", {"name": "a", "value": "old"}, token)
    with raw(place) as connection:
        old = connection.execute("select wrapped, ciphertext from secrets where name = 'a'").fetchone()
    place.call("secret.delete", {"name": "a"}, token)
    with raw(place) as connection:
        assert connection.execute("select wrapped, ciphertext from secrets where name = 'a'").fetchone() == (b"", b"")
    assert place.call("secret.set", {"name": "a", "value": "new"}, token).version == 2
    with raw(place) as connection:
        connection.execute("update secrets set wrapped = ?, ciphertext = ? where name = 'a'", old)
    with pytest.raises(Corrupt):
        use(place, "a")


@pytest.mark.security
@pytest.mark.req("SEC-V10")
def test_equal_secrets_do_not_look_equal(fresh):
    place = fresh
    for tenant in ("north", "south"):
        for name in ("a", "b"):
            place.call("secret.set", {"name": name, "value": "the same"}, place.token(Role.EDITOR, tenant))
    with raw(place) as connection:
        rows = connection.execute("select wrapped, ciphertext from secrets").fetchall()
        prints = connection.execute("select distinct tenant_id, fingerprint from secrets").fetchall()
    assert len({row[0] for row in rows}) == len({row[1] for row in rows}) == 4
    assert len({each[1] for each in prints}) == 4, "a fingerprint tells nothing of equality"
