from __future__ import annotations

import re
import tomllib
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from sluicegate.base.permission import Permission, Public
from sluicegate.operations import OPERATIONS

WITHIN = tomllib.loads((Path(__file__).parents[1] / "security" / "within.toml").read_text())
"""Permissions that are asked for within operations, beside their own."""


def test_permissions_are_noun_and_verb_and_stand_in_order():
    values = [each.value for each in Permission]
    assert all(re.fullmatch(r"[a-z]+:[a-z]+", each) for each in values)
    assert values == sorted(values, key=lambda each: next(p.name for p in Permission if p.value == each))
    assert len(set(values)) == len(values)


@pytest.mark.security
def test_there_is_no_permission_for_everything():
    assert not [each for each in Permission if "*" in each.value or each.value.startswith(("all", "admin", "any"))]


@pytest.mark.security
def test_every_permission_guards_something():
    used = {each.permission for each in OPERATIONS} | {Permission(each) for each in WITHIN}
    assert set(Permission) <= used, "a permission that nothing needs is one that somebody holds for nothing"


@pytest.mark.security
@pytest.mark.req("SEC-T20")
def test_public_needs_a_reason_and_cannot_be_changed():
    with pytest.raises(TypeError):
        Public()
    made = Public("there is no token yet")
    with pytest.raises(FrozenInstanceError):
        made.reason = "no reason"
