from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.base.permission import Permission
from sluicegate.base.principal import Principal, Role
from sluicegate.guard import policy

LADDER = (Role.API_USER, Role.VIEWER, Role.OPERATOR, Role.EDITOR, Role.ADMINISTRATOR)


@pytest.mark.security
@pytest.mark.req("SEC-Z02")
def test_every_role_and_every_permission_stands_in_the_table():
    assert set(policy.GRANTS) == set(policy.RANK) == set(Role)
    assert set().union(*policy.GRANTS.values()) == set(Permission)


@pytest.mark.security
@pytest.mark.req("SEC-Z02")
def test_each_role_of_a_tenant_may_all_that_the_one_below_may():
    for below, above in zip(LADDER, LADDER[1:], strict=False):
        assert policy.GRANTS[below] < policy.GRANTS[above]


@pytest.mark.security
@pytest.mark.req("SEC-Z02")
def test_a_superadmin_sees_no_data_and_alone_manages_tenants():
    assert Permission.DATA_READ not in policy.GRANTS[Role.SUPERADMIN]
    assert [role for role in Role if Permission.TENANT_MANAGE in policy.GRANTS[role]] == [Role.SUPERADMIN]
    alone = {Permission.DATA_READ, Permission.DATA_REVEAL, Permission.SUPPORT_GRANT}
    assert policy.GRANTS[Role.ADMINISTRATOR] - policy.GRANTS[Role.SUPERADMIN] == alone


@pytest.mark.security
@pytest.mark.req("SEC-Z02")
@given(
    st.sampled_from(Role),
    st.frozensets(st.sampled_from(Permission)),
    st.none() | st.frozensets(st.sampled_from(Permission)),
)
@settings(max_examples=100)
def test_only_a_superadmin_is_lent_anything_and_nothing_but_rows(role, lent, scopes):
    who = Principal("u", "t", role, scopes=scopes, support="s", lent=lent)
    may = {each for each in Permission if policy.allowed(who, each)}
    extra = lent & {Permission.DATA_READ} if role is Role.SUPERADMIN else frozenset()
    assert may == (policy.GRANTS[role] | extra) & (set(Permission) if scopes is None else scopes)


@pytest.mark.security
@pytest.mark.req("SEC-Z02")
def test_the_table_cannot_be_added_to():
    for given_ in policy.GRANTS.values():
        assert isinstance(given_, frozenset)


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
@given(st.sampled_from(Role), st.none() | st.frozensets(st.sampled_from(Permission)))
@settings(max_examples=100)
def test_scopes_narrow_and_never_widen(role, scopes):
    who = Principal("u", "t", role, scopes=scopes)
    may = {each for each in Permission if policy.allowed(who, each)}
    assert may <= policy.GRANTS[role]
    assert may == policy.GRANTS[role] & (set(Permission) if scopes is None else scopes)
    assert policy.permissions(who) == tuple(sorted(may))


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
@given(st.sampled_from(Role), st.sampled_from(Role))
@settings(max_examples=40)
def test_nobody_gives_a_role_above_their_own(giver, role):
    who = Principal("u", "t", giver)
    assert policy.may_give(who, role) == (policy.RANK[role] <= policy.RANK[giver])
    if policy.may_give(who, role) and role is not Role.SUPERADMIN and giver is not Role.SUPERADMIN:
        assert policy.GRANTS[role] <= policy.GRANTS[giver]


RANKS = [Role.API_USER, Role.VIEWER, Role.OPERATOR, Role.EDITOR, Role.ADMINISTRATOR, Role.SUPERADMIN]


@pytest.mark.security
@pytest.mark.req("SEC-Z08", "SEC-Z12")
@pytest.mark.parametrize("giver", RANKS)
def test_the_ladder_of_roles_is_the_one_that_is_promised(giver):
    who = Principal("u", "t", giver)
    given_by = [role for role in RANKS if policy.may_give(who, role)]
    assert given_by == RANKS[: RANKS.index(giver) + 1]
