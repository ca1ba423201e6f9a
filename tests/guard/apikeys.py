"""What the tests of API keys share: making keys, and the passing of days."""

from __future__ import annotations

from sluicegate.base.errors import Conflict, Denied, Invalid, Missing, Throttled, Unauthenticated
from sluicegate.base.model import new_id
from sluicegate.guard.apikeys import ApiKeys

DAY = 86400


def code(place, operation, ask, token, peer=""):
    try:
        place.call(operation, ask, token, peer)
    except (Denied, Invalid, Missing, Unauthenticated, Conflict, Throttled) as fault:
        return fault.code
    return "ok"


def service(place, admin, role="viewer"):
    return place.call("service.create", {"name": f"s-{new_id()[-12:]}", "role": role}, admin).id


def key_for(place, admin, role="viewer", scopes=("run:read", "flow:read"), **more):
    ask = {"name": "a-key", "user": service(place, admin, role), "scopes": list(scopes), **more}
    return place.call("key.create", ask, admin)


def later(place, days):
    """Return the keys of an installation as they are some days from now."""
    made = place.app.services.keys
    return _Later(made, days)


class _Later:
    """Moves the clocks of the keys and of the store, and back."""

    def __init__(self, keys: ApiKeys, days: float) -> None:
        self.keys, self.days = keys, days

    def __enter__(self):
        self.clock, database = self.keys._now, self.keys._system.database
        self.keys._now = lambda: self.clock() + self.days * DAY
        self.store, database.clock = database.clock, self.keys._now

    def __exit__(self, *_):
        self.keys._now, self.keys._system.database.clock = self.clock, self.store
