"""Users of a tenant, and of all tenants."""

from __future__ import annotations

import threading

import pytest

from sluicegate.base.errors import Conflict, Denied, Missing
from sluicegate.base.model import new_id
from sluicegate.base.principal import Role
from sluicegate.store.database import Database
from sluicegate.store.marks import Kind
from sluicegate.store.people import Account, UserState
from sluicegate.store.scope import System


def test_a_user_comes_back_as_created(ours, clock):
    people = ours.people()
    made = people.create(" Ada@Example.ORG ", "Ada", Role.EDITOR, "$hash", must_change=True)
    assert made.email == "ada@example.org"
    assert (made.tenant, made.role, made.state, made.epoch) == (ours.tenant, Role.EDITOR, UserState.ACTIVE, 0)
    assert (made.must_change, made.created, made.last_sign_in) == (True, clock.now, None)
    assert people.get(made.id) == made
    assert people.list() == [made]


@pytest.mark.security
def test_hashes_stay_out_of_sight(ours, system):
    made = ours.people().create("a@b.c", "A", Role.EDITOR, "$canary")
    account = system.accounts().account(made.id)
    assert account.password == "$canary"
    assert "canary" not in repr(account) + repr(made) + repr(ours.people().list())
    assert not hasattr(ours.people().get(made.id), "password")


@pytest.mark.security
def test_an_address_is_one_user_per_tenant_whatever_its_case(ours, theirs, system):
    ours.people().create("a@b.c", "A", Role.EDITOR, "h")
    theirs.people().create("a@b.c", "A", Role.EDITOR, "h")
    with pytest.raises(Conflict):
        ours.people().create("A@B.C", "A", Role.VIEWER, "h")
    system.accounts().create("a@b.c", "Root", Role.SUPERADMIN, "h")
    with pytest.raises(Conflict):  # NULL = NULL is not true in SQL: the index must see to it
        system.accounts().create("a@b.c", "Root 2", Role.SUPERADMIN, "h")
    assert [account.tenant for account in system.accounts().find("A@b.C ")] == [
        None,
        *sorted([ours.tenant, theirs.tenant]),
    ]
    assert [account.tenant for account in system.accounts().find("a@b.c", ours.tenant)] == [ours.tenant]
    assert system.accounts().find("x@y.z") == []


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
def test_no_superadmin_in_a_tenant_and_nobody_else_without(ours, system, place):
    made = ours.people().create("a@b.c", "A", Role.ADMINISTRATOR, "h")
    root = system.accounts().create("r@b.c", "R", Role.SUPERADMIN, "h")
    for do in (
        lambda: ours.people().create("b@b.c", "B", Role.SUPERADMIN, "h"),
        lambda: ours.people().set_role(made.id, Role.SUPERADMIN),
        lambda: system.accounts().create_in(ours.tenant, "b@b.c", "B", Role.SUPERADMIN, "h"),
        lambda: system.accounts().create("b@b.c", "B", Role.EDITOR, "h"),
        lambda: system.accounts().set_role(made.id, Role.SUPERADMIN),
        lambda: system.accounts().set_role(root.id, Role.EDITOR),
    ):
        with pytest.raises(Denied):
            do()
    with place.raw() as raw:  # and the table itself refuses
        for sql in (f"update users set role = 'superadmin' where id = '{made.id}'",
                    f"update users set tenant_id = null where id = '{made.id}'"):  # fmt: skip
            with pytest.raises(Exception, match=r"(?i)check constraint"):
                raw.execute(sql)


@pytest.mark.security
@pytest.mark.req("SEC-T09")
def test_what_changes_a_persons_rights_makes_their_tokens_void(ours, system):
    people, marks = ours.people(), system.marks()
    user = people.create("a@b.c", "A", Role.EDITOR, "h").id
    for turn, change in enumerate(
        (
            lambda: people.set_state(user, UserState.DISABLED),
            lambda: people.set_role(user, Role.VIEWER),
            lambda: people.set_password(user, "h2", must_change=True),
            lambda: system.accounts().set_state(user, UserState.ACTIVE),
            lambda: system.accounts().set_role(user, Role.EDITOR),
            lambda: system.accounts().set_password(user, "h3"),
        ),
        1,
    ):
        change()
        assert [(each.kind, each.subject) for each in marks.since(0)] == [("user", user)] * turn
        assert [(m.kind, m.subject, m.value) for m in marks.since(turn - 1)] == [(Kind.USER, user, turn)]
    found = system.accounts().account(user)
    assert (found.password, found.must_change, found.role, found.state) == ("h3", False, "editor", "active")
    people.touch_sign_in(user)
    assert people.get(user).last_sign_in is not None
    assert marks.last() == 6


