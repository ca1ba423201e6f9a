from __future__ import annotations

import pytest

from sluicegate.base.errors import Denied, Invalid, Missing
from sluicegate.base.principal import Role
from sluicegate.guard.vault import RESERVED, SECRET_MAX

CONNECTION = """\
kind: connection
name: {name}
type: postgres
host: db.example.org
database: shop
user: loader
password: {{ secret: {secret} }}
"""


@pytest.fixture
def editor(place):
    return place.token(Role.EDITOR)


def put(place, token, name, value="a value"):
    return place.call("secret.set", {"name": name, "value": value}, token)


def listed(place, token):
    return {each.name: each for each in place.call("secret.list", {}, token).items}


def use(place, name):
    return place.app.services.vault.use(place.scope("north"), name, purpose="a test").reveal()


def test_a_secret_is_kept_and_listed_without_itself(place, editor):
    kept = put(place, editor, "ops-a", "canary-hunter2")
    assert (kept.name, kept.version, kept.set_by, kept.used_by) == (
        "ops-a",
        1,
        place.people["north", Role.EDITOR].id,
        (),
    )
    assert listed(place, editor)["ops-a"] == kept
    assert "canary" not in kept.model_dump_json()
    assert use(place, "ops-a") == "canary-hunter2"


def test_a_new_value_is_a_new_version_and_the_old_one_is_gone(place, editor):
    first, second = put(place, editor, "ops-b", "one"), put(place, editor, "ops-b", "two")
    assert (first.version, second.version) == (1, 2)
    assert use(place, "ops-b") == "two"


def test_a_fingerprint_is_short_and_changes_with_the_value(place, editor):
    one = put(place, editor, "ops-c", "a value").fingerprint
    assert len(one) == 16
    assert put(place, editor, "ops-c", "another value").fingerprint != one


def test_who_uses_it_is_told(place, editor):
    put(place, editor, "ops-e")
    for name in ("ops-second", "ops-first"):
        place.call("definition.apply", {"source": CONNECTION.format(name=name, secret="ops-e")}, editor)
    assert listed(place, editor)["ops-e"].used_by == ("ops-first", "ops-second")
    place.call("connection.delete", {"name": "ops-first"}, editor)
    assert listed(place, editor)["ops-e"].used_by == ("ops-second",)


@pytest.mark.parametrize("value", ["x", " leading and trailing ", "line\nline", "Zürich 🔑", "a" * SECRET_MAX])
def test_any_text_is_kept_as_it_is(place, editor, value):
    put(place, editor, "ops-f", value)
    assert use(place, "ops-f") == value


@pytest.mark.security
@pytest.mark.req("SEC-V02")
@pytest.mark.parametrize(
    "value", ["", "canary\0hunter2", "canary" + "a" * SECRET_MAX, ["canary"], {"canary": 1}, None, 7]
)
def test_a_value_that_will_not_do_is_refused_and_not_repeated(place, editor, value):
    with pytest.raises(Invalid, match="value") as told:
        put(place, editor, "ops-g", value)
    assert "canary" not in str(told.value)
    assert "ops-g" not in listed(place, editor)


@pytest.mark.security
def test_the_products_own_secrets_are_out_of_reach(place, editor):
    from sluicegate.base.secret import Secret

    name = RESERVED + "own"
    place.app.services.vault.put(place.scope("north"), name, Secret("canary"))
    assert name not in listed(place, editor)
    for act in (lambda: put(place, editor, name, "mine"), lambda: place.call("secret.delete", {"name": name}, editor)):
        with pytest.raises(Invalid, match="product's own"):
            act()
    assert use(place, name) == "canary"


def test_a_deleted_secret_is_gone(place, editor):
    put(place, editor, "ops-h")
    place.call("secret.delete", {"name": "ops-h"}, editor)
    assert "ops-h" not in listed(place, editor)
    with pytest.raises(Missing):
        use(place, "ops-h")
    with pytest.raises(Missing):
        place.call("secret.delete", {"name": "ops-h"}, editor)


@pytest.mark.security
@pytest.mark.req("SEC-V12")
def test_who_links_is_an_administrator_and_what_is_no_reference_is_not_repeated(place, editor):
    admin = place.token(Role.ADMINISTRATOR)
    with pytest.raises(Denied):
        place.call("secret.link", {"name": "ops-l", "reference": "file:a"}, editor)
    for ask in (
        {"name": "ops-l", "reference": "canary"},
        {"name": RESERVED + "own", "reference": "file:a"},
        {"name": "ops-l", "reference": "file:canary"},
    ):
        with pytest.raises(Invalid) as told:
            place.call("secret.link", ask, admin)
        assert "canary" not in str(told.value)
    assert "ops-l" not in listed(place, editor)
    with pytest.raises(Missing):
        place.call("secret.test", {"name": "ops-l"}, place.token(Role.OPERATOR))
    with pytest.raises(Invalid, match="product's own"):
        place.call("secret.test", {"name": RESERVED + "own"}, place.token(Role.OPERATOR))


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_what_connections_to_two_places_name_is_not_linked(place, editor):
    admin, names = place.token(Role.ADMINISTRATOR), ("ops-m-one", "ops-m-two")
    for name, host in zip(names, ("one.example", "two.example"), strict=True):
        text = CONNECTION.format(name=name, secret=name).replace("db.example.org", host)
        place.call("definition.apply", {"source": text}, editor)
    with pytest.MonkeyPatch.context() as patch:  # made before there was the rule
        patch.setattr(
            "sluicegate.operations.places.find_moved", lambda _desk, documents, _history: [frozenset()] * len(documents)
        )
        for name, host in zip(names, ("one.example", "two.example"), strict=True):
            text = CONNECTION.format(name=name, secret="ops-m").replace("db.example.org", host)
            place.call("definition.apply", {"source": text}, editor)
    with pytest.raises(Invalid, match="lead to different places"):
        place.call("secret.link", {"name": "ops-m", "reference": "file:a"}, admin)


@pytest.mark.security
@pytest.mark.req("SEC-V04")
def test_a_secret_that_is_made_again_starts_as_a_new_one(place, editor):
    put(place, editor, "ops-i", "before")
    place.call("secret.delete", {"name": "ops-i"}, editor)
    put(place, editor, "ops-i", "after")
    assert use(place, "ops-i") == "after"
