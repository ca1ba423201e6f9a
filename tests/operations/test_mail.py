"""Mails of a tenant, as its administrators see them."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Unavailable
from sluicegate.base.principal import Role


def shown(place, tenant="north", **ask):
    return place.call("mail.list", ask, place.token(Role.ADMINISTRATOR, tenant)).items


def test_a_test_mail_goes_to_oneself(mailed):
    admin = mailed.people["north", Role.ADMINISTRATOR]
    mailed.call("mail.test", {}, mailed.token(admin))
    assert [(each.kind, each.to, each.state) for each in shown(mailed)] == [("test", admin.email, "waiting")]
    mailed.post()
    (mail,) = shown(mailed)
    assert (mail.state, mail.tries, mail.why, mail.ended[-1]) == ("sent", 1, "", "Z")
    assert len(mailed.relay.got.to(admin.email)) == 1


def test_a_superadmin_tests_without_a_tenant(mailed):
    mailed.call("mail.test", {}, mailed.token(Role.SUPERADMIN, None))
    mailed.post()
    assert len(mailed.relay.got.to("root@example.org")) == 1
    assert shown(mailed) == ()


def test_without_a_relay_it_says_what_to_set(fresh):
    with pytest.raises(Unavailable, match="No mail is set up") as told:
        fresh.call("mail.test", {}, fresh.token(Role.ADMINISTRATOR))
    assert "mail.relay" in told.value.hint
    assert shown(fresh) == ()


@pytest.mark.security
@pytest.mark.req("SEC-Z03")
def test_no_tenant_sees_anothers_mails(mailed):
    for _ in range(3):
        mailed.call("mail.test", {}, mailed.token(Role.ADMINISTRATOR))
    page = shown(mailed, limit=2)
    assert len(page) == 2
    assert len(shown(mailed, before=page[-1].id)) == 1
    assert shown(mailed, "south") == ()
    assert shown(mailed, "south", before=page[0].id) == ()


@pytest.mark.security
def test_what_stands_in_a_mail_is_not_shown(mailed):
    mailed.call("user.invite", {"email": "a@north.example", "role": "viewer"}, mailed.token(Role.ADMINISTRATOR))
    assert "lt_" not in str(shown(mailed))
    mailed.post()
    assert "lt_" not in str(shown(mailed))