@pytest.mark.security
def test_a_change_that_fails_leaves_no_mark(ours, system):
    user = ours.people().create("a@b.c", "A", Role.EDITOR, "h").id
    with pytest.raises(RuntimeError), ours.transaction():
        ours.people().set_state(user, UserState.DISABLED)
        raise RuntimeError
    assert (system.marks().last(), ours.people().get(user).state) == (0, UserState.ACTIVE)


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
def test_the_last_superadmin_who_can_sign_in_is_not_disabled(ours, system):
    accounts = system.accounts()
    first, second = (accounts.create(f"{name}@x.y", name, Role.SUPERADMIN, "h").id for name in "ab")
    waiting = accounts.create("c@x.y", "C", Role.SUPERADMIN, "h", must_change=True).id  # has never been in
    accounts.set_state(second, UserState.DISABLED)
    with pytest.raises(Conflict, match="last SuperAdmin"):
        accounts.set_state(first, UserState.DISABLED)
    accounts.set_state(waiting, UserState.DISABLED)
    assert [each.state for each in accounts.superadmins()] == ["active", "disabled", "disabled"]
    accounts.set_state(second, UserState.ACTIVE)
    accounts.set_state(first, UserState.DISABLED)
    with pytest.raises(Denied):
        accounts.set_role(second, Role.ADMINISTRATOR)  # there is no tenant for it: nobody ceases to be one
    user = ours.people().create("a@b.c", "A", Role.ADMINISTRATOR, "h").id
    accounts.set_state(user, UserState.DISABLED)
    assert accounts.get(user).state is UserState.DISABLED


@pytest.mark.security
@pytest.mark.req("SEC-Z08")
def test_of_two_superadmins_who_disable_each_other_at_once_one_stays(place, system):
    """Two processes, as far as the store can tell: each has connections of its own."""
    nodes = [Database(place.url, place.owner_url) for _ in range(2)]
    try:
        for turn in range(8):
            pair = [
                system.accounts().create(f"{turn}-{name}@x.y", name, Role.SUPERADMIN, "h").id for name in ("a", "b")
            ]
            barrier, told = threading.Barrier(2), []

            def disable(node, user, barrier=barrier, told=told):
                barrier.wait()
                try:
                    System(node).accounts().set_state(user, UserState.DISABLED)
                    told.append("done")
                except Conflict:
                    told.append("refused")

            threads = [threading.Thread(target=disable, args=each) for each in zip(nodes, pair, strict=True)]
            for each in threads:
                each.start()
            for each in threads:
                each.join()
            assert sorted(told) == ["done", "refused"]
            (left,) = (each.id for each in system.accounts().superadmins() if each.state == "active")
            helper = system.accounts().create(f"{turn}-c@x.y", "C", Role.SUPERADMIN, "h").id
            system.accounts().set_state(left, UserState.DISABLED)
            with place.raw() as raw:  # none is active when the next two come
                raw.execute(f"update users set state = 'disabled' where id = '{helper}'")
    finally:
        for node in nodes:
            node.close()


def test_unknown_users_are_missing(ours, system):
    nobody = new_id()
    for people in (ours.people(), system.accounts()):
        for do in (
            lambda people=people: people.get(nobody),
            lambda people=people: people.set_state(nobody, UserState.DISABLED),
            lambda people=people: people.set_password(nobody, "h"),
            lambda people=people: people.touch_sign_in(nobody),
            lambda people=people: people.set_role(nobody, Role.EDITOR),
        ):
            with pytest.raises(Missing):
                do()
    with pytest.raises(Missing):
        system.accounts().account(nobody)


def test_the_system_sees_everybody(ours, theirs, system):
    ours.people().create("a@b.c", "A", Role.EDITOR, "h")
    made = system.accounts().create_in(theirs.tenant, "b@b.c", "B", Role.VIEWER, "h")
    system.accounts().create("r@b.c", "R", Role.SUPERADMIN, "h")
    assert [user.email for user in system.accounts().list()] == ["a@b.c", "b@b.c", "r@b.c"]
    assert theirs.people().list() == [made]
    assert isinstance(system.accounts().account(made.id), Account)


@pytest.mark.security
@pytest.mark.req("SEC-A16")
def test_who_is_invited_has_no_password_and_is_let_in_once(ours, system):
    made = ours.people().invite("a@b.c", "A", Role.EDITOR)
    assert (made.state, system.accounts().account(made.id).password) == (UserState.INVITED, "")
    with pytest.raises(Conflict):
        ours.people().invite("A@b.c", "A", Role.EDITOR)
    system.accounts().accept(made.id, "Ada", "hash")
    come = system.accounts().account(made.id)
    assert (come.state, come.name, come.password, come.epoch) == (UserState.ACTIVE, "Ada", "hash", made.epoch + 1)
    with pytest.raises(Missing):
        system.accounts().accept(made.id, "Eve", "other")
    assert system.accounts().account(made.id) == come


def test_a_profile_and_an_address_are_changed(ours, theirs, system):
    made, other = (ours.people().create(each, "A", Role.EDITOR, "h") for each in ("a@b.c", "d@e.f"))
    theirs.people().create("g@h.i", "T", Role.EDITOR, "h")
    ours.people().set_profile(made.id, "Ada", "pt-BR", "Europe/Berlin")
    found = ours.people().get(made.id)
    assert (found.name, found.language, found.zone, found.epoch) == ("Ada", "pt-BR", "Europe/Berlin", 0)
    system.accounts().set_email(made.id, "G@H.i")  # another tenant's plays no part
    assert (ours.people().get(made.id).email, ours.people().get(made.id).epoch) == ("g@h.i", 1)
    with pytest.raises(Conflict, match="this address already"):
        system.accounts().set_email(made.id, other.email)
    assert ours.people().get(made.id).email == "g@h.i"
