"""A tenant with one of everything, and the questions by which somebody else would ask for it."""

from __future__ import annotations

import pytest

from sluicegate.base.principal import Role
from tests.fixtures.server import Place

NORTH = """\
kind: connection
name: north-db
type: postgres
host: db.north.example
database: shop
user: loader
password: { secret: north-password }
---
kind: recipient
name: north-dpo
recipient: age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p
---
kind: flow
name: north-flow
steps: []
"""
SECRET = "the north sea is cold"


@pytest.fixture(scope="session")
def north(place: Place) -> dict[str, str]:
    """Fill tenant north; return what south might learn of it."""
    admin = place.token(Role.ADMINISTRATOR)
    place.call("secret.set", {"name": "north-password", "value": SECRET}, admin)
    place.call("definition.apply", {"source": NORTH}, admin)
    run = place.a_run("north", "north-flow")
    place.scope("north").runs().event(run, "log", {"message": "a canary of north"})
    service = place.call("service.create", {"name": "north-service", "role": "viewer"}, admin).id
    ask = {"name": "north-key", "user": service, "scopes": ["flow:read"]}
    key = place.call("key.create", ask, admin).id
    mine = place.call("factor.begin", {}, place.token(Role.VIEWER)).id
    access = place.call("support.grant", {"reason": "a canary of north", "email": "root@example.org"}, admin).id
    place.call("support.revoke", {"id": access}, admin)
    ask = {"email": "asked@north.example", "role": "viewer"}
    invited = place.call("user.invite", ask, admin).id
    grant = place.call("grant.list", {}, place.token(Role.VIEWER)).items[0].id
    known = {
        "access": access,
        "invited": invited,
        "grant": grant,
        "factor": mine,
        "run": run,
        "key": key,
        "service": service,
    }
    return {**known, "user": place.people["north", Role.VIEWER].id, "tenant": place.tenants["north"]}


ATTACKS = {
    "flow.get": {"name": "north-flow"},
    "flow.versions": {"name": "north-flow"},
    "flow.delete": {"name": "north-flow"},
    "flow.preview": {"name": "north-flow", "step": "s"},
    "flow.explain": {"name": "north-flow"},
    "connection.get": {"name": "north-db"},
    "connection.versions": {"name": "north-db"},
    "connection.delete": {"name": "north-db"},
    "connection.test": {"name": "north-db"},
    "connection.items": {"name": "north-db"},
    "connection.detect": {"name": "north-db", "item": "t"},
    "archive.verify": {"name": "north-db", "item": "x.age"},
    "archive.reseal": {"name": "north-db", "item": "x.age", "identity": "none", "to": ("nobody",)},
    "recipient.get": {"name": "north-dpo"},
    "recipient.versions": {"name": "north-dpo"},
    "recipient.delete": {"name": "north-dpo"},
    "secret.delete": {"name": "north-password"},
    "secret.test": {"name": "north-password"},
    "run.start": {"name": "north-flow"},
    "state.list": {"name": "north-flow"},
    "state.set": {"name": "north-flow", "step": "s", "above": "1"},
    "state.reset": {"name": "north-flow", "step": "s"},
    "state.undo": {"name": "north-flow", "step": "s"},
    "run.get": {"id": "run"},
    "run.events": {"id": "run"},
    "run.cancel": {"id": "run"},
    "run.rejects": {"id": "run"},
    "run.log": {"id": "run"},
    "run.rejected": {"id": "run"},
    "run.watch": {"id": "run"},
    "user.deactivate": {"id": "user"},
    "user.addresses": {"id": "user", "addresses": ()},
    "user.role": {"id": "user", "role": "operator"},
    "support.revoke": {"id": "access"},
    "key.revoke": {"id": "key"},
    "factor.confirm": {"id": "factor", "code": "000000"},
    "factor.remove": {"id": "factor"},
    "factor.reset": {"id": "user"},
    "user.reactivate": {"id": "user"},
    "user.reset": {"id": "user"},
    "invitation.resend": {"id": "invited"},
    "invitation.cancel": {"id": "invited"},
    "grant.end": {"id": "grant"},
}
"""Every operation that takes a name or an id, with north's."""

NORTHS = {
    "tenant.suspend": {"id": "tenant"},
    "tenant.resume": {"id": "tenant"},
    "tenant.shred": {"id": "tenant", "name": "north"},
    "superadmin.deactivate": {"id": "user"},
    "superadmin.activate": {"id": "user"},
    "superadmin.reset": {"id": "user"},
}
"""Those that are no tenant's business: whoever works in one is denied before anything is looked for."""
