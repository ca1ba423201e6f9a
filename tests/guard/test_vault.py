from __future__ import annotations

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluicegate.base.errors import Conflict, Corrupt, Invalid, Missing, SluiceError
from sluicegate.base.principal import Role
from sluicegate.base.secret import Secret
from sluicegate.crypto import envelope
from sluicegate.crypto.keys import new_key
from sluicegate.crypto.signing import verify
from sluicegate.guard.vault import RESERVED, Vault, canonical


class Ring:
    """Somebody else's keys."""

    def __init__(self):
        self.main, self._key = new_key(), new_key()

    def vault(self, version, tenant):
        return self._key


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
    other = Vault(Ring(), place.app.services.audit)
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
    assert Vault(Ring(), place.app.services.audit)._fingerprint(north, "a", 1, b"sealed") not in prints


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


def lay(place, vault, aad, key, *, under="1", field="value"):
    """Put a record into the store that was sealed for ``aad`` with the tenant's own key."""
    record = new_key()
    wrapped = envelope.wrap(key, record, (*aad, under))
    place.scope("north").secrets().put("bound", wrapped, envelope.encrypt(record, b"laid", (*aad, field)), "")


@pytest.mark.security
@pytest.mark.req("SEC-V03", "SEC-V04")
@pytest.mark.parametrize("part", [None, *range(4), "key", "field"])
def test_a_record_opens_only_with_every_part_it_was_sealed_for(place, vault, part):
    """Kind, tenant, name, version, version of the tenant's key, field: with all of them right it opens."""
    vault.put(place.scope("north"), "first", Secret("x"))
    key = vault._key(place.scope("north"), place.scope("north").secrets().tenant_keys()[0])
    parts = ["secret", place.tenants["north"], "bound", str(place.scope("north").secrets().next_version("bound"))]
    if isinstance(part, int):
        parts[part] = place.tenants["south"] if part == 1 else parts[part] + "0"
    lay(place, vault, parts, key, under="2" if part == "key" else "1", field="word" if part == "field" else "value")
    if part is None:
        assert vault.use(place.scope("north"), "bound", purpose="a test").reveal() == "laid"
        return
    with pytest.raises(Corrupt, match="Stored data does not verify"):
        vault.use(place.scope("north"), "bound", purpose="a test")


def wrapped_by_hand(place, key, tenant, *, version="1", above="1", kind="tenant-key"):
    ring = place.app.services.vault._ring
    with place.scope(tenant).transaction(), ring.held(place.tenants[tenant]):
        over = ring.vault(1, place.tenants[tenant])
    return envelope.wrap(over, key, (kind, place.tenants[tenant], version, above))


@pytest.mark.security
@pytest.mark.req("SEC-V03")
def test_a_record_of_another_tenant_does_not_open_even_under_the_same_key(fresh):
    """As after a careless copy of an installation: two tenants share a key, and somebody moves rows with SQL."""
    vault, key = fresh.app.services.vault, new_key()
    for tenant in ("north", "south"):
        fresh.scope(tenant).secrets().put_tenant_key(1, wrapped_by_hand(fresh, key, tenant))
    vault.put(fresh.scope("south"), "a", Secret("south's"))
    theirs = fresh.scope("south").secrets().get("a")
    fresh.scope("north").secrets().put("a", theirs.wrapped, theirs.ciphertext, theirs.fingerprint)
    assert vault.use(fresh.scope("south"), "a", purpose="a test").reveal() == "south's"
    with pytest.raises(Corrupt):
        vault.use(fresh.scope("north"), "a", purpose="a test")


@pytest.mark.security
@pytest.mark.req("SEC-V03")
@pytest.mark.parametrize("wrong", [{}, {"kind": "key"}, {"tenant": "south"}, {"version": "2"}, {"above": "2"}])
def test_a_tenants_key_opens_only_with_every_part_it_was_sealed_for(fresh, wrong):
    vault = fresh.app.services.vault
    wrapped = wrapped_by_hand(fresh, new_key(), **{"tenant": "north", **wrong})
    fresh.scope("north").secrets().put_tenant_key(1, wrapped)
    if not wrong:
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
    fresh.scope("north").secrets().put_tenant_key(1, fresh.scope("south").secrets().tenant_keys()[0].wrapped)
    with pytest.raises(Corrupt):
        vault.put(fresh.scope("north"), "a", Secret("x"))


@pytest.mark.security
@pytest.mark.req("SEC-V13")
def test_what_one_suite_has_sealed_opens_when_the_other_is_set(fresh):
    ring, audit, scope = fresh.app.services.vault._ring, fresh.app.services.audit, fresh.scope("north")
    for first, then in (("S1", "S2"), ("S2", "S1")):
        Vault(ring, audit, first).put(scope, f"of-{first}", Secret(first))
        assert scope.secrets().get(f"of-{first}").ciphertext[0] == int(first[1])
        assert Vault(ring, audit, then).use(scope, f"of-{first}", purpose="a test").reveal() == first


