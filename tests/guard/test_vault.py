from __future__ import annotations

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import Corrupt, Invalid, Missing, SluiceError
from sluicegate.base.principal import Role
from sluicegate.base.secret import Secret
from sluicegate.crypto.keys import new_key
from sluicegate.guard.vault import RESERVED, Vault


@pytest.fixture
def vault(place):
    return place.app.services.vault


def test_a_secret_comes_back_for_a_use(place, vault):
    scope = place.scope("north")
    first = vault.put(scope, "word", Secret("one"))
    assert vault.put(scope, "word", Secret("two")) == first + 1
    assert vault.use(scope, "word", purpose="a test").reveal() == "two"


@pytest.mark.security
@pytest.mark.req("SEC-V10")
@given(text=st.text(min_size=1, max_size=200, alphabet=st.characters(blacklist_categories=["Cs"])))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_comes_back_as_it_was(place, vault, text):
    scope = place.scope("north")
    vault.put(scope, "any", Secret(text))
    assert vault.use(scope, "any", purpose="a test").reveal() == text


@pytest.mark.security
@pytest.mark.req("SEC-V11")
def test_another_root_key_opens_nothing_and_says_no_more_than_that(place, vault):
    vault.put(place.scope("north"), "locked", Secret("x"))
    other = Vault(new_key(), place.app.services.audit)
    with pytest.raises(Corrupt) as told:
        other.use(place.scope("north"), "locked", purpose="a test")
    assert str(told.value) == "Stored data does not verify."


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_a_fingerprint_tells_change_and_confirms_no_guess(place, vault):
    """An Editor who guesses somebody's secret sets the guess under another name, and compares."""

    def print_of(tenant, name, text):
        vault.put(place.scope(tenant), name, Secret(text))
        return next(each.fingerprint for each in place.scope(tenant).secrets().list() if each.name == name)

    prints = [print_of("north", "theirs", "hunter2")]
    assert [each.fingerprint for each in place.scope("north").secrets().list() if each.name == "theirs"] == prints
    prints += [print_of("north", name, "hunter2") for name in ("guess", "guess", "theirs")]
    prints += [print_of("south", "theirs", "hunter2"), print_of("north", "theirs", "changed")]
    assert len(set(prints)) == len(prints)
    assert {len(each) for each in prints} == {16}


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_a_fingerprint_is_bound_to_its_record(place, vault):
    """Salt, name and version count, each by itself."""
    north, south = place.scope("north"), place.scope("south")
    prints = {vault._fingerprint(*each) for each in (
        (north, "a", 1, b"sealed"), (north, "b", 1, b"sealed"), (north, "a", 2, b"sealed"), (north, "a", 1, b"other"),
        (south, "a", 1, b"sealed"))}  # fmt: skip
    assert len(prints) == 5
    assert Vault(new_key(), place.app.services.audit)._fingerprint(north, "a", 1, b"sealed") not in prints


@pytest.mark.security
@pytest.mark.req("SEC-V08", "SEC-L02")
def test_clearing_deletes_what_is_there_and_is_on_record(place, vault):
    scope = place.scope("north")
    vault.put(scope, "here", Secret("x"))
    before = place.head()
    assert vault.clear(scope, frozenset({"here", "never-was"})) == ("here",)
    with pytest.raises(Missing):
        vault.use(scope, "here", purpose="a test")
    assert [(each["action"], each["about"]) for each in place.records(after=before)] == [
        ("secret.clear", {"name": "here"})
    ]


def test_a_secret_that_is_not_there_is_missing_and_leaves_no_record(place, vault):
    before = place.head()
    with pytest.raises(Missing):
        vault.use(place.scope("north"), "never-was", purpose="a test")
    assert place.head() == before


@pytest.mark.security
@pytest.mark.req("SEC-V08", "SEC-Z05")
def test_the_products_own_secrets_are_out_of_reach(place, vault):
    name = RESERVED + "quarantine"
    vault.put(place.scope("north"), name, Secret("x"))
    token = place.token(Role.ADMINISTRATOR)
    assert name not in {each.name for each in place.call("secret.list", {}, token).items}
    for operation, more in (("secret.set", {"value": "mine"}), ("secret.delete", {})):
        with pytest.raises(Invalid, match="the product's own"):
            place.call(operation, {"name": name, **more}, token)
    assert vault.use(place.scope("north"), name, purpose="a test").reveal() == "x"


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_a_connection_cannot_borrow_the_products_own_secrets(place, vault):
    vault.put(place.scope("north"), RESERVED + "borrowed", Secret("x"))
    source = (
        "kind: connection\nname: borrower\ntype: postgres\nhost: evil.example\ndatabase: d\nuser: u\n"
        f"password: {{ secret: {RESERVED}borrowed }}\n"
    )
    with pytest.raises(Invalid, match="the product's own"):
        place.call("definition.apply", {"source": source}, place.token(Role.EDITOR))


@pytest.mark.security
@pytest.mark.req("SEC-V10")
def test_many_writers_at_once_leave_one_that_opens(fresh):
    vault, barrier, told = fresh.app.services.vault, threading.Barrier(6), []

    def put(number):
        barrier.wait()
        try:
            told.append(vault.put(fresh.scope("north"), "raced", Secret(str(number))))
        except SluiceError as fault:
            told.append(fault.code)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    versions = [each for each in told if isinstance(each, int)]
    assert len(set(versions)) == len(versions) >= 1
    assert set(told) - set(versions) <= {"conflict"}
    assert vault.use(fresh.scope("north"), "raced", purpose="a test").reveal() in "012345"
