"""Each field that says where a connection leads clears its secrets when it changes: every kind, every field."""

from __future__ import annotations

import json

import pytest

from sluicegate.base.principal import Role
from sluicegate.base.settings import Tls
from sluicegate.conformance.connection import WHO
from sluicegate.kit import registry
from sluicegate.kit.connection import Connection
from tests.fixtures.server import Place

CA = "the certificate of the installation's own authority"
HELD = {"secret": "s"}
ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJyiUGhkPjAuLmK2eV9l2vYpWPTv5lmwPVMJEC7bHyHN"
KINDS = {
    "postgres": (
        {"host": "db.example", "database": "shop", "user": "u", "password": HELD},
        {"host": "new.example", "port": 5433, "database": "other", "tls": "verify-ca", "ca": CA},
    ),
    "mysql": (
        {"host": "db.example", "database": "shop", "user": "u", "password": HELD},
        {"host": "new.example", "port": 3307, "database": "other", "tls": "verify-ca", "ca": CA},
    ),
    "http": (
        {"host": "api.example", "auth": "api_key", "key": HELD},
        {
            "host": "new.example",
            "port": 8443,
            "path": "/v2",
            "tls": "verify-ca",
            "ca": CA,
            "key_name": "X-Key",
            "key_in": "query",
            "headers": {"X-To": "elsewhere"},
            "auth": {"auth": "bearer", "key": None, "token": HELD},
        },
    ),
    "http oauth2": (
        {
            "host": "api.example",
            "auth": "oauth2",
            "token_url": "https://id.example",
            "client_id": "c",
            "client_secret": HELD,
        },
        {"token_url": "https://new.example", "client_in": "body"},
    ),
    "sftp": (
        {"host": "files.example", "host_key": ED25519, "user": "u", "password": HELD},
        {"host": "new.example", "port": 2222, "host_key": f"{ED25519}\n{ED25519}", "root": "/srv"},
    ),
    "openbao": (
        {"url": "https://bao.example:8200", "token": HELD},
        {"url": "https://new.example:8200", "ca": CA, "namespace": "n", "mount": "m", "engine": "kv-v1"},
    ),
    "aws_secrets": (
        {"region": "eu-central-1", "access_key": "AKIAEXAMPLE", "secret_key": HELD},
        {"region": "eu-west-1", "endpoint": "https://new.example", "ca": CA},
    ),
}
"""By type, or type and variety: a connection with a secret, and for each field of its destination another value.

A value that holds its field's name among others goes with these: alone it would not fit.
"""
CHANGES = [(type_, field) for type_, (_, others) in KINDS.items() for field in others]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = Place(tmp_path_factory.mktemp("kinds") / "home", tls=Tls(weakest="disable")).settle()
    yield made
    made.close()


def apply(place, type_, name, **fields):
    body = {"kind": "connection", "name": name, "type": type_.split()[0], **KINDS[type_][0], **fields}
    body = {key: {"secret": name} if value == HELD else value for key, value in body.items() if value is not None}
    (item,) = place.call("definition.apply", {"source": json.dumps(body)}, place.token(Role.EDITOR)).items
    return item.cleared


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_no_kind_with_a_secret_and_no_field_is_left_out():
    found = {}
    for type_ in registry.types("connection"):
        plugin = registry.find("connection", type_)
        secret = {name for name, each in plugin.model_fields.items() if "SecretName" in str(each.annotation)}
        assert set(plugin.model_fields) <= {*plugin.destination, *secret, *Connection.model_fields, "type", *WHO}
        if secret:
            found[type_] = plugin.destination
    tried: dict[str, set[str]] = {}
    for type_, (_, others) in KINDS.items():
        tried.setdefault(type_.split()[0], set()).update(others)
    assert tried == found


@pytest.mark.security
@pytest.mark.req("SEC-V08")
@pytest.mark.parametrize(("type_", "field"), CHANGES)
def test_another_destination_clears_the_secret(place, type_, field):
    name, value = f"{type_}-{field}".replace("_", "-").replace(" ", "-"), KINDS[type_][1][field]
    if value == CA:
        value = (place.home / "tls" / "ca.pem").read_text()
    assert apply(place, type_, name) == ()
    place.call("secret.set", {"name": name, "value": "hunter2"}, place.token(Role.ADMINISTRATOR))
    assert apply(place, type_, name, description="not where it leads") == ()
    changed = value if isinstance(value, dict) and field in value else {field: value}
    assert apply(place, type_, name, **changed) == (name,)
    assert name not in {each.name for each in place.scope("north").secrets().list()}
