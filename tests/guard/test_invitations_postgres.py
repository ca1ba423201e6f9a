"""The same on PostgreSQL, where row-level security is the second lock and many nodes share a store."""

from __future__ import annotations

import threading

import pytest

from sluicegate.base.errors import SluiceError
from sluicegate.base.principal import Peer, Role
from sluicegate.base.settings import Store
from tests.fixtures.postgres import postgres
from tests.fixtures.relay import Mailed
from tests.fixtures.server import BY_NAME, PASSWORD, Person, address

__all__ = ["postgres"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
ADA = "ada@north.example"
NEW = "eight slow trains before dawn"


@pytest.fixture
def place(postgres, tmp_path, relay):
    for role in ("people_owner", "people_app"):
        postgres.execute(f"drop role if exists {role}")
        postgres.execute(f"create role {role} login password 'pw'")
    server = postgres.fresh("people_owner")
    app, owner = server.as_user("people_app", "pw"), server.as_user("people_owner", "pw")
    made = Mailed(tmp_path / "home", relay, store=Store(url=app.url, owner_url=owner.url))
    made.settle()
    yield made
    made.close()
    server.drop()
    for role in ("people_owner", "people_app"):
        postgres.execute(f"drop role {role}")


@pytest.mark.security
@pytest.mark.req("SEC-A08", "SEC-A16", "SEC-Z04")
def test_the_whole_way_on_postgresql(place):
    admin = place.token(Role.ADMINISTRATOR)
    sent = place.call("user.invite", {"email": ADA, "role": "editor"}, admin)
    token = place.link(ADA)
    outcomes, barrier = [], threading.Barrier(20)

    def accept(number):
        ask = {"token": token, "name": f"Ada {number}", "password": PASSWORD}
        told = place.credentials(None, "POST")
        barrier.wait()
        try:
            outcomes.append(place.app.gate.call(BY_NAME["invitation.accept"], ask, told, Peer(address())).standing)
        except SluiceError as fault:
            outcomes.append(fault.code)

    threads = [threading.Thread(target=accept, args=(number,)) for number in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(outcomes) == ["signed in", *["unauthenticated"] * 19]
    ada = Person(sent.id, ADA, Role.EDITOR, "north")
    place.call("profile.update", {"name": "Ada", "zone": "Europe/Berlin"}, place.token(ada))
    place.call("password.forgot", {"tenant": "north", "email": ADA})
    reset = place.link(ADA)
    place.call("password.reset", {"token": reset, "password": NEW})
    assert place.sign_in(ada, NEW)["access"]
    place.post()
    shown = place.call("mail.list", {}, admin).items
    assert [(each.kind, each.state) for each in shown] == [
        ("notice.password_reset", "sent"), ("reset", "sent"), ("invitation", "sent"),
    ]  # fmt: skip
    assert place.call("mail.list", {}, place.token(Role.ADMINISTRATOR, "south")).items == ()
    access = place.sign_in(ada, NEW)["access"]
    assert len(place.call("grant.list", {}, access).items) == 2
    assert [each.kind for each in place.call("notice.list", {}, access).items] == ["password_reset"]
    place.call("user.deactivate", {"id": sent.id}, admin)
    assert not place.app.services.system.signins().of(sent.id)
