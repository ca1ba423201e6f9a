"""Notices in the store, on both databases."""

from __future__ import annotations

from sluicegate.base.model import new_id
from sluicegate.base.principal import Role
from sluicegate.store import notices as module


def test_notices_are_their_users_the_newest_first(system, ours, clock):
    user = ours.people().create("a@b.c", "A", Role.EDITOR, "h")
    other = ours.people().create("d@e.f", "D", Role.EDITOR, "h")
    notices = system.notices()
    first = notices.add(user.id, user.tenant, "device", {"address": "10.0.0.1"})
    notices.add(other.id, other.tenant, "device", {})
    second = notices.add(user.id, user.tenant, "password_changed", {})
    assert notices.of(user.id) == sorted([first, second], key=lambda each: each.id, reverse=True)
    assert notices.of(user.id, 1) == notices.of(user.id)[:1]
    assert notices.of(new_id()) == []
    assert first.at == clock.now


def test_the_oldest_go_when_there_are_many(system, ours, monkeypatch):
    monkeypatch.setattr(module, "EACH", 3)
    user = ours.people().create("a@b.c", "A", Role.EDITOR, "h")
    for _ in range(6):
        system.notices().add(user.id, user.tenant, "device", {})
    assert len(system.notices().of(user.id)) == 3
