"""Every operation, asked with an API key's token: the role's row of ``matrix.toml``, narrowed by the key (SEC-K01)."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import pytest

from sluicegate.base.errors import SluiceError
from sluicegate.base.permission import Permission, Public
from sluicegate.base.principal import Role
from sluicegate.guard import policy
from sluicegate.operations import OPERATIONS
from tests.security.asks import ask_for

HERE = Path(__file__).parent
MATRIX: dict[str, str] = tomllib.loads((HERE / "matrix.toml").read_text())
TOLD = tomllib.loads((HERE / "scopes.toml").read_text())
UNFINISHED, SCOPES = frozenset(TOLD["unfinished"]), TOLD["scopes"]
NEVER = frozenset(TOLD["never"])
CONFLICTS = {"vault.rotate": {"conflict"}}  # the rotation before this one is not over yet
LETTERS = {
    Role.ADMINISTRATOR: "A", Role.EDITOR: "E", Role.OPERATOR: "O", Role.VIEWER: "V", Role.API_USER: "U",
}  # fmt: skip
NAMES = [each.name for each in OPERATIONS if not isinstance(each.permission, Public)]


@pytest.fixture(scope="module")
def token(place):
    """Give the token of a key by role and scopes, exchanged once."""

    @cache
    def make(role, scopes=None):
        return place.exchange(place.new_key(place.people["north", role], list(scopes) if scopes else None).key)

    return make


def outcome(place, operation, token):
    try:
        place.call(operation, ask_for(operation), token)
    except SluiceError as fault:
        return fault.code
    return "ok"


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-Z02")
def test_every_operation_says_its_scope():
    assert set(SCOPES) == set(NAMES) == set(MATRIX)
    assert set(SCOPES.values()) <= set(Permission)
    assert set(NAMES) > NEVER


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-Z02")
@pytest.mark.parametrize("operation", NAMES)
def test_a_key_with_all_scopes_gets_what_its_users_role_gets_and_no_more(place, token, operation):
    for role, letter in LETTERS.items():
        got, before = outcome(place, operation, token(role)), place.head()
        if operation in UNFINISHED:
            assert got == "unauthenticated", role
        elif letter in MATRIX[operation] and operation not in NEVER:
            assert got not in {"denied", "unauthenticated"}, role
        else:
            assert got == "denied", role
            assert place.records(after=before - 1)[0]["via"] == "key"


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-Z02")
@pytest.mark.parametrize("operation", NAMES)
def test_a_key_without_the_scope_is_denied_and_one_with_nothing_else_is_let_in(place, token, operation):
    role = Role.ADMINISTRATOR
    if "A" not in MATRIX[operation] or operation in UNFINISHED:
        return
    needed = SCOPES[operation]
    others = tuple(sorted(policy.GRANTS[role] - {needed}))
    assert outcome(place, operation, token(role, others)) == "denied"
    expected = {"denied"} if operation in NEVER else {"ok", "missing", "invalid"} | CONFLICTS.get(operation, set())
    got = outcome(place, operation, token(role, (needed,)))
    assert got in expected or (operation == "session.password" and got == "invalid")


@pytest.mark.security
@pytest.mark.req("SEC-K01")
@pytest.mark.parametrize("operation", NAMES)
def test_the_key_itself_is_no_token(place, operation):
    key = place.new_key(place.people["north", Role.VIEWER], ["self:use"])
    try:
        assert outcome(place, operation, key.key) == "unauthenticated"
    finally:
        place.call("key.revoke", {"id": key.id}, place.token(Role.ADMINISTRATOR))


@pytest.mark.security
@pytest.mark.req("SEC-K01", "SEC-Z02")
def test_an_api_user_has_nothing_but_themselves(place, token):
    may = {name for name in NAMES if outcome(place, name, token(Role.API_USER)) not in {"denied", "unauthenticated"}}
    assert may == {name for name, scope in SCOPES.items() if scope == "self:use"} - NEVER - UNFINISHED
