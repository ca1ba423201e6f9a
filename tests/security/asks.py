"""A question for every operation that is well formed and changes little: the gate decodes before it authorises."""

from __future__ import annotations

from typing import Any

from sluicegate.base.model import new_id
from sluicegate.base.principal import Role
from sluicegate.guard import policy
from sluicegate.guard.operation import Operation
from tests.fixtures.server import PASSWORD

FLOW = "kind: flow\nname: idle\nsteps: []\n"


def ask_for(operation: str) -> dict[str, Any]:
    """Return a question that passes decoding. It names nothing that exists, so that allowed calls end in ``missing``."""
    noun, _, verb = operation.partition(".")
    fixed: dict[str, dict[str, Any]] = {
        "session.login": {"email": "nobody@example.org", "password": "not the password"},
        "session.bootstrap": {"code": "x", "email": "a@b.example", "name": "A", "password": PASSWORD},
        "session.refresh": {"refresh": "rt_nothing"},
        "session.logout": {"refresh": "rt_nothing"},
        "session.password": {"old": PASSWORD, "new": PASSWORD},  # refused, after the old one was found right
        "session.key": {"key": "slg_nothing"},
        "key.leaked": {"key": "slg_nothing"},
        "key.create": {"name": "matrix", "scopes": ["self:use"]},
        "key.revoke": {"id": new_id()},
        "service.create": {"name": f"s-{new_id()[-12:]}", "role": "api_user"},
        "user.addresses": {"id": new_id()},
        "sso.begin": {"tenant": "nowhere"},
        "sso.finish": {"at": new_id(), "code": "none", "state": "none"},
        "sso.confirm": {"at": new_id(), "code": "none", "state": "none"},
        "sso.prove": {},
        "sso.get": {},
        "sso.remove": {},
        "sso.test": {},
        "sso.set": {"issuer": "https://127.0.0.1", "client_id": "sluice"},
        "session.factor": {"code": "000000"},
        "session.prove": {"password": PASSWORD},
        "system.rotate": {},
        "system.rekey": {},
        "seal.get": {},
        "seal.open": {"share": "none"},
        "seal.about": {},
        "seal.change": {"to": "file"},
        "seal.confirm": {"shares": ["none"]},
        "seal.renew": {},
        "seal.close": {},
        "vault.get": {},
        "vault.rotate": {},
        "factor.begin": {},
        "factor.confirm": {"id": new_id(), "code": "000000"},
        "factor.remove": {"id": new_id()},
        "factor.codes": {},
        "factor.reset": {"id": new_id()},
        "ticket.create": {"operation": "run.log", "ask": {"id": new_id()}},
        "policy.get": {},
        "policy.set": {},
        "session.switch": {"tenant": "no-such"},
        "user.role": {"id": new_id(), "role": "viewer"},
        "tenant.suspend": {"id": new_id()},
        "tenant.resume": {"id": new_id()},
        "tenant.shred": {"id": new_id(), "name": "no-such"},
        "superadmin.create": {"email": f"{new_id()}@example.org"},
        "superadmin.deactivate": {"id": new_id()},
        "superadmin.activate": {"id": new_id()},
        "superadmin.reset": {"id": new_id()},
        "support.grant": {"reason": "the matrix", "email": "nobody@example.org"},
        "support.revoke": {"id": new_id()},
        "tenant.create": {"name": f"t-{new_id()[-12:]}"},
        "user.create": {"email": f"{new_id()}@example.org", "role": "viewer"},
        "user.deactivate": {"id": new_id()},
        "user.reactivate": {"id": new_id()},
        "user.reset": {"id": new_id()},
        "user.invite": {"email": f"{new_id()}@example.org", "role": "viewer"},
        "invitation.resend": {"id": new_id()},
        "invitation.cancel": {"id": new_id()},
        "invitation.accept": {"token": "lt_nothing", "name": "A", "password": PASSWORD},
        "password.forgot": {"email": "nobody@example.org"},
        "password.reset": {"token": "lt_nothing", "password": PASSWORD},
        "profile.get": {},
        "profile.update": {"name": "Some Body"},
        "profile.email": {"email": f"{new_id()}@example.org"},
        "profile.confirm": {"token": "lt_nothing"},
        "grant.end": {"id": new_id()},
        "grant.others": {},
        "mail.test": {},
        "definition.apply": {"source": FLOW},
        "definition.validate": {"source": FLOW},
        "secret.set": {"name": "matrix", "value": "a value"},
        "secret.generate": {"name": "matrix"},
        "secret.link": {"name": "matrix", "reference": "environment:NONE"},
        "archive.key": {},
        "archive.verify": {"name": "no-such", "item": "x.age"},
        "archive.reseal": {"name": "no-such", "item": "x.age", "identity": "none", "to": ("nobody",)},
        "connection.detect": {"name": "no-such", "item": "t"},
        "flow.preview": {"name": "no-such", "step": "s"},
        "flow.explain": {"name": "no-such"},
        "state.list": {"name": "no-such"},
        "state.set": {"name": "no-such", "step": "s", "above": "1"},
        "state.reset": {"name": "no-such", "step": "s"},
        "state.undo": {"name": "no-such", "step": "s"},
    }
    if operation in fixed:
        return fixed[operation]
    if noun == "run" and verb in {"get", "events", "cancel", "rejects", "log", "watch", "rejected"}:
        return {"id": new_id()}
    if verb in {"list", "whoami", "about", "health", "export"}:
        return {}
    return {"name": "no-such"}


def path_for(path: str, ask: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the path below ``/api/v1`` with its places filled, and what is left of the question."""
    left = dict(ask)
    for name in list(left):
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", str(left.pop(name)))
    return f"/api/v1{path}", left


def role_for(operation: Operation) -> Role:
    """Return a role of the tenant that may call ``operation``: an Administrator if one may, else a SuperAdmin."""
    if operation.permission in policy.GRANTS[Role.ADMINISTRATOR]:
        return Role.ADMINISTRATOR
    return Role.SUPERADMIN
