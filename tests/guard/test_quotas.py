"""Shares: what one asks too much is refused to that one, and to nobody else (SEC-D03)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sluicegate.base.errors import Invalid, SluiceError, Throttled
from sluicegate.base.principal import Principal, Role, Via
from sluicegate.base.settings import Limits, Passwords, Server
from sluicegate.guard.quotas import COSTS, Quotas, Shares
from tests.fixtures.server import BY_NAME, Place

READ, CHANGE, ASK = BY_NAME["flow.list"], BY_NAME["secret.set"], BY_NAME["connection.test"]
AMPLE = Shares(*["100000/minute"] * 6)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def who(user="u", tenant="t", key=""):
    return Principal(user, tenant, Role.EDITOR, Via.KEY if key else Via.PASSWORD, grant=key)


def passes(quotas, principal, operation, tries):
    """Return how many of so many calls are let through."""
    count = 0
    for _ in range(tries):
        try:
            quotas.admit(principal, operation)
        except Throttled:
            continue
        count += 1
    return count


@pytest.mark.security
@pytest.mark.req("SEC-D03")
def test_a_noisy_tenant_user_or_key_takes_nothing_from_the_others():
    clock = Clock()
    for field, noisy, quiet in (
        ("tenant", who("a", "loud"), who("b", "quiet")),
        ("user", who("loud"), who("quiet")),
        ("key", who("u", key="key:1"), who("u", key="key:2")),
    ):
        quotas = Quotas(replace(AMPLE, **{field: "5/minute"}), clock)
        assert passes(quotas, noisy, READ, 50) == 5
        assert passes(quotas, quiet, READ, 5) == 5, field


@pytest.mark.security
@pytest.mark.req("SEC-D03")
def test_what_a_user_is_refused_is_not_taken_from_their_tenant():
    quotas = Quotas(replace(AMPLE, user="5/minute", tenant="20/minute"), Clock())
    assert passes(quotas, who("loud"), READ, 500) == 5
    assert passes(quotas, who("other"), READ, 5) == 5
    quotas = Quotas(replace(AMPLE, key="5/minute", user="20/minute"), Clock())
    assert passes(quotas, who(key="key:1"), READ, 500) == 5
    assert passes(quotas, who(), READ, 20) == 15


@pytest.mark.security
@pytest.mark.req("SEC-D03")
def test_calls_are_weighed_by_what_they_cost_and_kinds_of_work_counted_apart():
    clock = Clock()
    quotas = Quotas(replace(AMPLE, user="100/minute"), clock)
    assert passes(quotas, who("r"), READ, 200) == 100
    assert passes(quotas, who("c"), CHANGE, 200) == 100 // COSTS["change"]
    assert passes(quotas, who("a"), ASK, 200) == 100 // COSTS["ask"]
    quotas = Quotas(replace(AMPLE, changes="4/minute", asks="20/minute"), clock)
    assert passes(quotas, who(), CHANGE, 9) == 2
    assert passes(quotas, who(), ASK, 9) == 2
    assert passes(quotas, who(), READ, 9) == 9


@pytest.mark.security
@pytest.mark.req("SEC-D03")
def test_the_refusal_says_when_there_is_room_again():
    clock = Clock()
    quotas = Quotas(replace(AMPLE, user="6/minute"), clock)
    assert passes(quotas, who(), READ, 6) == 6
    with pytest.raises(Throttled) as told:
        quotas.admit(who(), READ)
    assert told.value.after == 10
    clock.now += told.value.after - 1
    assert passes(quotas, who(), READ, 1) == 0
    clock.now += 1
    assert passes(quotas, who(), READ, 2) == 1


@pytest.mark.security
@pytest.mark.req("SEC-D03")
def test_one_operation_asked_too_much_leaves_the_others_of_the_same_user():
    quotas = Quotas(replace(AMPLE, route="5/minute"), Clock())
    assert passes(quotas, who(), READ, 50) == 5
    assert passes(quotas, who(), BY_NAME["run.list"], 50) == 5
    assert passes(quotas, who("other"), READ, 50) == 5


@pytest.mark.security
@pytest.mark.req("SEC-D03")
def test_a_tenant_with_a_share_of_its_own_has_that_and_the_others_theirs():
    own = {"small": "3/minute"}
    quotas = Quotas(replace(AMPLE, tenant="6/minute"), Clock(), lambda tenant: own.get(tenant, "6/minute"))
    assert [passes(quotas, who("u", tenant), READ, 50) for tenant in ("small", "large", "other")] == [3, 6, 6]
    assert passes(quotas, who("u", None), READ, 50) == 6
    own["small"] = "4/minute"
    assert passes(quotas, who("u", "small"), READ, 50) == 4, "a new share counts anew"


def test_a_share_that_is_no_rate_is_refused():
    with pytest.raises(Invalid, match="not a rate"):
        Quotas(replace(AMPLE, key="many"))


@pytest.mark.security
@pytest.mark.req("SEC-D03")
def test_a_quiet_tenant_is_served_while_a_noisy_one_is_told_to_wait(tmp_path):
    limits = Limits(public="100000/minute", tenant="40/hour")
    cheap = {"passwords": Passwords(memory=19456, rounds=2), "server": Server(access_log=False)}
    place = Place(tmp_path / "home", limits=limits, **cheap).settle()
    try:
        loud = [place.token(role, "north") for role in (Role.EDITOR, Role.VIEWER)]
        quiet = place.token(Role.VIEWER, "south")
        answers = [place.request("GET", "/api/v1/flows", loud[turn % 2]) for turn in range(60)]
        assert [each.status_code for each in answers].count(429) == 20
        late = [each for each in answers if each.status_code == 429][-1]
        assert int(late.headers["retry-after"]) >= 1
        assert late.json()["code"] == "throttled"
        assert [place.request("GET", "/api/v1/flows", quiet).status_code for _ in range(20)] == [200] * 20
    finally:
        place.close()


@pytest.mark.security
@pytest.mark.req("SEC-D03")
def test_the_settings_reach_the_gate(tmp_path):
    limits = Limits(public="100000/minute", user="5/hour", key="2/hour")
    place = Place(tmp_path / "home", limits=limits, passwords=Passwords(memory=19456, rounds=2)).settle()
    try:
        made = place.new_key(place.people["north", Role.VIEWER], ["flow:read"])  # weighs 2
        token, codes = place.exchange(made.key), []
        for _ in range(3):
            try:
                place.call("flow.list", {}, token)
                codes.append("ok")
            except SluiceError as fault:
                codes.append(fault.code)
        assert codes == ["ok", "ok", "throttled"]
    finally:
        place.close()
