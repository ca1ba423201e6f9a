"""The order of the gate: limit, authenticate, decode, authorise, scope, audit, call, audit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sluicegate.base.errors import Denied, Invalid, SluiceError, Throttled, Unauthenticated
from sluicegate.base.model import Model
from sluicegate.base.permission import Permission, Public
from sluicegate.base.principal import Credentials, Peer, Role
from sluicegate.base.secret import Secret
from sluicegate.base.sources import Source
from sluicegate.guard.gate import Gate, about
from sluicegate.guard.limits import Limits, Rates
from sluicegate.guard.operation import Http, Nothing, Operation
from tests.fixtures.server import address


class Ask(Model):
    name: str = ""
    count: int = 0


class Spy:
    """A function that writes down that it was called."""

    def __init__(self, fault=None):
        self.calls, self.fault = [], fault

    def __call__(self, ask, desk):
        self.calls.append((ask, desk))
        if self.fault:
            raise self.fault
        return Nothing()


def operation(spy, **changes):
    made = Operation("thing.do", Permission.RUN_CONTROL, Http("POST", "/things"), Ask, Nothing, spy, audited=True)
    return replace(made, **changes)


def test_an_allowed_call_reaches_the_function_with_its_scope(place):
    spy, before = Spy(), place.head()
    token = place.token(Role.OPERATOR)
    place.call(operation(spy), {"name": "x", "count": 3}, token)
    ((ask, desk),) = spy.calls
    assert (ask.name, ask.count) == ("x", 3)
    assert desk.scope.tenant == place.tenants["north"]
    assert desk.who.role is Role.OPERATOR
    assert place.head() >= before + 2


@pytest.mark.security
@pytest.mark.req("SEC-Z01")
@pytest.mark.parametrize(
    ("ask", "role", "fault"),
    [
        ({}, None, Unauthenticated),
        ({"more": 1}, Role.OPERATOR, Invalid),
        ({"count": "many"}, Role.OPERATOR, Invalid),
        ({}, Role.VIEWER, Denied),
    ],
)
def test_what_is_refused_never_reaches_the_function(place, ask, role, fault):
    spy = Spy()
    with pytest.raises(fault):
        place.call(operation(spy), ask, place.token(role) if role else None)
    assert spy.calls == []


@pytest.mark.security
@pytest.mark.req("SEC-T20")
def test_nobody_learns_what_is_wrong_with_a_question_before_they_have_signed_in(place):
    with pytest.raises(Unauthenticated):
        place.call(operation(Spy()), {"more": 1}, None)


@pytest.mark.security
@pytest.mark.req("SEC-Z01")
def test_a_public_operation_has_nobody_even_when_a_token_comes_along(place):
    spy = Spy()
    place.call(
        operation(spy, permission=Public("a test"), tenant=False, audited=False), {}, place.token(Role.ADMINISTRATOR)
    )
    ((_, desk),) = spy.calls
    assert desk.principal is None
    assert desk.inside is None


@pytest.mark.security
@pytest.mark.req("SEC-Z02")
def test_work_in_a_tenant_needs_one(place):
    spy, token = Spy(), place.token(Role.SUPERADMIN, None)
    with pytest.raises(Invalid, match="no tenant is chosen"):
        place.call(operation(spy), {}, token)
    assert spy.calls == []
    place.call(operation(spy, tenant=False), {}, token)
    assert spy.calls[0][1].inside is None


@pytest.mark.security
@pytest.mark.req("SEC-D03")
def test_limits_come_before_everything(place):
    gate = Gate(place.app.services, Limits(Rates(address="2/minute", failures="2/minute")))
    peer, spy = Peer(address()), Spy()
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            gate.call(operation(spy), {}, Credentials(Secret("x")), peer)
    with pytest.raises(Throttled):
        gate.call(operation(spy), {}, place.credentials(place.token(Role.OPERATOR)), peer)
    gate.call(operation(spy), {}, place.credentials(place.token(Role.OPERATOR)), Peer(address()))
    assert len(spy.calls) == 1


@pytest.mark.security
@pytest.mark.req("SEC-D03", "SEC-A06")
def test_who_shows_bad_tokens_is_slowed_by_these_alone(place):
    gate = Gate(place.app.services, Limits(Rates(failures="2/minute")))
    peer, spy = Peer(address()), Spy()

    def good():
        return place.credentials(place.token(Role.OPERATOR))

    for _ in range(5):
        gate.call(operation(spy), {}, good(), peer)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            gate.call(operation(spy), {}, Credentials(Secret("x")), peer)
    with pytest.raises(Throttled):
        gate.call(operation(spy), {}, good(), peer)
    gate.call(operation(spy), {}, good(), Peer(address()))
    assert len(spy.calls) == 6


@pytest.mark.security
@pytest.mark.req("SEC-L02")
@pytest.mark.parametrize(
    ("fault", "result"),
    [(Invalid("no"), "invalid"), (ValueError("no"), "error"), (KeyboardInterrupt(), "error"), (None, "ok")],
)
def test_the_record_says_how_it_ended(place, fault, result):
    token = place.token(Role.OPERATOR)
    before = place.head()
    try:
        place.call(operation(Spy(fault)), {"name": "x"}, token)
    except BaseException as told:  # noqa: BLE001 - whatever it is, it comes through as it was
        assert told is fault
    assert [each["result"] for each in place.records(after=before)] == ["asked", result]


@pytest.mark.security
@pytest.mark.req("SEC-L02", "SEC-V02")
def test_only_names_and_ids_go_on_record():
    class Told(Model):
        name: str = "n"
        email: str = "e"
        value: str = "canary"
        password: str = "canary"
        source: str = "canary"
        params: dict[str, str] = {"name": "canary"}
        items: tuple[dict[str, str], ...] = ({"name": "canary"},)
        id: int = 7

    assert about(Told()) == {"id": 7, "name": "n", "email": "e"}


@pytest.mark.security
@pytest.mark.req("SEC-V02")
def test_a_reference_is_on_record_once_it_was_taken_and_no_text_that_was_refused(place):
    token = place.token(Role.ADMINISTRATOR)
    scope, sources, before = place.scope("north"), place.app.services.sources, place.head()
    for text in ("canary-hunter2", "file:canary/../hunter2", "none:canary#hunter2", "file:canary"):
        with pytest.raises(SluiceError):
            place.call("secret.link", {"name": "gate-l", "reference": text}, token)
    assert "canary" not in str(place.records(after=before))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "_granted", {"north": Source(tenant="north", folder=place.home)})
        place.call("secret.link", {"name": "gate-l", "reference": "file:canary"}, token)
    told = [(each["result"], each["about"].get("reference")) for each in place.records(after=before)[-2:]]
    assert told == [("asked", None), ("ok", "file:canary")]
    scope.secrets().delete("gate-l")


def test_a_list_is_on_record_by_kind_and_name_and_only_its_beginning():
    class Each(Model):
        kind: str = "flow"
        name: str

    class Told(Model):
        items: tuple[Each, ...]

    assert about(Told(items=(Each(name="a"), Each(name="b")))) == {"items": ["flow/a", "flow/b"]}
    assert len(about(Told(items=tuple(Each(name=str(number)) for number in range(200))))["items"]) == 50
    assert about(Nothing()) == {}
