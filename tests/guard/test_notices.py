"""What people are told when something happens to their account, on their profile and by mail (SEC-A18)."""

from __future__ import annotations

import pyotp
import pytest

from sluicegate.base.errors import Unauthenticated
from sluicegate.base.model import new_id
from sluicegate.base.principal import Peer, Role
from sluicegate.crypto.dpop import ProofKey
from sluicegate.guard.notices import NOTICES
from sluicegate.store import outbox
from tests.fixtures.server import BY_NAME, PASSWORD, address


@pytest.fixture
def editor(mailed):
    return mailed.people["north", Role.EDITOR]


def told(place, who):
    """Return the kinds of all notices of somebody, the oldest first, on the profile and by mail."""
    place.post()
    shown = [each.kind for each in place.app.services.system.notices().of(who.id)][::-1]
    subjects = [each["Subject"] for each in place.relay.got.to(who.email) if "Test" not in each["Subject"]]
    return shown, subjects


def said(*kinds):
    return list(kinds), [f"Sluicegate: {NOTICES[each].subject}" for each in kinds]


def sign_in(place, who, key, client="a browser", **more):
    ask = {"tenant": who.tenant, "email": who.email, "password": PASSWORD}
    peer = Peer(more.get("peer") or address(), client)
    return place.app.gate.call(BY_NAME["session.login"], ask, place.credentials(None, "POST", key), peer)


@pytest.mark.security
@pytest.mark.req("SEC-A18")
def test_a_sign_in_from_a_device_not_seen_before_is_told_once(mailed, editor):
    first, second = ProofKey.new(), ProofKey.new()
    sign_in(mailed, editor, first)
    assert told(mailed, editor) == ([], []), "the very first device is no news"
    sign_in(mailed, editor, first, peer="10.200.0.1")
    assert told(mailed, editor) == ([], [])
    sign_in(mailed, editor, second, "evil\u202ebrowser https://evil.example", peer="10.200.0.9")
    assert told(mailed, editor) == said("device")
    sign_in(mailed, editor, second)
    sign_in(mailed, editor, ProofKey.new(), peer="10.200.0.9")
    assert told(mailed, editor) == said("device"), "either the key or the address has been seen"
    mail = mailed.relay.got.to(editor.email)[0].get_content()
    assert "10.200.0.9" in mail
    assert "evil" not in mail, "what a stranger's client calls itself is in no mail"


@pytest.mark.security
@pytest.mark.req("SEC-A18")
def test_a_refused_sign_in_makes_no_noise(mailed, editor):
    mailed.sign_in(editor)
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            mailed.sign_in(editor, "not the password")
    assert told(mailed, editor) == ([], [])


@pytest.mark.security
@pytest.mark.req("SEC-A18")
def test_all_that_happens_to_factors_is_told(mailed, editor, monkeypatch):
    access = mailed.sign_in(editor)["access"]
    begun = mailed.call("factor.begin", {"name": "phone"}, access)
    assert told(mailed, editor) == ([], [])
    codes = mailed.call("factor.confirm", {"id": begun.id, "code": pyotp.TOTP(begun.seed).now()}, access).codes
    half = mailed.sign_in(editor)["access"]
    access = mailed.call("session.factor", {"code": codes[0]}, half).access
    mailed.call("factor.codes", {}, access)
    mailed.call("factor.remove", {"id": begun.id}, access)
    mailed.call("factor.reset", {"id": editor.id}, mailed.token(Role.ADMINISTRATOR))
    assert told(mailed, editor) == said("factor_added", "code_used", "codes_replaced", "factor_removed", "factor_reset")


@pytest.mark.security
@pytest.mark.req("SEC-A18")
def test_a_recovery_code_used_for_step_up_is_told_too(mailed, editor):
    access = mailed.sign_in(editor)["access"]
    begun = mailed.call("factor.begin", {"name": "phone"}, access)
    codes = mailed.call("factor.confirm", {"id": begun.id, "code": pyotp.TOTP(begun.seed).now()}, access).codes
    mailed.call("session.prove", {"password": PASSWORD, "code": codes[0]}, access)
    assert told(mailed, editor) == said("factor_added", "code_used")