# -- keys are replaced ---------------------------------------------------------------------------------------------------


def read(scope, vault, names):
    return {name: vault.use(scope, name, purpose="a test").reveal() for name in names}


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_a_new_key_takes_all_secrets_over_and_the_old_one_opens_nothing(fresh):
    vault, scope = fresh.app.services.vault, fresh.scope("north")
    words = {f"s{number}": f"word {number}" for number in range(7)}
    for name, word in words.items():
        vault.put(scope, name, Secret(word))
    before = {name: scope.secrets().get(name) for name in words}
    old = vault._key(scope, scope.secrets().tenant_keys()[0])
    assert vault.renew(scope) == 2
    vault.put(scope, "s0", Secret("set meanwhile"))
    words["s0"] = "set meanwhile"
    assert read(scope, vault, words) == words  # from both keys
    assert (vault.rewrap(scope, 4), vault.rewrap(scope, 4, "s4"), vault.rewrap(scope, 4, "s6")) == ("s4", "s6", None)
    assert [each["key"] for each in vault.retire(scope)] == [1]
    assert read(scope, vault, words) == read(scope, Vault(vault._ring, vault._audit), words) == words
    assert scope.secrets().under() == {2: 7}
    for name in ("s1", "s2"):
        after = scope.secrets().get(name)
        assert after.ciphertext == before[name].ciphertext, "a secret was opened, or sealed anew"
        with pytest.raises(Corrupt):
            envelope.unwrap(old, after.wrapped, (*vault._aad(scope, name, after.version), "2"))


@pytest.mark.security
@pytest.mark.req("SEC-V04", "SEC-V05")
def test_a_row_put_back_from_before_a_rotation_does_not_open(fresh):
    vault, scope = fresh.app.services.vault, fresh.scope("north")
    vault.put(scope, "s", Secret("x"))
    stored = scope.secrets().get("s")
    vault.renew(scope)
    vault.rewrap(scope)
    vault.retire(scope)
    for key in (1, 2):
        scope.secrets().put("s", stored.wrapped, stored.ciphertext, stored.fingerprint, key=key)
        with pytest.raises(Corrupt):
            vault.use(scope, "s", purpose="a test")


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_a_rotation_that_is_not_over_lets_no_second_begin_and_destroys_nothing(fresh):
    vault, scope = fresh.app.services.vault, fresh.scope("north")
    vault.put(scope, "s", Secret("x"))
    vault.renew(scope)
    with pytest.raises(Conflict, match="on their way"):
        vault.renew(scope)
    assert vault.retire(scope) == []
    assert read(scope, vault, ["s"]) == {"s": "x"}
    assert [each.version for each in scope.secrets().tenant_keys()] == [1, 2]


@pytest.mark.security
@pytest.mark.req("SEC-V05", "SEC-L02")
def test_a_destruction_is_certified_and_on_record(fresh):
    vault, scope = fresh.app.services.vault, fresh.scope("north")
    vault.put(scope, "s", Secret("x"))
    vault.renew(scope)
    vault.rewrap(scope)
    (told,) = vault.retire(scope)
    assert (told["kind"], told["tenant"], told["key"]) == ("key-destruction", fresh.tenants["north"], 1)
    assert verify(vault.public, canonical(told), told["signature"])
    for name in told.keys() - {"signature"}:
        assert not verify(vault.public, canonical({**told, name: "other"}), told["signature"])
    (record,) = [each for each in scope.ledger().list(9) if each.body["action"] == "vault.retire"]
    assert record.body["about"] == told


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_secrets_set_while_keys_are_replaced_are_never_lost(fresh):
    vault, scope = fresh.app.services.vault, fresh.scope("north")
    done, faults = threading.Event(), []

    def write(number):
        try:
            count = 0
            while not done.is_set() or count < 3:
                count += 1
                vault.put(fresh.scope("north"), f"w{number}", Secret(f"{number}:{count}"))
                assert vault.use(fresh.scope("north"), f"w{number}", purpose="a test").reveal() == f"{number}:{count}"
        except (SluiceError, AssertionError) as fault:
            faults.append(fault)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for each in threads:
        each.start()
    for _ in range(5):
        vault.renew(scope)
        while vault.rewrap(scope, 2):
            pass  # from the start again: there may be new ones
        vault.retire(scope)
    done.set()
    for each in threads:
        each.join()
    assert faults == []
    assert scope.secrets().under() == {scope.secrets().tenant_keys()[-1].version: 3}


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_a_first_key_that_was_taken_back_is_not_kept(fresh):
    """Had it been, all that is set until the next start would be sealed under a key that nobody has."""
    vault, scope = fresh.app.services.vault, fresh.scope("north")
    with pytest.raises(ZeroDivisionError), scope.transaction():
        vault.put(scope, "a", Secret("never there"))
        raise ZeroDivisionError
    vault.put(scope, "a", Secret("there"))
    anew = Vault(vault._ring, vault._audit)
    assert read(scope, anew, ["a"]) == read(scope, vault, ["a"]) == {"a": "there"}
