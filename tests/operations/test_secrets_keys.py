"""Masking keys: made, listed, deleted, and never seen by anybody."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Conflict, DataError, Denied, Invalid, Missing
from sluicegate.base.principal import Role
from sluicegate.crypto.masking import MaskingKey
from sluicegate.guard.vault import MASKING
from tests.fixtures.flow import add_run

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
    with pytest.raises(Denied, match="needs data:reveal"):
        place.call("secret.delete", {"name": "keys-d", "kind": "key"}, editor)
    administrator = place.token_for("secret.delete", Role.ADMINISTRATOR)
    place.call("secret.delete", {"name": "keys-d", "kind": "key"}, administrator)
    assert ("secret", "keys-d") in listed(place, editor)
    assert ("key", "keys-d") not in listed(place, editor)
    with pytest.raises(Missing):
        place.call("secret.delete", {"name": "keys-d", "kind": "key"}, administrator)


@pytest.mark.security
def test_a_key_that_a_flow_names_stays(place, editor):
    make(place, editor, "keys-a2")
    flow = FLOW.replace("METHOD", "hash").replace("keys-flow", "keys-flow-2").replace("key: keys-a", "key: keys-a2")
    place.call("definition.apply", {"source": flow}, editor)
    with pytest.raises(Conflict, match="named by: keys-flow-2"):
        place.call(
            "secret.delete", {"name": "keys-a2", "kind": "key"}, place.token_for("secret.delete", Role.ADMINISTRATOR)
        )


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
    source = FLOW.replace("METHOD", "detokenize")
    for operation in ("definition.validate", "definition.apply"):
        with pytest.raises(Denied, match="needs data:reveal"):  # nor saves one, for somebody else to run one day
            place.call(operation, {"source": source}, editor)
    place.call("definition.apply", {"source": source}, place.token(Role.ADMINISTRATOR))
    for role in (Role.EDITOR, Role.OPERATOR):
        with pytest.raises(Denied, match="needs data:reveal"):
            place.call("run.start", {"name": "keys-flow"}, place.token(role))
    key = place.new_key(place.people["north", Role.ADMINISTRATOR], ["run:control"])
    with pytest.raises(Denied, match="needs data:reveal"):
        place.call("run.start", {"name": "keys-flow"}, place.exchange(key.key))
    assert place.call("run.list", {"flow": "keys-flow"}, editor).items == ()


@pytest.mark.security
@pytest.mark.req("SEC-B10")
def test_rows_and_words_of_a_run_that_took_masks_off_need_the_same(place):
    administrator, operator = place.token(Role.ADMINISTRATOR), place.token(Role.OPERATOR)
    source = FLOW.replace("METHOD", "detokenize").replace("keys-flow", "keys-shown").replace("keys-a", "keys-s")
    place.call("definition.apply", {"source": source}, administrator)
    scope, quotes = place.scope("north"), place.app.services.quotes
    run = add_run(place, scope, flow="keys-shown")
    problem = quotes.error(scope, run, DataError("'canary' does not fit", where="step m, line 1").problem())
    quotes.event(scope, run, "log", {"level": "error", "message": "'canary' does not fit", "code": "data"})
    scope.runs().advance(run, "running")
    scope.runs().advance(run, "failed", error=problem)
    for operation in ("run.rejects", "run.rejected"):
        with pytest.raises(Denied, match="took masks off"):
            place.call(operation, {"id": run}, operator)
        place.call(operation, {"id": run}, administrator)
    for operation, ask in (("run.get", {"id": run}), ("run.list", {"flow": "keys-shown"}), ("run.events", {"id": run})):
        assert "canary" not in place.call(operation, ask, operator).model_dump_json()
    for operation in ("run.get", "run.events"):
        assert "canary" in place.call(operation, {"id": run}, administrator).model_dump_json()
