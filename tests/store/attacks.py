"""Every method of every repository of a tenant, called by somebody of another: with what, and what it may tell."""

from __future__ import annotations

from sluicegate.base.model import new_id
from sluicegate.base.permission import Permission
from sluicegate.base.principal import Role
from sluicegate.store.apikeys import ApiKeys
from sluicegate.store.definitions import Definitions, Draft
from sluicegate.store.ledger import GENESIS, Ledger
from sluicegate.store.outbox import Outbox
from sluicegate.store.people import People, UserState
from sluicegate.store.quotes import Quotes
from sluicegate.store.runs import Runs, State
from sluicegate.store.secrets import Rewrapped, Secrets
from sluicegate.store.support import Support
from sluicegate.store.watermarks import Watermarks
from tests.store.rows import link

RUN = object()
USER = object()

ATTACKS = {
    Definitions: {
        "get": [("flow", "f"), ("flow", "f", 1)],
        "versions": [("flow", "f")],
        "history": [("flow",)],
        "current": [("flow",), ("flow", "f")],
        "delete": [("flow", "f")],
        "list": [(), ("flow",)],
        "list_flows": [()],
        "put": [("flow", "f", {"mine": 1}, "mine", "mine")],
        "put_many": [([Draft("flow", "f", {"mine": 1}, "mine", "mine2")],)],
    },
    Secrets: {
        "get": [("s",)],
        "delete": [("s",)],
        "list": [()],
        "moments": [()],
        "tenant_keys": [()],
        "hold": [()],
        "under": [()],
        "elsewhere": [(9, 9)],
        "rewrap": [([Rewrapped("s", 1, 1, b"mine")], 9)],
        "rewrap_tenant_key": [(1, b"mine", 9)],
        "drop_tenant_key": [(1,)],
        "next_version": [("s",)],
        "put": [("s", b"mine", b"mine", "mine")],
        "put_tenant_key": [(1, b"mine")],
    },
    Runs: {
        "archives": [(9,)],
        "get": [(RUN,)],
        "advance": [(RUN, State.RUNNING)],
        "amend": [(RUN,)],
        "request_cancel": [(RUN,)],
        "cancel_requested": [(RUN,)],
        "event": [(RUN, "log", {})],
        "events_many": [(RUN, [("log", {})]), (RUN, [])],
        "events": [(RUN,)],
        "receipt": [(RUN, "1", {"mine": 1})],
        "receipts": [(RUN,)],
        "list": [(), (50, "f"), (50, None, "ffffffff")],
        "snapshot": [("f",)],
        "put_snapshot": [("f", "s", {"mine": 1})],
        "add": [(RUN,)],
    },
    Quotes: {
        "put": [(RUN, 1, b"mine")],
        "events": [(RUN, 0, 9)],
        "errors": [(RUN,)],
        "purge": [(2e9, 2e9)],
        "runs": [(2e9,)],
    },
    Watermarks: {
        "begin": [(RUN, "f", {"s": "c"})],
        "see": [(RUN, "s", "c", "int64", "9")],
        "land": [(RUN, "s")],
        "current": [("f",)],
        "versions": [("f", "s")],
        "undo": [("f", "s")],
        "put": [("f", "s", "mine", "1")],
    },
    People: {
        "get": [(USER,)],
        "set_state": [(USER, UserState.DISABLED)],
        "set_role": [(USER, Role.VIEWER)],
        "set_password": [(USER, "mine")],
        "set_addresses": [(USER, ("10.0.0.0/8",))],
        "set_profile": [(USER, "mine", "de", "Europe/Berlin")],
        "touch_sign_in": [(USER,)],
        "list": [()],
        "create": [("a@b.c", "mine", Role.EDITOR, "mine")],
        "create_service": [("mine", Role.EDITOR)],
        "invite": [("i@b.c", "mine", Role.EDITOR)],
    },
    Outbox: {"list": [()], "newest": [(("reset",),)]},
    ApiKeys: {  # the key's id is the user's
        "get": [(USER,)],
        "end": [(USER, "mine")],
        "list": [(), (USER,)],
        "create": [(new_id(), USER, "mine", b"mine")],
    },
    Support: {  # so is the access's
        "end": [(USER,)],
        "list": [()],
        "grant": [("an id", None, "", frozenset({Permission.DATA_READ}), "mine")],
    },
    Ledger: {
        "head": [()],
        "list": [(), (100, None)],
        "all": [()],
        "append": [({"action": "mine"}, link)],
    },
}
OPEN = {Definitions: "definitions", Secrets: "secrets", Runs: "runs", Quotes: "quotes", Watermarks: "watermarks", People: "people", ApiKeys: "api_keys",
        Support: "support", Outbox: "outbox", Ledger: "ledger"}  # fmt: skip
CASES = [
    (kind, name, arguments) for kind, table in ATTACKS.items() for name, tries in table.items() for arguments in tries
]
NAMED = {(kind, name) for kind in (Definitions, Secrets) for name in ("get", "versions", "delete")}
NAMED.add((Watermarks, "undo"))
# What a call that names nothing of his own tells an attacker: nothing is there, his is the first.
FIRST = {
    (Definitions, "list"): [], (Definitions, "list_flows"): (), (Definitions, "history"): [], (Definitions, "current"): [], (Definitions, "put"): (1, True), (Definitions, "put_many"): [(2, True)],
    (Secrets, "list"): [], (Secrets, "moments"): {}, (Secrets, "tenant_keys"): (), (Secrets, "under"): {}, (Secrets, "elsewhere"): (), (Secrets, "hold"): None,
    (Secrets, "rewrap"): None, (Secrets, "rewrap_tenant_key"): None, (Secrets, "drop_tenant_key"): False, (Secrets, "next_version"): 1, (Secrets, "put"): 1,
    (Secrets, "put_tenant_key"): None,
    (Runs, "list"): [], (Runs, "archives"): ((), None), (Runs, "snapshot"): {}, (Runs, "put_snapshot"): None,
    (Watermarks, "current"): {}, (Watermarks, "versions"): [], (Watermarks, "put"): 1,
    (Quotes, "purge"): 0, (Quotes, "runs"): [],
    (People, "list"): [], (ApiKeys, "list"): [], (Support, "list"): [], (Outbox, "list"): [], (Outbox, "newest"): {},
    (Ledger, "head"): (0, GENESIS), (Ledger, "list"): [], (Ledger, "all"): [], (Ledger, "append"): 1,
}  # fmt: skip
