"""Every operation, asked by everybody: the answer is the one in ``matrix.toml`` (SEC-Z01, SEC-Z02)."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.routing import Route

from sluicegate.base.errors import Denied, Invalid, SluiceError, Unauthenticated
from sluicegate.base.permission import Permission, Public
from sluicegate.base.principal import Credentials, Peer, Principal, Role
from sluicegate.base.secret import Secret
from sluicegate.crypto.dpop import ProofKey
from sluicegate.guard import gate, policy
from sluicegate.guard.operation import Http, Nothing, Operation
from sluicegate.guard.tokens import ACCESS, ENROL, FACTOR
from sluicegate.operations import OPERATIONS
from tests.fixtures.server import BY_NAME, address
from tests.security.asks import ask_for

HERE = Path(__file__).parent
MATRIX: dict[str, str] = tomllib.loads((HERE / "matrix.toml").read_text())
WITHIN: dict[str, str] = tomllib.loads((HERE / "within.toml").read_text())
PUBLIC: dict[str, dict[str, str]] = tomllib.loads((HERE / "public.toml").read_text())
ORDER = {
    Role.SUPERADMIN: "S", Role.ADMINISTRATOR: "A", Role.EDITOR: "E", Role.OPERATOR: "O", Role.VIEWER: "V", Role.API_USER: "U",
}  # fmt: skip
GUARDED = [each for each in OPERATIONS if not isinstance(each.permission, Public)]
NAMES = [each.name for each in GUARDED]


def outcome(place, operation, token):
    """Ask; return the code of the error, or ``ok``."""
    try:
        place.call(operation, ask_for(operation), token)
    except SluiceError as fault:
        return fault.code
    return "ok"


@pytest.mark.security
@pytest.mark.req("SEC-Z02")
def test_every_operation_has_its_row():
    assert set(MATRIX) == set(NAMES)
    assert set(PUBLIC["operations"]) == {each.name for each in OPERATIONS if isinstance(each.permission, Public)}


@pytest.mark.security
@pytest.mark.req("SEC-Z02")
def test_a_row_says_yes_or_no_to_each_role():
    for name, row in MATRIX.items():
        assert all(given in (letter, "-") for given, letter in zip(row[:6], ORDER.values(), strict=True)), name


@pytest.mark.security
@pytest.mark.req("SEC-Z02")
@pytest.mark.parametrize("operation", NAMES)
def test_each_role_gets_what_the_matrix_says(place, operation):
    for role, letter in ORDER.items():
        token, before = place.token_for(operation, role), place.head()
        got = outcome(place, operation, token)
        written = [(each["action"], each["result"]) for each in place.records(after=before)]
        if letter in MATRIX[operation]:
            assert got not in {"denied", "unauthenticated"}, f"{role} may call {operation}"
            assert (operation, "denied") not in written
        else:
            assert got == "denied", f"{role} must not call {operation}"
            assert written == [(operation, "denied")]


@pytest.mark.security
@pytest.mark.req("SEC-Z02")
@pytest.mark.parametrize("operation", NAMES)
def test_nobody_without_a_proof_is_let_in(place, operation):
    live = place.token(Role.ADMINISTRATOR)
    head, body, signature = live.split(".")
    before = place.head(), place.head(None)
    for token in (
        None,
        "",
        "garbage",
        "a.b.c",
        f"{head}.{body}.",
        f"{head}.{body}.{signature[:-1]}",
        live + "A",
        " " + live,
    ):
        assert outcome(place, operation, token) == "unauthenticated", token
    assert (place.head(), place.head(None)) == before


@pytest.mark.security
@pytest.mark.req("SEC-Z02", "SEC-T17")
@pytest.mark.parametrize("operation", NAMES)
def test_who_must_choose_a_password_can_do_nothing_else(place, operation):
    who = place.people.get(("north", "pending")) or place.add(
        "north", Role.ADMINISTRATOR, "new@north.example", must_change=True
    )
    place.people["north", "pending"] = who
    got = outcome(place, operation, place.token(who))
    assert (got != "unauthenticated") == (operation in {"session.password", "session.logout"})


@pytest.mark.security
@pytest.mark.req("SEC-Z02")
@pytest.mark.parametrize("operation", NAMES)
def test_a_superadmin_without_a_tenant_touches_no_tenant(place, operation):
    got = outcome(place, operation, place.token_for(operation, Role.SUPERADMIN, None))
    if BY_NAME[operation].tenant:
        expected = "invalid" if "S" in MATRIX[operation] else "denied"
        assert got == expected
    else:
        assert got not in {"denied", "unauthenticated"}


@pytest.mark.security
@pytest.mark.req("SEC-Z02", "SEC-A12", "SEC-T17")
@pytest.mark.parametrize("operation", NAMES)
@pytest.mark.parametrize("purpose", [FACTOR, ENROL], ids=["factor", "enrol"])
def test_who_owes_a_second_factor_can_do_nothing_else(place, operation, purpose):
    who, services = place.people["north", Role.ADMINISTRATOR], place.app.services
    family = (
        services.login.principal(services.tokens.verify(ACCESS, place.token(who))).grant if purpose is ENROL else ""
    )  # none before a code
    principal = Principal(who.id, place.tenants["north"], who.role, grant=family, key=place.key.thumbprint)
    token = services.tokens.mint(purpose, principal, services.revocation.newest())[0].reveal()
    standing = "factor" if purpose is FACTOR else "enrol"
    assert (outcome(place, operation, token) != "unauthenticated") == (standing in BY_NAME[operation].tokens)


@pytest.mark.security
@pytest.mark.req("SEC-Z02", "SEC-T12")
@pytest.mark.parametrize("operation", NAMES)
def test_no_token_works_without_the_key_it_is_bound_to(place, operation):
    token, peer = Secret(place.token_for(operation, Role.ADMINISTRATOR)), Peer(address())
    method = BY_NAME[operation].http.method
    other = place.credentials(token, method, ProofKey.new())
    for told in (Credentials(token), other, replace(place.credentials(token, method), method="PATCH")):
        with pytest.raises(Unauthenticated):
            place.app.gate.call(BY_NAME[operation], ask_for(operation), told, peer)


@pytest.mark.security
@pytest.mark.req("SEC-Z02")
def test_a_scope_narrows_a_role_and_never_widens_it(place):
    tenant = place.tenants["north"]
    narrow = Principal("k", tenant, Role.VIEWER, scopes=frozenset({Permission.RUN_READ, Permission.USER_MANAGE}))
    assert policy.permissions(narrow) == (Permission.RUN_READ,)


def _same(_ask, _desk):
    """Do nothing."""
    return Nothing()


SOUND = Operation("thing.do", Permission.SELF, Http("POST", "/things"), Nothing, Nothing, _same, audited=True)


def test_a_sound_table_is_taken():
    gate.check((SOUND, *OPERATIONS))


@pytest.mark.security
@pytest.mark.req("SEC-Z01")
@pytest.mark.parametrize(
    ("table", "why"),
    [
        ((SOUND, SOUND), "two operations"),
        ((SOUND, replace(SOUND, name="thing.other")), "share a route"),
        ((SOUND, replace(SOUND, http=Http("GET", "/others"))), "two operations"),
        ((replace(SOUND, permission=Public("  ")),), "without a reason"),
        ((replace(SOUND, permission="thing:do"),), "no role"),
        ((replace(SOUND, permission=None),), "no role"),
        ((replace(SOUND, http=Http("GET", "/things/{id}")),), "names 'id'"),
        ((replace(SOUND, call=lambda _ask, _desk: Nothing()),), "no docstring"),
    ],
    ids=["twice", "route", "name", "unreasoned", "unknown", "none", "path", "undocumented"],
)
def test_an_unsound_table_is_refused(table, why):
    with pytest.raises(Invalid, match=why):
        gate.check(table)


@pytest.mark.security
@pytest.mark.req("SEC-Z01")
def test_an_operation_cannot_be_made_without_a_permission_or_a_word_on_audit():
    with pytest.raises(TypeError, match="permission"):
        Operation(name="x.y", http=Http("GET", "/x"), takes=Nothing, gives=Nothing, call=_same, audited=True)
    with pytest.raises(TypeError, match="audited"):
        Operation("x.y", Permission.SELF, Http("GET", "/x"), Nothing, Nothing, _same)


@pytest.mark.security
@pytest.mark.req("SEC-Z01")
def test_a_permission_that_no_role_has_stops_the_start(monkeypatch):
    bare = {role: given - {Permission.AUDIT_READ} for role, given in policy.GRANTS.items()}
    monkeypatch.setattr(policy, "GRANTS", bare)
    with pytest.raises(Invalid, match=r"no role has the permission of audit\.(list|export)"):
        gate.check(OPERATIONS)


@pytest.mark.security
@pytest.mark.req("SEC-Z01", "SEC-T20")
def test_every_route_comes_from_an_operation_or_the_known_list(place):
    routes = place.web._app.routes
    assert all(isinstance(route, Route) for route in routes)
    expected = {(f"/api/v1{each.http.path}", each.http.method) for each in OPERATIONS}
    found = {(route.path, method) for route in routes for method in (route.methods or ()) - {"HEAD"}}
    beside = {path for path, _ in found - expected}
    assert expected <= found
    assert beside == set(PUBLIC["routes"])
    assert {(path, method) for path, method in found - expected if method != "GET"} == {("/oauth/token", "POST")}


@pytest.mark.security
@pytest.mark.req("SEC-Z01")
def test_openapi_says_the_permissions_of_the_table(place):
    paths = place.request("GET", "/api/v1/openapi.json").json()["paths"]
    told = {
        each["operationId"]: (each["x-permission"], each.get("x-public"), each["security"])
        for item in paths.values()
        for each in item.values()
    }
    expected = {
        each.name: (None, each.permission.reason, [])
        if isinstance(each.permission, Public)
        else (each.permission.value, None, [{"ticket" if each.ticketed else "access": []}])
        for each in OPERATIONS
    }
    assert told == expected


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
def test_nobody_gives_a_role_above_their_own_or_makes_a_superadmin(place):
    for giver in (Role.ADMINISTRATOR, Role.SUPERADMIN):
        before = {each.email for each in place.scope("north").people().list()}
        with pytest.raises((Denied, Invalid)):
            place.call("user.create", {"email": "up@north.example", "role": "superadmin"}, place.token(giver))
        assert {each.email for each in place.scope("north").people().list()} == before


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
def test_nobody_deactivates_themselves_or_somebody_above(place):
    admin = place.people["north", Role.ADMINISTRATOR]
    with pytest.raises(Denied):
        place.call("user.deactivate", {"id": admin.id}, place.token(admin))
    root = place.people[None, Role.SUPERADMIN]
    with pytest.raises(SluiceError) as told:
        place.call("user.deactivate", {"id": root.id}, place.token(admin))
    assert told.value.code == "missing"
    assert place.token(place.people["north", Role.SUPERADMIN])


@pytest.mark.security
@pytest.mark.req("SEC-T21")
def test_the_error_for_no_token_is_the_same_whatever_was_wrong(place):
    told = set()
    for token in (None, "garbage", place.token(Role.VIEWER)[:-1]):
        with pytest.raises(Unauthenticated) as fault:
            place.call("flow.list", {}, token)
        told.add(str(fault.value))
    assert told == {"Sign in first."}


def letters(grants):
    """Return the first six columns that a table of permissions makes."""
    asked = {**{each.name: each.permission for each in GUARDED}, **{name: Permission(name) for name in WITHIN}}
    return {
        name: "".join(letter if permission in grants[role] else "-" for role, letter in ORDER.items())
        for name, permission in asked.items()
    }


@pytest.mark.security
@pytest.mark.req("SEC-Z02")
def test_every_permission_is_that_of_an_operation_or_asked_within_one():
    assert {str(each) for each in Permission} - {str(each.permission) for each in GUARDED} == set(WITHIN)


@pytest.mark.security
@pytest.mark.req("SEC-Z12", "SEC-Z02")
@pytest.mark.parametrize("role", Role)
def test_each_cell_of_the_table_is_held_by_the_matrix(role):
    """Turn round one cell after the other: no change of the table goes unseen, in either direction."""
    reviewed = {name: row[:6] for name, row in MATRIX.items()} | WITHIN
    assert letters(policy.GRANTS) == reviewed
    for permission in Permission:
        turned = {**policy.GRANTS, role: policy.GRANTS[role] ^ {permission}}
        assert letters(turned) != reviewed, permission
