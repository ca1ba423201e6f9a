"""Masking keys: made, listed, deleted, and never seen by anybody."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Conflict, Denied, Invalid, Missing
from sluicegate.base.principal import Role
from sluicegate.crypto.masking import MaskingKey
from sluicegate.guard.vault import MASKING

FLOW = """kind: connection
name: keys-here
type: files
---
kind: flow
name: keys-flow
steps:
  - read: { name: rows, connection: keys-here, item: in.csv }
  - mask: { name: m, from: rows, key: keys-a, rules: [{ columns: id, method: METHOD }] }
  - write: { from: m, connection: keys-here, item: out.csv }
"""


@pytest.fixture
def editor(place):
    return place.token(Role.EDITOR)


def make(place, token, name):
    return place.call("secret.generate", {"name": name, "kind": "key"}, token)


def listed(place, token):
    return {(each.kind, each.name): each for each in place.call("secret.list", {}, token).items}


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_a_key_is_made_and_nobody_sees_it(place, editor):
    made = make(place, editor, "keys-a")
    kept = place.app.services.vault.use(place.scope("north"), MASKING + "keys-a", purpose="a test")
    MaskingKey(kept, "north")
    assert made.passphrase == ""
    told = made.model_dump_json() + place.call("secret.list", {}, editor).model_dump_json()
    assert kept.reveal() not in told
    place.call("definition.apply", {"source": FLOW.replace("METHOD", "hash")}, editor)
    assert listed(place, editor)["key", "keys-a"].used_by == ("keys-flow",)


@pytest.mark.security
def test_a_key_is_never_overwritten(place, editor):
    make(place, editor, "keys-b")
    kept = place.app.services.vault.use(place.scope("north"), MASKING + "keys-b", purpose="a test").reveal()
    with pytest.raises(Conflict, match="what was masked under it needs it"):
        make(place, editor, "keys-b")
    assert place.app.services.vault.use(place.scope("north"), MASKING + "keys-b", purpose="a test").reveal() == kept


@pytest.mark.security
@pytest.mark.req("SEC-V08")
def test_nothing_but_a_mask_can_name_a_key(place, editor):
    """Else a connection could carry it to a server of somebody's own, as a password."""
    make(place, editor, "keys-c")
    name = MASKING + "keys-c"
    connection = f"kind: connection\nname: keys-out\ntype: postgres\nhost: h\ndatabase: d\nuser: u\npassword: {{ secret: {name} }}\n"
    for ask in ({"name": name}, {"name": name, "value": "x"}):
        with pytest.raises(Invalid, match="the product's own"):
            place.call("secret.set" if "value" in ask else "secret.delete", ask, editor)
    with pytest.raises(Invalid, match="the product's own"):
        place.call("definition.apply", {"source": connection}, editor)


def test_keys_and_secrets_do_not_share_their_names(place, editor):
    made = make(place, editor, "keys-d")
    kept = place.call("secret.set", {"name": "keys-d", "value": "a value"}, editor)
    assert kept.kind == "secret"
    assert kept.fingerprint != made.fingerprint
    place.call("secret.delete", {"name": "keys-d", "kind": "key"}, editor)
    assert ("secret", "keys-d") in listed(place, editor)
    assert ("key", "keys-d") not in listed(place, editor)
    with pytest.raises(Missing):
        place.call("secret.delete", {"name": "keys-d", "kind": "key"}, editor)


@pytest.mark.security
@pytest.mark.req("SEC-V05")
def test_new_vault_keys_do_not_change_what_a_mask_makes(fresh):
    token = fresh.token(Role.ADMINISTRATOR)
    make(fresh, token, "keys-e")

    def digest():
        kept = fresh.app.services.vault.use(fresh.scope("north"), MASKING + "keys-e", purpose="a test")
        return MaskingKey(kept, fresh.tenants["north"]).digests("")(b"a value")

    before = digest()
    fresh.call("vault.rotate", {}, token)
    assert digest() == before


@pytest.mark.security
@pytest.mark.req("SEC-B10")
def test_who_may_not_see_under_masks_starts_no_flow_that_takes_them_off(place, editor):
    place.call("definition.apply", {"source": FLOW.replace("METHOD", "detokenize")}, editor)
    for role in (Role.EDITOR, Role.OPERATOR):
        with pytest.raises(Denied, match="needs data:reveal"):
            place.call("run.start", {"name": "keys-flow"}, place.token(role))
    key = place.new_key(place.people["north", Role.ADMINISTRATOR], ["run:control"])
    with pytest.raises(Denied, match="needs data:reveal"):
        place.call("run.start", {"name": "keys-flow"}, place.exchange(key.key))
    assert place.call("run.list", {"flow": "keys-flow"}, editor).items == ()
