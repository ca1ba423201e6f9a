from __future__ import annotations

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import Corrupt, Invalid, Missing, SluiceError
from sluicegate.base.principal import Role
from sluicegate.base.secret import Secret
from sluicegate.crypto import envelope
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


# -- what a ciphertext is bound to: each part by itself, behind the other walls ------------------------------------------


def lay(place, vault, parts, key, *, field="value"):
    """Put a record into the store that was sealed for ``parts`` with the tenant's own key."""
    record = new_key()
    wrapped = envelope.wrap(key, record, parts)
    sealed = envelope.encrypt(record, b"laid", (*parts, field))
    place.scope("north").secrets().put("bound", wrapped, sealed, "")


def parts_of(place, version):
    return ["S1", "secret", place.tenants["north"], "bound", str(version), "1"]


@pytest.mark.security
@pytest.mark.req("SEC-V03", "SEC-V04")
@pytest.mark.parametrize("part", [None, *range(6), "field"])
def test_a_record_opens_only_with_every_part_it_was_sealed_for(place, vault, part):
    """Suite, kind, tenant, name, version, version of the tenant's key, field: with all of them right it opens."""
    _, key = vault._tenant_key(place.scope("north"))
    parts = parts_of(place, place.scope("north").secrets().next_version("bound"))
    if isinstance(part, int):
        parts[part] = place.tenants["south"] if part == 2 else parts[part] + "0"
    lay(place, vault, parts, key, field="password" if part == "field" else "value")
    if part is None:
        assert vault.use(place.scope("north"), "bound", purpose="a test").reveal() == "laid"
        return
    with pytest.raises(Corrupt, match="Stored data does not verify"):
        vault.use(place.scope("north"), "bound", purpose="a test")


@pytest.mark.security
@pytest.mark.req("SEC-V03")
def test_a_record_of_another_tenant_does_not_open_even_under_the_same_key(fresh):
    """As after a careless copy of an installation: two tenants share a key, and somebody moves rows with SQL."""
    vault, key = fresh.app.services.vault, new_key()
    for tenant in ("north", "south"):
        wrapped = envelope.wrap(vault._root, key, ("S1", "tenant-key", fresh.tenants[tenant], "1"))
        fresh.scope(tenant).secrets().put_tenant_key(1, wrapped)
    vault.put(fresh.scope("south"), "a", Secret("south's"))
    theirs = fresh.scope("south").secrets().get("a")
    fresh.scope("north").secrets().put("a", theirs.wrapped, theirs.ciphertext, theirs.fingerprint)
    assert vault.use(fresh.scope("south"), "a", purpose="a test").reveal() == "south's"
    with pytest.raises(Corrupt):
        vault.use(fresh.scope("north"), "a", purpose="a test")


@pytest.mark.security
@pytest.mark.req("SEC-V03")
@pytest.mark.parametrize("part", [None, *range(4)])
def test_a_tenants_key_opens_only_with_every_part_it_was_sealed_for(fresh, part):
    vault = fresh.app.services.vault
    parts = ["S1", "tenant-key", fresh.tenants["north"], "1"]
    if part is not None:
        parts[part] = fresh.tenants["south"] if part == 2 else parts[part] + "0"
    fresh.scope("north").secrets().put_tenant_key(1, envelope.wrap(vault._root, new_key(), parts))
    if part is None:
        vault.put(fresh.scope("north"), "a", Secret("x"))
        assert vault.use(fresh.scope("north"), "a", purpose="a test").reveal() == "x"
        return
    with pytest.raises(Corrupt):
        vault.put(fresh.scope("north"), "a", Secret("x"))


@pytest.mark.security
@pytest.mark.req("SEC-V03")
def test_nothing_new_is_sealed_under_another_tenants_key(fresh):
    """South's key laid in north's place would let south's keeper read all that north sets from then on."""
    vault = fresh.app.services.vault
    vault.put(fresh.scope("south"), "a", Secret("x"))
    _, wrapped = fresh.scope("south").secrets().tenant_key()
    fresh.scope("north").secrets().put_tenant_key(1, wrapped)
    with pytest.raises(Corrupt):
        vault.put(fresh.scope("north"), "a", Secret("x"))
