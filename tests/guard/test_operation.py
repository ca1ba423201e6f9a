from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from sluicegate.base.permission import Permission
from sluicegate.guard.operation import Http, Nothing, Operation
from sluicegate.operations import OPERATIONS


def do(_ask, _desk):
    """Do a thing.

    And more of it.
    """
    return Nothing()


def test_the_summary_is_the_first_line_of_the_docstring():
    made = Operation("thing.do", Permission.SELF, Http("GET", "/things"), Nothing, Nothing, do, audited=False)
    assert made.summary == "Do a thing."


def test_the_places_of_a_path_are_its_fields():
    assert Http("GET", "/a/{name}/b/{id}").places == ("name", "id")
    assert Http("GET", "/a").places == ()


@pytest.mark.security
@pytest.mark.req("SEC-Z01")
def test_an_operation_cannot_be_changed_once_it_is_made():
    made = Operation("thing.do", Permission.SELF, Http("GET", "/things"), Nothing, Nothing, do, audited=False)
    for name in ("permission", "audited", "call", "tokens"):
        with pytest.raises(FrozenInstanceError):
            setattr(made, name, None)


@pytest.mark.security
@pytest.mark.req("SEC-Z01")
def test_working_in_a_tenant_and_having_signed_in_are_the_default():
    made = Operation("thing.do", Permission.SELF, Http("GET", "/things"), Nothing, Nothing, do, audited=False)
    assert made.tenant is True
    assert made.tokens == {"signed in"}
    assert made.fresh is False
    early = {each.name: set(each.tokens) for each in OPERATIONS if each.tokens != {"signed in"}}
    assert early == {
        "session.password": {"signed in", "password"},
        "session.logout": {"signed in", "password", "enrol"},
        "session.factor": {"factor"},
        "factor.begin": {"signed in", "enrol"},
        "factor.confirm": {"signed in", "enrol"},
    }


@pytest.mark.security
@pytest.mark.req("SEC-A12")
def test_what_is_dangerous_needs_a_proof_of_the_last_minutes():
    assert {each.name for each in OPERATIONS if each.fresh} == {
        "tenant.create", "user.create", "user.deactivate", "secret.set", "secret.link", "secret.delete", "secret.generate", "archive.reseal", "factor.begin", "factor.remove",
        "factor.codes", "factor.reset", "policy.set", "system.rotate", "service.create", "user.addresses", "key.create",
        "user.role", "tenant.suspend", "tenant.resume", "superadmin.create", "superadmin.deactivate", "superadmin.reset",
        "superadmin.activate", "support.grant",
        "user.reactivate", "user.invite", "user.reset", "invitation.resend", "invitation.cancel", "profile.email", "sso.set", "sso.remove",
        "vault.rotate", "system.rekey", "tenant.shred", "seal.change", "seal.confirm", "seal.renew", "seal.close",
    }  # fmt: skip


@pytest.mark.security
@pytest.mark.req("SEC-D02")
def test_every_body_has_a_largest_size():
    assert all(0 < each.http.body_max <= 2 << 20 for each in OPERATIONS)


def test_names_are_a_noun_and_a_verb():
    assert all(each.name.count(".") == 1 and each.name.islower() for each in OPERATIONS)
    assert all(each.summary.endswith(".") for each in OPERATIONS)