@pytest.mark.security
@pytest.mark.req("SEC-A18")
def test_a_new_password_is_told_and_one_that_is_refused_is_not(mailed, editor):
    access = mailed.sign_in(editor)["access"]
    for new in ("short", PASSWORD):
        with pytest.raises(Exception, match="password"):
            mailed.call("session.password", {"old": PASSWORD, "new": new}, access)
    assert told(mailed, editor) == ([], [])
    mailed.call("session.password", {"old": PASSWORD, "new": "eight slow trains before dawn"}, access)
    assert told(mailed, editor) == said("password_changed")


@pytest.mark.security
@pytest.mark.req("SEC-A18", "SEC-K01")
def test_a_leaked_key_is_told_to_its_owner_and_a_services_to_who_made_it(mailed, editor):
    admin = mailed.people["north", Role.ADMINISTRATOR]
    mine = mailed.new_key(editor, ["self:use"], name="mine")
    service = mailed.call("service.create", {"name": "robot", "role": "viewer"}, mailed.token(admin)).id
    ask = {"name": "theirs", "user": service, "scopes": ["self:use"]}
    theirs = mailed.call("key.create", ask, mailed.token(admin))
    for each in (mine, theirs, mine):
        mailed.call("key.leaked", {"key": each.key})
    assert told(mailed, editor) == said("key_leaked")
    assert told(mailed, admin) == said("key_leaked")
    (shown,) = mailed.app.services.system.notices().of(admin.id)
    assert shown.about["key"] == "theirs"


@pytest.mark.security
@pytest.mark.req("SEC-A18", "SEC-K01")
def test_a_key_that_nobody_used_is_told(mailed, editor, monkeypatch):
    mailed.new_key(editor, ["self:use"], name="old")
    keys = mailed.app.services.keys
    monkeypatch.setattr(keys, "_now", lambda now=keys._now: now() + 91 * 86400)
    keys.sweep()
    assert told(mailed, editor) == said("key_unused")


@pytest.mark.security
def test_who_is_not_active_gets_no_mail_and_a_stranger_nothing(mailed, editor):
    notices, system = mailed.app.services.notices, mailed.app.services.system
    mailed.call("user.deactivate", {"id": editor.id}, mailed.token(Role.ADMINISTRATOR))
    notices.tell_of(editor.id, "password_changed")
    notices.tell_of(new_id(), "password_changed")
    assert told(mailed, editor) == (["password_changed"], [])
    assert system.outbox().claim(1) is None


@pytest.mark.security
def test_a_full_outbox_fails_no_operation(mailed, editor, monkeypatch):
    monkeypatch.setattr(outbox, "WAITING_MAX", 0)
    told_ = {"old": PASSWORD, "new": "eight slow trains before dawn"}
    mailed.call("session.password", told_, mailed.token(editor))
    assert told(mailed, editor) == (["password_changed"], [])


@pytest.mark.security
@pytest.mark.req("SEC-A18")
def test_a_change_that_does_not_happen_is_not_told(mailed, editor, monkeypatch):
    from sluicegate.store.grants import Grants

    access = mailed.sign_in(editor)["access"]

    def burst(*_):
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(Grants, "kill_user", burst)
        with pytest.raises(RuntimeError):
            mailed.call("session.password", {"old": PASSWORD, "new": "eight slow trains before dawn"}, access)
    assert told(mailed, editor) == ([], [])
    assert mailed.sign_in(editor)["access"], "nor has the password changed"


def test_every_kind_says_what_and_what_to_do():
    for kind, each in NOTICES.items():
        assert kind.replace("_", "").isalpha()
        assert all(text.endswith(".") for text in (each.text, each.advice))
        assert len(each.subject) < 40
