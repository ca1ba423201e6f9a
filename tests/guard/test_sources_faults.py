"""What goes wrong with secrets from elsewhere is on record, and in nobody else's way."""

from __future__ import annotations

import pytest

from sluicegate.base.errors import Conflict
from sluicegate.base.principal import Role
from tests.guard.test_sources import apply, bao, link, linked, place, put, use

__all__ = ["bao", "linked", "place"]
SHOP = "kind: connection\nname: shop\ntype: postgres\nhost: db.example.org\ndatabase: d\nuser: u\npassword: {secret: old}\n"
FLOW = """kind: flow
name: f
steps:
  - read: { name: rows, connection: shop, item: x }
  - mask: { name: m, from: rows, key: k, rules: [{ columns: id, method: hash }] }
  - write: { from: m, connection: shop, item: y }
"""
AWS = "kind: connection\nname: aws\ntype: aws_secrets\nregion: eu-central-1\naccess_key: AKIAEXAMPLE\nsecret_key: {secret: key}\n"


@pytest.mark.security
@pytest.mark.req("SEC-V02", "SEC-V12")
@pytest.mark.parametrize("fault", [OSError("canary"), KeyboardInterrupt("canary")])
def test_whatever_goes_wrong_is_on_record(place, linked, monkeypatch, fault):
    def stumble(*_):
        raise fault

    monkeypatch.setattr(place.app.services.sources, "_fetch", stumble)
    before = place.head()
    with pytest.raises(type(fault)):
        use(place)
    last = place.records(after=before)[-1]
    assert (last["action"], last["result"], last["about"]["code"]) == ("secret.fetch", "failed", "internal")
    assert "canary" not in str(place.records(after=before))


@pytest.mark.security
@pytest.mark.req("SEC-V12")
def test_what_an_older_release_has_written_stands_in_nobody_s_way(place, linked):
    place.call("secret.generate", {"name": "k", "kind": "key"}, place.token(Role.EDITOR))
    apply(place, SHOP + "---\n" + FLOW)
    for kind, name in (("connection", "shop"), ("flow", "f")):
        _age(place, kind, name)
    kept = put(place, "old", "a value")
    link(place, "bao:shop/warehouse#password", "other")
    listed = {each.name: each.used_by for each in place.call("secret.list", {}, place.token(Role.EDITOR)).items}
    assert (kept.used_by, listed["old"], listed["bao-token"], listed["other"]) == (("shop",), ("shop",), ("bao",), ())
    with pytest.raises(Conflict, match="named by: f"):  # it may be mended: what was masked under the key needs it
        place.call("secret.delete", {"name": "k", "kind": "key"}, place.token(Role.ADMINISTRATOR))


@pytest.mark.security
@pytest.mark.req("SEC-V12")
def test_what_signs_in_to_a_source_that_an_older_release_has_written_comes_from_no_source(place, linked):
    apply(place, AWS)
    _age(place, "connection", "aws")
    with pytest.raises(Conflict, match="signs in with this secret"):
        link(place, "bao:shop/warehouse#password", "key")


def _age(place, kind, name):
    """Have a definition hold a field that there is no longer."""
    definitions = place.scope("north").definitions()
    definitions.put(kind, name, definitions.get(kind, name).body | {"was": "a field"}, "", f"aged {name}")
