"""Every operation, asked by everybody: each column of ``matrix.toml``, nobody left out (SEC-Z01, SEC-Z02)."""

from __future__ import annotations

import re
import time
import tomllib
from functools import cache
from pathlib import Path

import pytest

from sluicegate.base.errors import SluiceError
from sluicegate.base.permission import Public
from sluicegate.base.principal import Credentials, Peer, Role
from sluicegate.base.secret import Secret
from sluicegate.crypto.token import TokenRing
from sluicegate.guard import policy
from sluicegate.guard.tokens import ACCESS, FACTOR, ISSUER, Tokens
from sluicegate.operations import OPERATIONS
from sluicegate.store.people import UserState
from sluicegate.store.scope import TenantState
from tests.fixtures.server import BY_NAME, Person, address
from tests.security.asks import ask_for
from tests.security.north import ATTACKS, NORTHS

MATRIX: dict[str, str] = tomllib.loads((Path(__file__).parent / "matrix.toml").read_text())
NAMES = [each.name for each in OPERATIONS if not isinstance(each.permission, Public)]
COLUMNS = "SAEOVU gnkxo adewpz"
ROLES = dict(zip("SAEOVU", Role, strict=True))


class Callers:
    """Everybody who may turn up, each made once."""

    def __init__(self, place) -> None:
        self.place = place
        self.services = place.app.services
        accounts = self.services.system.accounts()
        found = accounts.find("helped@example.org")
        root = found[0] if found else accounts.create("helped@example.org", "Helped", Role.SUPERADMIN, place.hash)
        self.helped = Person(root.id, root.email, Role.SUPERADMIN, "north")
        admin = place.token(Role.ADMINISTRATOR)
        place.call("support.grant", {"reason": "the matrix", "email": root.email}, admin)
        self.key = cache(self._key)
        self.gone = place.token(self._somebody("gone", "north"))
        place.scope("north").people().set_state(self._known["gone"].id, UserState.DISABLED)
        system = self.services.system
        if "west" not in place.tenants:
            place.tenants["west"] = system.tenants().create("west").id
        system.tenants().set_state(place.tenants["west"], TenantState.ACTIVE)
        self.closed = place.token(self._somebody("closed", "west"))
        system.tenants().set_state(place.tenants["west"], TenantState.SUSPENDED)

    _known: dict[str, Person] = {}

    def _somebody(self, name, tenant):
        self._known[name] = self.place.add(tenant, Role.ADMINISTRATOR, f"{name}-{time.time_ns()}@{tenant}.example")
        return self._known[name]

    def _key(self, scopes=None):
        admin = self.place.people["north", Role.ADMINISTRATOR]
        return self.place.exchange(self.place.new_key(admin, list(scopes) if scopes else None).key)

    def ask(self, operation, token, ask=None, told=None):
        """Ask; return the code of the error, ``ok``, or ``nowhere`` when no tenant was chosen."""
        named = BY_NAME[operation]
        held = Secret(token) if token is not None else None
        told = told or self.place.credentials(held, named.http.method)
        try:
            self.place.app.gate.call(named, ask_for(operation) if ask is None else ask, told, Peer(address()))
        except SluiceError as fault:
            return "nowhere" if fault.message == "no tenant is chosen" else fault.code
        return "ok"

    def minted(self, operation, *, clock=time.time, audience=""):
        """Return a token of the Administrator that differs from a good one in one thing."""
        who = self.place.people["north", Role.ADMINISTRATOR]
        purpose = ACCESS if "signed in" in BY_NAME[operation].tokens else FACTOR
        mint = Tokens(self.place.main_key(), 300, self.services.system, self.services.revocation)
        self.services.revocation.on_keys = self.services.tokens.reload  # the one who mints here listens to nobody
        keys = {each.kid: each.key for each in mint._keys}
        ring = TokenRing(
            keys, mint._keys[-1].kid, issuer=ISSUER, audience=audience or purpose.audience, typ=purpose.typ, clock=clock
        )
        epoch, bound = self.services.revocation.newest(), {"jkt": self.place.key.thumbprint}
        return ring.mint(who.id, self.place.tenants["north"], "administrator", "j", "", epoch, bound)[0].reveal()

    def row(self, operation, north):
        """Return what everybody gets."""
        place, needed = self.place, BY_NAME[operation].permission
        others = tuple(sorted(policy.GRANTS[Role.ADMINISTRATOR] - {needed}))
        attack = ATTACKS.get(operation) or NORTHS.get(operation)
        aimed = {key: north.get(value, value) for key, value in attack.items()} if attack else None
        live = Secret(place.token_for(operation, Role.ADMINISTRATOR))
        got = {
            **{letter: self.ask(operation, place.token_for(operation, role)) for letter, role in ROLES.items()},
            "g": self.ask(operation, place.token_for(operation, self.helped)),
            "n": self.ask(operation, place.token_for(operation, Role.SUPERADMIN, None)),
            "k": self.ask(operation, self.key()),
            "x": self.ask(operation, self.key(others)),
            "o": self.ask(operation, place.token_for(operation, Role.ADMINISTRATOR, "south"), aimed),
            "a": self.ask(operation, None),
            "d": self.ask(operation, self.gone),
            "e": self.ask(operation, self.minted(operation, clock=lambda: time.time() - 301)),
            "w": self.ask(operation, self.minted(operation, audience="sluicegate-elsewhere")),
            "p": self.ask(operation, None, told=Credentials(live, None, BY_NAME[operation].http.method, "")),
            "z": self.ask(operation, self.closed),
        }
        signs = {"denied": "-", "unauthenticated": ".", "nowhere": "?"}
        told = {name: signs.get(code, name) for name, code in got.items()}
        if aimed is not None and got["o"] == "missing":
            told["o"] = "0"
        return "".join(told.get(name, " ") for name in COLUMNS)


@pytest.fixture(scope="module")
def callers(place):
    return Callers(place)


@pytest.mark.security
@pytest.mark.req("SEC-Z02")
def test_every_row_has_every_column():
    shape = re.compile(r"[S-][A-][E-][O-][V-][U-] [g-][n?-][k.-][x.-][o0-] \.{6}")
    assert [name for name, row in MATRIX.items() if not shape.fullmatch(row)] == []


@pytest.mark.security
@pytest.mark.req("SEC-Z01", "SEC-Z02", "SEC-Z03", "SEC-T06", "SEC-T09", "SEC-T12")
@pytest.mark.parametrize("operation", NAMES)
def test_everybody_gets_what_the_matrix_says(callers, north, operation):
    found = callers.row(operation, north)
    assert found == MATRIX.get(operation, ""), "as it is; reviewed is the other"


@pytest.mark.security
@pytest.mark.req("SEC-Z02")
def test_those_who_are_refused_differ_from_somebody_who_is_not_in_one_thing(callers, place):
    """The dots are no accident: with that one thing right, each is let in."""
    assert callers.ask("flow.list", callers.minted("flow.list")) == "ok"
    people = place.scope("north").people()
    gone = callers._known["gone"]
    people.set_state(gone.id, UserState.ACTIVE)
    assert callers.ask("flow.list", place.sign_in(gone)["access"]) == "ok"
    people.set_state(gone.id, UserState.DISABLED)
    tenants = place.app.services.system.tenants()
    tenants.set_state(place.tenants["west"], TenantState.ACTIVE)
    closed = place.sign_in(callers._known["closed"])["access"]
    assert callers.ask("flow.list", closed) == "ok"
    tenants.set_state(place.tenants["west"], TenantState.SUSPENDED)
    assert callers.ask("flow.list", closed) == "unauthenticated"
