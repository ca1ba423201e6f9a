"""Seals that a service opens: over TLS, bound to this installation, fail closed with one clear error."""

from __future__ import annotations

import json
import shutil

import pytest

from sluicegate.app import build, make_home, make_seal
from sluicegate.base.errors import Corrupt, Invalid, Unavailable
from sluicegate.base.seals import Kms, Transit
from sluicegate.base.secret import Secret, SecretText
from sluicegate.base.settings import Settings
from sluicegate.crypto.keys import new_key
from sluicegate.guard import seals
from sluicegate.guard.sealfile import SealFile
from sluicegate.guard.seals.seal import opener_of
from tests.fixtures import keepers


@pytest.fixture(params=["transit", "aws-kms"])
def keeper(request, tmp_path):
    made = {"transit": keepers.TransitKeeper, "aws-kms": keepers.KmsKeeper}[request.param](tmp_path)
    with keepers.serving(made) as running:
        running.kind = request.param
        yield running


def settings(keeper, tmp_path, *, token=keepers.TOKEN, secret=keepers.SECRET, ca=True, **more):
    authority = keeper.ca if ca else None
    return Settings(
        home=tmp_path / "home",
        transit=Transit(url=keeper.url, ca=authority, token=SecretText(token)),
        kms=Kms(region="eu-test-1", key="alias/sluicegate", endpoint=keeper.url, ca=authority,
                access_key=keepers.ACCESS, secret_key=SecretText(secret)),
        **more,
    )  # fmt: skip


@pytest.mark.security
@pytest.mark.req("SEC-V06")
def test_it_opens_by_itself_and_the_service_never_sees_the_root_key(keeper, tmp_path):
    seal, root = seals.find(keeper.kind, settings(keeper, tmp_path)), new_key()
    state = seal.make(root).state
    assert seal.people is False
    assert seal.open(json.loads(json.dumps(state))).raw == root.raw
    fresh = new_key()
    asked = len(keeper.asked)
    after = seal.renew(state, opener_of(root), fresh)
    assert len(keeper.asked) == asked, "a new root key needs nothing of the service"
    assert seal.open(after).raw == fresh.raw
    import base64

    for key in (root, fresh):
        assert not any(
            base64.b64encode(key.raw) in body or key.raw.hex().encode() in body for _, _, body in keeper.asked
        )


@pytest.mark.security
@pytest.mark.req("SEC-V06", "SEC-V11")
def test_it_fails_closed_and_says_why_without_a_secret(keeper, tmp_path):
    good = settings(keeper, tmp_path)
    state = seals.find(keeper.kind, good).make(new_key()).state
    for wanted in (settings(keeper, tmp_path, token="wrong", secret="wrong"), settings(keeper, tmp_path, ca=False)):
        with pytest.raises(Unavailable) as told:
            seals.find(keeper.kind, wanted).open(state)
        assert "canary" not in f"{told.value} {told.value.hint}"
    for fault in (403, 404, 500, 503, 307, b"", b"[]", b"{", b"x" * 70_000):
        keeper.fault = fault
        with pytest.raises(Unavailable) as told:
            seals.find(keeper.kind, good).open(state)
        assert "canary" not in f"{told.value} {told.value.hint}"
    for fault in (
        b"{}",
        b'{"data": 1}',
        b'{"data": {"plaintext": 1}}',
        b'{"Plaintext": "AAAA", "data": {"plaintext": "AAAA"}}',
    ):
        keeper.fault = fault
        with pytest.raises(Corrupt):
            seals.find(keeper.kind, good).open(state)
    keeper.fault = None
    for other in ({"kept": "x"}, {"by": "another"}, {"wrapped": "x"}, {"root": "another"}):
        with pytest.raises((Corrupt, Unavailable)):
            seals.find(keeper.kind, good).open({**state, **other})


@pytest.mark.security
def test_nothing_is_sealed_by_what_does_not_give_it_back(keeper, tmp_path):
    keeper.decrypt = lambda _text, _bound: "A" * 86 + "A="
    with pytest.raises(Corrupt):
        seals.find(keeper.kind, settings(keeper, tmp_path)).make(new_key())


def test_settings_that_are_missing_are_named(keeper, tmp_path):
    with pytest.raises(Invalid, match="the settings"):
        seals.find(keeper.kind, Settings(home=tmp_path)).make(new_key())


@pytest.mark.security
@pytest.mark.req("SEC-V06")
def test_an_installation_starts_with_it_and_not_without(keeper, tmp_path, monkeypatch):
    wanted = settings(keeper, tmp_path)
    monkeypatch.setattr("sluicegate.app.load", lambda _variables: wanted)
    make_home(wanted.home, (), None, None, keyed=False)
    assert make_seal(wanted.home, keeper.kind).file == "root.seal"
    build(wanted).services.system.database.close()
    keeper.fault = 503
    with pytest.raises(Unavailable, match="answers 503"):
        build(wanted)
    keeper.fault = None
    build(wanted).services.system.database.close()


@pytest.mark.security
@pytest.mark.req("SEC-V05", "SEC-V06")
def test_a_new_root_key_reaches_another_server_and_both_open_by_themselves(keeper, tmp_path):
    here = settings(keeper, tmp_path)
    make_home(here.home, (), None, None, keyed=False)
    SealFile(here.home).write(seals.find(keeper.kind, here).make(new_key()).state)
    build(here).services.system.database.close()
    shutil.copytree(here.home, tmp_path / "other", ignore=shutil.ignore_patterns("*.db*"))
    store = here.store.model_copy(update={"url": Secret(here.store_url)})
    there = here.model_copy(update={"home": tmp_path / "other", "store": store})
    apps = [build(each) for each in (here, there)]
    for each in apps:
        each.services.nodes._shared = True
        each.services.nodes.announce()
    one, two = (each.services.sealing for each in apps)
    before, made = one.standing().root, one.renew()
    two.follow()
    assert before != made == two.standing().root
    for each in apps:
        each.services.system.database.close()
    for each in (here, there):
        again = build(each)
        assert again.services.sealing.standing().root == made
        again.services.system.database.close()
