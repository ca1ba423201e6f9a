"""Nobody learns who is there: not from what an answer says, not from how long it takes (SEC-A07)."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import SluiceError
from sluicegate.base.permission import Public
from sluicegate.base.principal import Peer, Role
from sluicegate.guard.tries import Tries
from sluicegate.operations import OPERATIONS
from tests.fixtures.server import BY_NAME, address
from tests.fixtures.strangers import MAIL, ROUTES, begun, empty_outbox, forgotten, installation, ways
from tests.fixtures.timing import compare, sample

CLOSE = 0.15
"""With 300 samples each, chance alone stays within 0.15 but for one time in a thousand million (six sigma)."""


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    made = installation(tmp_path_factory.mktemp("town") / "home")
    yield made
    made.close()


@pytest.mark.security
@pytest.mark.req("SEC-A07")
def test_each_public_route_that_takes_an_address_is_looked_at_here():
    public = {each.name: each.takes.model_fields for each in OPERATIONS if isinstance(each.permission, Public)}
    naming = {name for name, fields in public.items() if {"email", "tenant"} & set(fields)}
    assert naming - {"session.bootstrap"} == set(ROUTES)
    assert all(field in public[name] for name, field in ROUTES.items())


@pytest.mark.security
@pytest.mark.req("SEC-A07")
def test_every_refusal_is_the_same_to_the_letter(town):
    told = [ask() for ask in ways(town).values()]
    assert all(each == told[0] for each in told)
    assert told[0]["status"] == 401
    answers = []
    for email in ("there-1@north.example", "nobody-1@north.example", "off-1@north.example"):
        ask = {"tenant": "north", "email": email, "password": "wrong"}
        got = town.request("POST", "/api/v1/session/login", json=ask)
        headers = {name: value for name, value in got.headers.items() if name != "date"}
        answers.append((got.status_code, headers, {**got.json(), "request": ""}))
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.security
@pytest.mark.req("SEC-A07", "SEC-A06")
def test_being_slowed_tells_nothing_either(town, monkeypatch):
    tries = Tries(town.app.gate._limits.rates, lambda: 2e9)  # time stands: how long a try takes plays no part
    monkeypatch.setattr(tries._far, "_free", 20)
    monkeypatch.setattr(town.app.services.login, "_tries", tries)

    def knock(email, peer):
        ask = {"tenant": "north", "email": email, "password": "wrong"}
        try:
            town.app.gate.call(BY_NAME["session.login"], ask, town.credentials(None, "POST"), Peer(peer))
        except SluiceError as fault:
            return fault.code
        return "in"

    for addresses in (["10.250.0.1"] * 9, [address() for _ in range(24)]):
        told = [[knock(f"{who}@north.example", each) for each in addresses] for who in ("there-0", "nobody-x", "off-0")]
        assert told[0] == told[1] == told[2]
        assert told[0][-1] == "throttled"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.security
@pytest.mark.req("SEC-A07")
def test_three_hundred_of_each_take_the_same_time(town):
    asks = ways(town)
    main = {name: asks[name] for name in ("wrong password", "unknown address")}
    taken = sample(main, 300)
    assert abs(compare(*taken.values()).chance - 0.5) < CLOSE


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.security
@pytest.mark.req("SEC-A07")
def test_no_way_to_be_refused_stands_out(town):
    taken = sample(ways(town), 60)
    usual = taken.pop("wrong password")
    found = {name: compare(usual, each).chance for name, each in taken.items()}
    assert {name: each for name, each in found.items() if abs(each - 0.5) > 2 * CLOSE} == {}  # 60 samples: six sigma


@pytest.fixture(scope="module")
def post_town(tmp_path_factory):
    made = installation(tmp_path_factory.mktemp("post-town") / "home", mail=MAIL)
    yield made
    made.close()


@pytest.mark.security
@pytest.mark.req("SEC-A07")
def test_who_forgot_a_password_is_answered_the_same_to_the_letter(post_town, town):
    told = [ask() for place in (post_town, town) for ask in forgotten(place).values()]
    assert told == [{}] * len(told)
    answers = []
    for email in ("there-1@north.example", "nobody-1@north.example", "off-1@north.example"):
        got = post_town.request("POST", "/api/v1/password/forgot", json={"tenant": "north", "email": email})
        answers.append((got.status_code, {k: v for k, v in got.headers.items() if k != "date"}, got.content))
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.security
@pytest.mark.req("SEC-A07")
def test_three_hundred_who_forgot_a_password_take_the_same_time(post_town):
    empty_outbox(post_town)
    asks = forgotten(post_town)
    taken = sample({name: asks[name] for name in ("there", "unknown address", "disabled")}, 300)
    usual = taken.pop("there")
    found = {name: compare(usual, each).chance for name, each in taken.items()}
    assert {name: each for name, each in found.items() if abs(each - 0.5) > CLOSE} == {}


@pytest.mark.security
@pytest.mark.req("SEC-A07", "SEC-A13")
def test_a_tenant_without_a_provider_is_told_from_none_by_no_letter(town):
    told = [ask() for ask in begun(town).values()]
    assert all(each == told[0] for each in told)
    assert told[0]["status"] == 404


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.security
@pytest.mark.req("SEC-A07", "SEC-A13")
def test_nor_by_the_time_it_takes(town):
    taken = sample(begun(town), 300)
    usual = taken.pop("no provider")
    found = {name: compare(usual, each).chance for name, each in taken.items()}
    assert {name: each for name, each in found.items() if abs(each - 0.5) > CLOSE} == {}


@pytest.mark.security
@pytest.mark.req("SEC-A07")
def test_nobody_is_looked_up_before_who_forgot_a_password_is_answered(post_town, monkeypatch):
    def looked(*_, **__):
        raise AssertionError("looked up")

    with monkeypatch.context() as patch:
        for name in ("find", "get", "account", "list"):
            patch.setattr(f"sluicegate.store.people.Accounts.{name}", looked)
        for ask in forgotten(post_town).values():
            ask()


def test_the_statistic_is_the_textbooks():
    assert compare([1, 2, 3], [4, 5, 6]).chance == 0
    assert compare([1, 4, 5, 8], [2, 3, 6, 7]).chance == 0.5
    assert compare([1, 4, 5, 8], [2, 3, 6, 7]).p == 1
    assert compare(list(range(100)), [each + 30 for each in range(100)]).p < 1e-6


def test_a_person_is_still_let_in(town):
    assert town.sign_in(town.people["north", Role.EDITOR])["access"]
